"""Repeats the steps of a recorded run, in fresh sandboxes like those of the record."""

import shlex
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from agent.errors import TranscriptError
from agent.progress import ignore
from agent.record.events import RunStarted
from agent.record.transcript import Recorded
from agent.replay.answers import RecordedAnswers
from agent.replay.narrowing import narrowed
from agent.replay.steps import Collect, GiveFiles, RemoveFiles, RunCell, SkipCall, Step
from sandbox import Change, Execution, FileInfo, ImageError, Launcher, Policy, SandboxError, Session

FIRST_FIXED_VERSION = 2
"""The first schema version in which every sandbox has a fixed hash seed."""
STOPS = ("interrupted", "session_timeout")
"""The causes that stop a cell from outside, at any time."""
MIN_STOP_S = 0.05
PATIENCE = 10
"""A cell that finished in the record gets this many times its time-out: this machine may be slower, or busy."""
MAX_READ_BYTES = 16 << 20


def policy_of(recorded: Recorded, own: Policy, *, update_image: bool = False) -> Policy:
    """Narrow the user's `own` policy by the run's. Raises UsageError for a network or an image that `own` lacks."""
    policy = narrowed(recorded, own, update_image=update_image).policy
    if recorded.schema_version < FIRST_FIXED_VERSION:
        variables = {"PYTHONHASHSEED": "random"} | dict(policy.environment)
        policy = Policy.model_validate(policy.model_dump() | {"environment": variables})
    return policy


class Rerun:
    """Repeats steps; use it as a context manager. `session` is the sandbox after the last step."""

    def __init__(
        self,
        launcher: Launcher,
        policy: Policy,
        recorded: Recorded,
        *,
        update_image: bool = False,
        on_change: Callable[[Change], None] = ignore,
    ) -> None:
        """With `update_image`, the image may have another digest than the recorded one."""
        self.left: dict[str, str | None] = {}
        """The SHA-256 of each file that a question left in the workspace, by name."""
        self.contents: dict[str, bytes] = {}
        """The contents of the files that differ from the record, up to 16 MiB each."""
        self.before: list[FileInfo] = []
        """The files before the first question whose artifacts are not recorded, or before the last question."""
        self.other_calls: tuple[str, ...] = ()
        """A line for each call of the last cell that the record does not have."""
        self._launcher = launcher
        self._policy = policy
        self._recorded = recorded
        self._update_image = update_image
        self._on_change = on_change
        self._given: dict[str, str] = {}
        finished = recorded.finished
        self._expected = {file.name: file.sha256 for file in finished.artifacts} if finished else {}
        self.session = self._new_session()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.session.close()
            raise
        return self

    async def _start(self) -> None:
        started = self._recorded.started
        try:
            await self.session.start()
        except ImageError as error:
            if self._update_image:
                raise
            raise _missing_image(started, self._recorded.directory) from error
        if not self._update_image and self.session.info.image_id != started.environment.image_id:
            raise _missing_image(started, self._recorded.directory)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def do(self, step: Step) -> Execution | None:
        """Do one step; returns the execution of a cell. Raises SandboxError, and TranscriptError for a missing file."""
        match step:
            case GiveFiles():
                await self._give(step)
            case RemoveFiles(names=names):
                await self.session.remove_files(names)
            case RunCell():
                return await self._run(step)
            case SkipCall(loses_sandbox=True):
                await self._renew()
            case Collect():
                await self._collect()
        return None

    def _new_session(self) -> Session:
        return Session(self._launcher, self._policy, on_change=self._on_change)

    async def _renew(self) -> None:
        await self.session.close()
        self.session = self._new_session()
        self._given.clear()

    async def _give(self, step: GiveFiles) -> None:
        for file in step.files:
            if not self._recorded.blobs.has(file.sha256):
                raise TranscriptError(f"The run {str(self._recorded.directory)!r} holds no copy of {file.name!r}.")
            with self._recorded.blobs.opened(file.sha256) as copy:
                moved = await self.session.put_file(copy, file.name)
            if moved.sha256 != file.sha256:
                raise TranscriptError(
                    f"The copy of {file.name!r} in the run {str(self._recorded.directory)!r} was changed."
                )
            self._given[file.name] = file.sha256
        there = await self.session.list_files()
        is_recorded = step.is_after_end or self._recorded.finished is not None
        given = {file.name for file in step.files}
        self.before = [file for file in there if is_recorded or file in self.before or file.name in given]

    async def _run(self, step: RunCell) -> Execution:
        recorded = step.recorded
        if step.place == "new_sandbox":
            await self._renew()
        elif step.place == "new_kernel":
            await self.session.restart()
        answers = RecordedAnswers(step.calls)
        self.session.offer(step.functions, answers.answer)
        execution = await self.session.execute(step.code, timeout_s=self._timeout_s(recorded))
        self.other_calls = answers.differences
        as_recorded: dict[str, object] = {}
        if recorded.cause in STOPS and execution.cause == "timeout":
            as_recorded["cause"] = recorded.cause
        if step.place != "same_kernel":
            as_recorded |= {"state_lost": recorded.state_lost, "files_lost": recorded.files_lost}
        return execution.model_copy(update=as_recorded)

    def _timeout_s(self, recorded: Execution) -> float:
        """The time limit of a cell. A stopped cell is stopped again, by the same limit or after the same time."""
        limit_s = self._policy.cell_timeout_s
        if recorded.cause in STOPS:
            return min(max(recorded.duration_s, MIN_STOP_S), limit_s)
        return limit_s if recorded.status == "timeout" else limit_s * PATIENCE

    async def _collect(self) -> None:
        try:
            files = await self.session.list_files(hashed=True)
        except SandboxError:  # the record has no files from a lost sandbox either
            return
        for file in files:
            if file.sha256 is not None and self._given.get(file.name) == file.sha256:
                continue
            self.left[file.name] = file.sha256
            if self._expected.get(file.name) != file.sha256 and file.size_bytes <= MAX_READ_BYTES:
                self.contents[file.name] = await self._read(file.name)

    async def _read(self, name: str) -> bytes:
        with TemporaryDirectory(prefix="cellblock-") as folder:
            target = Path(folder) / "file"
            await self.session.get_file(name, target)
            return target.read_bytes()


def _missing_image(run: RunStarted, directory: Path) -> ImageError:
    """Build the error for a missing image; its hint says how to get the image, or how to replay with another."""
    environment = run.environment
    return ImageError(
        f"The image of this run is missing: {environment.image} with the digest {environment.image_id}.",
        hint="docker load or docker pull it, or see what another image changes: "
        f"cellblock replay {shlex.quote(str(directory))} --update-image",
    )
