"""A scripted session for tests of code that uses a sandbox. It accepts exactly the cells of its script."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.calls import AnswerCall, HostAnswer, HostCall, HostFunction
from sandbox.errors import CellblockError
from sandbox.execution import Execution, Output, StreamOutput
from sandbox.session import FileInfo


@dataclass(frozen=True)
class Step:
    """One expected cell and its result."""

    code: str
    gives: Execution | CellblockError
    hangs: bool = False
    """True if the cell ends only when it is interrupted."""
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    """The functions of the host that the cell calls first, with their arguments."""


def printed(text: str) -> Execution:
    """The execution of a cell that prints `text`."""
    return Execution(status="ok", outputs=[StreamOutput(name="stdout", text=text)])


class ScriptedSandbox:
    """Runs nothing: each `execute` must be the script's next step. Leaving the context checks that all were used.

    `files` are the names of the files in its workspace.
    """

    def __init__(self, *steps: Step, files: Iterable[str] = ()) -> None:
        self._steps = list(steps)
        self._files = list(files)
        self._interrupted = asyncio.Event()
        self._hanging = False
        self._answer: AnswerCall | None = None
        self.offered: list[str] = []
        """The names of the functions that cells can call."""
        self.answers: list[HostAnswer] = []
        """What the calls of all cells so far gave."""

    def offer(self, functions: Sequence[HostFunction], answer: AnswerCall) -> None:
        """Let the steps call these."""
        self.offered, self._answer = [function.name for function in functions], answer

    async def execute(
        self,
        code: str,
        *,
        timeout_s: float | None = None,
        on_output: Callable[[Output], None] = lambda output: None,
    ) -> Execution:
        """Return the script's answer to `code`. Raises AssertionError if the script expects another cell."""
        if not self._steps:
            raise AssertionError(f"The script is over, but a cell came: {code!r}.")
        step = self._steps.pop(0)
        if step.code != code:
            raise AssertionError(f"The script expects the cell {step.code!r}, but {code!r} came.")
        if isinstance(step.gives, CellblockError):
            raise step.gives
        for number, (name, arguments) in enumerate(step.calls, start=1):
            assert self._answer is not None, "offer comes first"
            self.answers.append(await self._answer(HostCall(number, name, dict(arguments))))
        for output in step.gives.outputs:
            on_output(output)
        if step.hangs:
            self._hanging = True
            await self._interrupted.wait()
            self._hanging = False
            self._interrupted.clear()
        return step.gives

    def interrupt(self) -> bool:
        """End the step that hangs."""
        if self._hanging:
            self._interrupted.set()
        return self._hanging

    async def list_files(self) -> list[FileInfo]:
        """The `files` of the constructor, all empty."""
        return [FileInfo(name=name, size_bytes=0, modified_ns=0) for name in self._files]

    def __enter__(self) -> "ScriptedSandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._steps:
            raise AssertionError(f"The script's step {self._steps[0].code!r} was not used.")
