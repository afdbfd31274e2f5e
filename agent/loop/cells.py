"""run_python: one cell in the sandbox, and what the model reads about it."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from agent.prompting.hints import Scene, hints, needs_files, repeated, unprinted
from agent.prompting.observation import observe
from agent.prompting.words import OBSERVATION
from agent.pycode import same_lines
from agent.record.events import Environment, GivenFile, ToolRan
from sandbox import ErrorOutput, Execution, FileInfo, Output, SandboxError, SessionClosedError
from sandbox.calls import AnswerCall, HostFunction
from sandbox.packages import names_of


class CodeRunner(Protocol):
    """The part of a sandbox session that runs cells."""

    def offer(self, functions: Sequence[HostFunction], answer: AnswerCall) -> None: ...

    async def execute(self, code: str, *, on_output: Callable[[Output], None]) -> Execution: ...

    def interrupt(self) -> bool: ...

    async def list_files(self) -> list[FileInfo]: ...


@dataclass(frozen=True)
class Cell:
    """A cell that was run, or could not be."""

    execution: Execution | None
    observation: str
    same_failures: int = 0
    """How often the same code gave the same error before."""
    is_cancelled: bool = False
    """True if the caller was cancelled meanwhile, which is raised after the cell is recorded."""


class Cells:
    """Runs cells in one session."""

    def __init__(
        self,
        sandbox: CodeRunner,
        on_output: Callable[[Output], None],
        *,
        scene: Scene,
    ) -> None:
        """`scene` is the context for hints, except the files: they are listed only if a hint needs them."""
        self._sandbox = sandbox
        self._on_output = on_output
        self._scene = scene
        self.is_over = False
        """True if the session's time is over, so that no more code can run."""

    async def run(self, code: str, earlier: Sequence[ToolRan], given: Iterable[GivenFile] = ()) -> Cell:
        """Run one cell, after these, over the files that came with the questions.

        If the caller is cancelled, the cell is interrupted, and the result says so.
        """
        running = asyncio.ensure_future(self._sandbox.execute(code, on_output=self._on_output))
        is_cancelled = False
        try:
            execution = await asyncio.shield(running)
        except SessionClosedError as error:
            self.is_over = True
            return Cell(None, OBSERVATION["not_run"].format(why=error.message))
        except asyncio.CancelledError:
            is_cancelled = True
            interrupted = await self._interrupted(running)
            if interrupted is None:
                return Cell(None, OBSERVATION["abandoned"] + " " + OBSERVATION["state_lost"], is_cancelled=True)
            execution = interrupted
        self.is_over = execution.cause == "session_timeout"
        again = _same_failures(code, execution, earlier)
        found: list[str] = []
        try:
            found = await self._hints(code, execution, earlier, given)
        except asyncio.CancelledError:  # the cell is recorded all the same
            is_cancelled = True
        observation = observe(execution, [*found, repeated(execution) if again else ""], unprinted=unprinted(code))
        return Cell(execution, observation, again, is_cancelled)

    async def _interrupted(self, running: asyncio.Future[Execution]) -> Execution | None:
        """The interrupted cell's execution; None if it cannot be interrupted or takes too long."""
        if not self._sandbox.interrupt():
            running.cancel()
        try:
            return await running
        except (asyncio.CancelledError, SandboxError):
            return None

    async def _hints(
        self, code: str, execution: Execution, earlier: Sequence[ToolRan], given: Iterable[GivenFile]
    ) -> list[str]:
        scene = replace(self._scene, earlier_code="\n".join(event.code for event in earlier if event.code))
        if needs_files(execution):
            try:
                there = {file.name: file.size_bytes for file in await self._sandbox.list_files()}
            except SandboxError:
                return []
            known = {file.name: file.profile for file in given if there.get(file.name) == file.size_bytes}
            scene = replace(
                scene,
                files=list(there),
                given={name: profile for name, profile in known.items() if profile is not None},
            )
        return hints(code, execution, scene)

    async def file_names(self) -> list[str] | None:
        """The names of the files in the workspace; None if the sandbox cannot list them."""
        try:
            return [file.name for file in await self._sandbox.list_files()]
        except SandboxError:
            return None


def scene_in(environment: Environment, functions: Sequence[HostFunction] = (), native: Collection[str] = ()) -> Scene:
    """The context for hints, without files: code can call `functions`, and only the model those of `native`."""
    policy = environment.policy
    added, has_network = names_of(policy.packages), policy.network != "none"
    return Scene(environment.packages, added=added, tools=native, functions=functions, has_network=has_network)


def _same_failures(code: str, execution: Execution, earlier: Iterable[ToolRan]) -> int:
    failure, lines = _failure(execution), same_lines(code)
    if failure is None:
        return 0
    return sum(
        event.execution is not None and _failure(event.execution) == failure and same_lines(event.code or "") == lines
        for event in earlier
    )


def _failure(execution: Execution) -> tuple[str, str] | None:
    if execution.status in ("timeout", "died"):
        return execution.status, execution.cause or ""
    errors = [output for output in execution.outputs if isinstance(output, ErrorOutput)]
    return (errors[-1].ename, errors[-1].evalue) if errors else None
