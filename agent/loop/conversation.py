"""Questions over one sandbox, one history and one run directory."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files as package_files
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.credentials import secrets_among
from agent.endpoint.generator import Generator
from agent.errors import UsageError
from agent.limits import Limits
from agent.loop.files import Artifacts, check_files, collect_artifacts, keep_files, put_files
from agent.loop.loop import CostOf, Finish, Loop
from agent.loop.rendering import question_message
from agent.loop.result import RunResult
from agent.messages import Usage
from agent.pricing import Prices, total_cost
from agent.progress import Progress
from agent.prompting.version import prompts_sha256
from agent.prompting.words import INSTRUCTION
from agent.record.events import (
    Asked,
    Environment,
    FileRecord,
    GivenFile,
    Instructed,
    ModelReplied,
    ModelSettings,
    ReplyCut,
    Resumed,
    RunFinished,
    RunStarted,
    SandboxChanged,
)
from agent.record.origin import source_sha256
from agent.record.redaction import Redactor
from agent.record.transcript import Transcript, utc_now
from agent.replay.resuming import Past
from agent.review.checks import objections_in
from agent.text import encodable
from agent.tools.functions import FunctionTool
from agent.tools.run_python import TOOL
from sandbox import CellblockError, Change, FileInfo, SandboxError, Session

MAX_TASK_CHARS = 200_000
MIN_COLLECTING_S = 10.0
"""For copying files after an answer that has taken all of its time."""


@dataclass(frozen=True)
class Setup:
    """How an agent answers, whatever it is asked."""

    settings: ModelSettings
    limits: Limits
    tools: Sequence[FunctionTool]
    prices: Prices | None
    """Of the model; None where it has none."""
    cost_of: CostOf | None
    context_tokens: int | None
    secrets: Collection[str] = ()
    """What must not be recorded, beside the secret variables of the sandbox."""


class Conversation:
    """Asks questions one after the other: variables, files and history are kept. `Agent.session` makes one.

    The run directory appears with the first question.
    """

    def __init__(
        self,
        setup: Setup,
        model: Generator,
        sandbox: Session,
        directory: Path,
        on_progress: Callable[[Progress], None],
        *,
        changes: Iterable[Change] = (),
        past: Past | None = None,
    ) -> None:
        """`changes` is what has happened to the sandbox so far; `past` is a run that is gone on with in it."""
        self.run_directory = directory
        self._setup = setup
        self._model = model
        self._sandbox = sandbox
        self._on_progress = on_progress
        self._changes = list(changes)
        self._begun = time.monotonic()
        self._transcript: Transcript | None = None
        self._loop: Loop | None = None
        self._is_asking = False
        self._last = Finish("cancelled", None)
        self._seen: list[FileInfo] | None = None
        """What lay in the workspace when artifacts were last collected; what a stopped answer left is not in it."""
        self._artifacts: dict[str, FileRecord] = {}
        self._omitted = 0
        self._past = past
        """A run of which it is not on record yet that it is gone on with."""
        if past is not None:
            self._take_over(past)
        sandbox.on_change = self._note_change

    def _take_over(self, past: Past) -> None:
        self._transcript = past.transcript
        self._loop = self._new_loop(past.transcript)
        for event in past.transcript.events:
            if isinstance(event, RunFinished):
                self._artifacts |= {record.name: record for record in event.artifacts}
        if finished := past.finished:
            self._last = Finish(finished.outcome, finished.answer, finished.error, finished.limit)
            self._omitted = finished.artifacts_omitted
        if self._last.outcome in ("cancelled", "error"):  # what the last question left was not collected
            self._seen = past.before

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transcript is not None:
            transcript, self._transcript = self._transcript, None
            with transcript:
                if self._past is None:
                    transcript.append(self._finished(transcript))

    @property
    def has_begun(self) -> bool:
        """Whether a question was asked, so that there is a run directory."""
        return self._loop is not None

    async def ask(self, question: str, *, files: Iterable[Path | str] = ()) -> RunResult:
        """Answer one question. `files` are copied into the sandbox's /workspace first.

        A caller who is cancelled stops the answer and may ask the next question. Raises UsageError for a bad question
        or file, SandboxError where the sandbox is lost and no other can be had, EndpointError where the model is.
        """
        check_task(question)
        given = check_files(Path(file) for file in files)
        if self._is_asking:
            raise UsageError("A question is being answered; a session takes one at a time.")
        self._is_asking = True
        try:
            records = await put_files(self._sandbox, given)
            transcript, loop = await self._begin(question, given, records)
            artifacts = await self._answer(transcript, loop.answer, {record.name for record in records})
        finally:
            self._is_asking = False
        return self._result(transcript, loop, artifacts)

    async def go_on(self) -> RunResult:
        """Answer the last question of a run that is gone on with from where it stopped, its unanswered calls first.

        The limits count anew. Raises what `ask` raises, and UsageError where no run is gone on with.
        """
        if self._past is None or self._transcript is None or self._loop is None:
            raise UsageError("There is no answer to go on with.", hint="session.ask(question)")
        self._seen = self._past.before
        self._is_asking = True
        try:
            self._note_resumed(self._transcript)
            artifacts = await self._answer(self._transcript, self._loop.go_on, set())
        finally:
            self._is_asking = False
        return self._result(self._transcript, self._loop, artifacts)

    def _result(self, transcript: Transcript, loop: Loop, artifacts: Artifacts) -> RunResult:
        last, meter = self._last, loop.meter
        return RunResult(
            last.outcome, last.answer, transcript.directory, meter.usage, artifacts.records, last.limit, meter.cost
        )

    async def _begin(self, question: str, given: list[Path], records: list[GivenFile]) -> tuple[Transcript, Loop]:
        """Put the question and its files on record; the first one opens the transcript."""
        if self._transcript is not None and self._loop is not None:
            await asyncio.to_thread(keep_files, self._transcript, given, records)
            self._note_resumed(self._transcript)
            self._loop.give_up_calls()
            if self._last.outcome == "cancelled":
                self._transcript.append(Instructed(reason="stopped", text=INSTRUCTION["stopped"]))
            self._append_question(self._transcript, Asked(task=question, files=records))
            return self._transcript, self._loop
        started = await self._started(question, records)
        secrets = {*self._setup.secrets, *secrets_among(self._sandbox.policy.environment)}
        transcript = Transcript(self.run_directory, clock=utc_now, redactor=Redactor(secrets))
        try:
            await asyncio.to_thread(keep_files, transcript, given, records)
            self._append_question(transcript, started)
        except BaseException:
            transcript.discard()
            raise
        self._transcript = transcript
        self._note_changes()
        self._loop = self._new_loop(transcript)
        return self._transcript, self._loop

    @staticmethod
    def _append_question(transcript: Transcript, asked: RunStarted | Asked) -> None:
        first = asked if isinstance(asked, RunStarted) else transcript.events[0]
        assert isinstance(first, RunStarted)
        transcript.append(asked, lambda clean: question_message(clean, first.settings))

    def _new_loop(self, transcript: Transcript) -> Loop:
        return Loop(
            self._model,
            self._sandbox,
            transcript,
            self._on_progress,
            limits=self._setup.limits,
            tools=self._setup.tools,
            cost_of=self._setup.cost_of,
            context_tokens=self._setup.context_tokens,
        )

    def _note_resumed(self, transcript: Transcript) -> None:
        """Put on record, once, that the run is gone on with."""
        if self._past is None:
            return
        past, self._past = self._past, None
        transcript.append(
            Resumed(
                cellblock_version=version("cellblock"),
                cellblock_sha256=source_sha256(),
                torn_bytes=past.torn_bytes,
                different=past.different,
                settings=self._setup.settings,
                limits=self._setup.limits,
            )
        )
        self._note_changes()

    async def _answer(
        self, transcript: Transcript, answer: Callable[[], Awaitable[Finish]], given: set[str]
    ) -> Artifacts:
        """Go through the loop and keep how it ended, whatever happens."""
        self._last, artifacts = Finish("cancelled", None), Artifacts()
        begun = time.monotonic()
        try:
            there = await self._sandbox.list_files()
            before = [file for file in there if self._seen is None or file in self._seen or file.name in given]
            self._seen = before
            self._last = await answer()
            with suppress(SandboxError, TimeoutError):  # an answer is not lost with the files beside it
                async with asyncio.timeout(self._collecting_s(time.monotonic() - begun)):
                    await collect_artifacts(self._sandbox, before, transcript, artifacts)
                    self._seen = await self._sandbox.list_files()
        except Exception as error:
            known = isinstance(error, CellblockError)
            self._last = Finish("error", self._last.answer, str(error) if known else repr(error))
            raise
        finally:
            self._artifacts |= {record.name: record for record in artifacts.records}
            self._omitted += artifacts.omitted
        return artifacts

    def _collecting_s(self, spent_s: float) -> float | None:
        """How long files may be copied after an answer; None is no limit."""
        limit_s = self._setup.limits.max_seconds
        return None if limit_s is None else max(limit_s - spent_s, MIN_COLLECTING_S)

    def _note_changes(self) -> None:
        changes, self._changes = self._changes, []
        for change in changes:
            self._note_change(change)

    def _note_change(self, change: Change) -> None:
        """Record what happens to the sandbox; what comes before the transcript waits for it."""
        if self._transcript is None or self._past is not None:
            self._changes.append(change)
        else:
            self._transcript.append(SandboxChanged(kind=change.kind, reason=change.reason))

    async def _started(self, question: str, files: list[GivenFile]) -> RunStarted:
        info, description, calls = self._sandbox.info, await self._sandbox.describe(), self._setup.settings.calls
        return RunStarted(
            cellblock_version=version("cellblock"),
            cellblock_sha256=await asyncio.to_thread(source_sha256),
            run_id=self.run_directory.name,
            task=question,
            files=files,
            settings=self._setup.settings,
            tools=[TOOL, *(tool.schema for tool in self._setup.tools)] if calls == "native" else [],
            system_prompt=package_files("agent.prompting").joinpath(f"{calls}.md").read_text(),
            prompts_sha256=prompts_sha256(),
            limits=self._setup.limits,
            prices=self._setup.prices,
            environment=Environment(
                backend=info.backend,
                engine=info.engine,
                engine_host=info.host,
                runtime=info.runtime,
                image=info.image,
                image_id=info.image_id,
                python=description.python,
                implementation=description.implementation,
                kernel=f"ipykernel {description.packages.get('ipykernel', '')}".strip(),
                distribution=description.distribution,
                platform=description.platform,
                packages=description.packages,
                policy=self._sandbox.policy,
            ),
        )

    def _finished(self, transcript: Transcript) -> RunFinished:
        replies = [event for event in transcript.events if isinstance(event, ModelReplied | ReplyCut)]
        cost = total_cost(map(self._setup.cost_of, replies)) if self._setup.cost_of else None
        return RunFinished(
            outcome=self._last.outcome,
            answer=self._last.answer,
            error=self._last.error,
            limit=self._last.limit,
            usage=sum((reply.usage for reply in replies), Usage()),
            cost=cost,
            duration_s=round(time.monotonic() - self._begun, 3),
            artifacts=list(self._artifacts.values()),
            artifacts_omitted=self._omitted,
            objections=objections_in(transcript.events),
        )


def check_task(task: str) -> None:
    """Raises UsageError for a task that no model should be asked."""
    if not task.strip():
        raise UsageError("The task is empty.", hint='cellblock run "What is 123 to the power of 21?"')
    if encodable(task) != task:
        raise UsageError(f"The task is not valid UTF-8: {task[:40]!r}.", hint="export LANG=C.UTF-8")
    if len(task) > MAX_TASK_CHARS:
        raise UsageError(
            f"The task is {len(task)} characters long, over the limit of {MAX_TASK_CHARS}: {task[:40]!r}….",
            hint='put the data into a file: cellblock run "TASK" -f FILE',
        )
