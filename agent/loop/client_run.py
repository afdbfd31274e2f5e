"""A run whose code a client writes: cells without a model, over one sandbox and one run directory."""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Self

from agent.limits import Limits
from agent.loop.cells import Cells, scene_in
from agent.loop.files import check_files, keep_files, put_files
from agent.loop.rendering import observation_message, question_message
from agent.loop.run_events import run_started
from agent.loop.workspace import Workspace
from agent.messages import Usage
from agent.progress import ignore
from agent.prompting.observation import endings
from agent.prompting.words import OBSERVATION
from agent.record.events import (
    Asked,
    Beginning,
    FileRecord,
    GivenFile,
    ModelSettings,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
)
from agent.record.redaction import Redactor
from agent.record.transcript import Transcript, utc_now
from agent.text import encodable
from agent.tools.run_python import TOOL
from sandbox import Change, Execution, Output, SandboxError, Session
from sandbox.pictures import Picture

CLIENT = "client"
"""What stands for the URL of a model in the record: a client writes the code, and where it has it from is unknown."""
COLLECTING_S = 10.0


class ClientRun:
    """Runs and records the cells of a client, one at a time. `begun` makes one; close it before its sandbox ends.

    The record is that of a run without turns of a model: each cell is a `tool` event, and files that the client gives
    come with a question.
    """

    def __init__(self, sandbox: Session, transcript: Transcript, on_output: Callable[[Output], None]) -> None:
        self._sandbox = sandbox
        self._transcript = transcript
        self._workspace = Workspace(sandbox)
        self._settings = self._started.settings
        self._cells = Cells(sandbox, on_output, scene=scene_in(self._started.environment))
        self._begun_s = time.monotonic()
        self._lock = asyncio.Lock()
        """The record has the order in which the sandbox did things."""

    @classmethod
    async def begun(
        cls,
        sandbox: Session,
        directory: Path,
        client: str,
        *,
        secrets: Collection[str],
        on_output: Callable[[Output], None] = ignore,
    ) -> Self:
        """Begin a run in a new directory. `client` is its name; `secrets` are not recorded; `on_output` hears cells.

        Raises TranscriptError or UsageError for a directory that cannot take a run.
        """
        asked = Asked(task=f"The client {client} runs its own code.", files=[])
        started = await run_started(_beginning(client), sandbox, run_id=directory.name, asked=asked)
        transcript = Transcript(directory, clock=utc_now, redactor=Redactor(secrets))
        transcript.append(started, lambda clean: question_message(clean, clean.settings))
        transcript.append(SandboxChanged(kind="started", reason=sandbox.info.sandbox_id))
        run = cls(sandbox, transcript, on_output)
        sandbox.on_change = run._note_change
        try:
            await run._workspace.begin(())
        except BaseException:
            transcript.close()
            raise
        return run

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self._transcript.directory

    async def shrunk(self, picture: bytes, *, side_pixels: int, max_bytes: int) -> Picture | None:
        """A smaller copy of a picture; None if the sandbox cannot make one."""
        return await self._sandbox.shrink_picture(picture, side_pixels=side_pixels, max_bytes=max_bytes)

    @property
    def is_over(self) -> bool:
        """True if the session's time is over, so that no more cell can run."""
        return self._cells.is_over

    @property
    def cells(self) -> Sequence[ToolRan]:
        """The recorded cells, in order."""
        return [event for event in self._transcript.events if isinstance(event, ToolRan)]

    async def run(self, code: str) -> ToolRan:
        """Run and record a cell. A caller who is cancelled interrupts it. Raises SandboxError if the sandbox fails."""
        code = encodable(code)
        async with self._lock:
            try:
                cell = await self._cells.run(code, self.cells)
            except SandboxError as error:
                self._record(code, None, OBSERVATION["not_run"].format(why=error.message))
                raise
            ran = self._record(code, cell.execution, cell.observation)
        if cell.is_cancelled:
            raise asyncio.CancelledError
        return ran

    async def give(self, files: Sequence[Path]) -> list[GivenFile]:
        """Copy host files into the workspace and into the record, under their own names.

        Raises UsageError for a file that is too large, cannot be read, or holds a secret of the run.
        """
        given = check_files(files)
        async with self._lock:
            return await self._give(given)

    async def _give(self, given: list[Path]) -> list[GivenFile]:
        await self._collect()
        records = await put_files(self._sandbox, given)
        await asyncio.to_thread(keep_files, self._transcript, given, records)
        names = [record.name for record in records]
        asked = Asked(task=f"The client puts {', '.join(names)} into the workspace.", files=records)
        self._transcript.append(asked, lambda clean: question_message(clean, self._settings))
        await self._workspace.begin(names)
        return records

    async def collect(self) -> list[FileRecord]:
        """Copy into the record what cells have left in the workspace since the last copy."""
        async with self._lock:
            return await self._collect()

    async def _collect(self) -> list[FileRecord]:
        return await self._workspace.collect(self._transcript, within_s=COLLECTING_S)

    async def close(self) -> None:
        """Copy the files that the cells left, and end the record."""
        async with self._lock:
            with self._transcript:
                self._sandbox.on_change = ignore
                await self._finish()

    async def _finish(self) -> None:
        await self._collect()
        self._transcript.append(
            RunFinished(
                outcome="answered",
                answer=None,
                error=None,
                usage=Usage(),
                cost=None,
                duration_s=round(time.monotonic() - self._begun_s, 3),
                artifacts=list(self._workspace.artifacts.values()),
                artifacts_omitted=self._workspace.omitted,
            )
        )

    def _record(self, code: str, execution: Execution | None, observation: str) -> ToolRan:
        ran = ToolRan(
            call_id=f"cell_{len(self.cells) + 1}",
            arguments=json.dumps({"code": code}, ensure_ascii=False),
            code=code,
            execution=execution,
            observation=observation,
            notes=endings(execution) if execution else [],
        )
        return self._transcript.append(ran, lambda clean: observation_message(clean, self._settings))

    @property
    def _started(self) -> RunStarted:
        return next(event for event in self._transcript.events if isinstance(event, RunStarted))

    def _note_change(self, change: Change) -> None:
        self._transcript.append(SandboxChanged(kind=change.kind, reason=change.reason))


def _beginning(client: str) -> Beginning:
    settings = ModelSettings(
        model=client, base_url=CLIENT, temperature=None, top_p=None, max_output_tokens=None, seed=None
    )
    return Beginning(settings=settings, tools=[TOOL], system_prompt="", history=[], limits=Limits(), prices=None)
