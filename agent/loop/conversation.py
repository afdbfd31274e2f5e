"""Questions over one sandbox, one history and one run directory."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.answers import AnswerType
from agent.errors import UsageError
from agent.loop.files import check_files, keep_files, put_files
from agent.loop.loop import Finish, Loop
from agent.loop.rendering import question_message
from agent.loop.result import RunResult
from agent.loop.run_events import beginning_for, question_finished, run_finished, run_resumed, run_started
from agent.loop.setup import Anew, Setup
from agent.loop.workspace import Workspace
from agent.messages import Message, ToolCall
from agent.paths import Files, paths_of
from agent.progress import Progress
from agent.prompting.words import INSTRUCTION
from agent.record.events import (
    Asked,
    Beginning,
    Compared,
    FileRecord,
    Instructed,
    QuestionFinished,
    RunStarted,
    SandboxChanged,
)
from agent.record.history import beginning_of
from agent.record.question import Question
from agent.record.redaction import Redactor
from agent.record.transcript import Transcript, read, utc_now
from agent.replay.resuming import Past
from agent.review.agreement import Found, agreement
from agent.text import encodable
from sandbox import CellblockError, Change, Session

MAX_TASK_CHARS = 200_000
MIN_COLLECTING_S = 10.0
"""For copying files after an answer that has taken all of its time."""


class Conversation:
    """Asks questions one after the other: variables, files and history are kept. `Agent.session` makes one.

    The run directory appears with the first question.
    """

    def __init__(
        self, setup: Setup, sandbox: Session, run: Path | Past, on_progress: Callable[[Progress], None]
    ) -> None:
        """`run` is the directory of a new run, or a past run whose cells were run again in the sandbox."""
        self.different: list[str] = []
        """The numbers of the cells of a past run that give something else now."""
        self._setup = setup
        self._sandbox = sandbox
        self._on_progress = on_progress
        self._begun_s = time.monotonic()
        self._transcript: Transcript | None = None
        self._loop: Loop | None = None
        self._is_asking = False
        self._last = Finish("cancelled", None)
        self._finished: QuestionFinished | None = None
        self._workspace = Workspace(sandbox)
        self._past: Past | None = None
        """A past run, until it is recorded that it is resumed."""
        if isinstance(run, Past):
            self.run_directory = run.transcript.directory
            self.different = run.different
            self._changes = [run.sandbox_started]
            self._take_over(run)
        else:
            self.run_directory = run
            self._changes = [Change("started", sandbox.info.sandbox_id)]
        sandbox.on_change = self._note_change

    def _take_over(self, past: Past) -> None:
        self._past = past
        self._transcript = past.transcript
        self._loop = self._new_loop(past.transcript)
        self._workspace.take_over(past)
        if finished := past.finished:
            self._last = Finish(finished.outcome, finished.answer, finished.error, finished.limit)
        if self._last.outcome in ("cancelled", "error"):  # what the last question left was not collected
            self._workspace.look_back(past)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transcript is None:
            return
        transcript, self._transcript = self._transcript, None
        with transcript:
            if self._past is None:
                duration_s = time.monotonic() - self._begun_s
                transcript.append(
                    run_finished(self._setup, transcript.events, self._last, self._workspace, duration_s=duration_s)
                )

    @property
    def has_begun(self) -> bool:
        """True if a question was asked, so that there is a run directory."""
        return self._loop is not None

    async def ask(
        self,
        question: str,
        *,
        files: Files = (),
        answer: Any = None,
        images: Sequence[str] = (),
        anew: Anew | None = None,
    ) -> RunResult:
        """Answer one question. `files` are copied into the sandbox's /workspace first.

        `answer` is the type of the answer, such as a pydantic model, or a JSON schema; the result's `value` has it.
        `images` are URLs, often of data, for a model that sees. With `anew`, the model reads another history than that
        of this conversation, under other rules; later questions go on from there.

        A caller who is cancelled stops the answer and may ask the next question. Raises UsageError for a bad question
        or file, SandboxError if the sandbox is lost and no other starts, EndpointError if the model does not answer.
        """
        check_task(question)
        given = check_files(paths_of(files))
        answer_type = None if answer is None else AnswerType.of(answer)
        if self._is_asking:
            raise UsageError("A question is being answered; a session takes one at a time.")
        self._is_asking = True
        try:
            removed = list(anew.removed) if anew and self.has_begun else []
            if removed:
                await self._sandbox.remove_files(removed)
            records = await put_files(self._sandbox, given)
            schema = dict(answer_type.schema) if answer_type else None
            call_id = anew.call_id if anew else None
            must_call = list(anew.must_call) if anew else []
            asked = Asked(
                task=question,
                files=records,
                images=list(images),
                call_id=call_id,
                answer_schema=schema,
                must_call=must_call,
                removed=removed,
            )
            transcript, loop = await self._begin(asked, given, anew)
            artifacts = await self._answer(
                transcript, lambda: loop.answer(answer_type), {record.name for record in records}
            )
        finally:
            self._is_asking = False
        return self._result(transcript, loop, artifacts)

    @property
    def waiting(self) -> list[ToolCall]:
        """The calls whose results `bring` is to bring."""
        return Question.last_of(self._transcript.events).unanswered if self._transcript else []

    async def bring(self, results: Mapping[str, str], setup: Setup | None = None) -> RunResult:
        """Go on with an answer that ended with the outcome "called".

        `results` are what the caller's functions returned, by the ids of their calls. `setup` are the rules from here
        on, with the same functions. Raises what `ask` raises, and UsageError if a call has no result.
        """
        transcript, waiting = self._transcript, self.waiting
        missing = [call.id for call in waiting if call.id not in results]
        if transcript is None or missing or not waiting:
            raise UsageError(f"The call {missing[0]!r} has no result." if missing else "No call waits for a result.")
        self._is_asking = True
        try:
            self._note_resumed(transcript)
            self._setup = setup or self._setup
            self._loop = loop = self._new_loop(transcript)
            loop.bring(results)
            artifacts = await self._answer(transcript, loop.go_on, ())
        finally:
            self._is_asking = False
        return self._result(transcript, loop, artifacts)

    async def go_on(self) -> RunResult:
        """Answer the last question of a past run from where it stopped, its unanswered calls first.

        The limits count anew. Raises what `ask` raises, and UsageError if there is no past run.
        """
        if self._past is None or self._transcript is None or self._loop is None:
            raise UsageError("There is no stopped answer to resume.", hint="session.ask(question)")
        self._workspace.look_back(self._past)
        self._is_asking = True
        try:
            self._note_resumed(self._transcript)
            artifacts = await self._answer(self._transcript, self._loop.go_on, ())
        finally:
            self._is_asking = False
        return self._result(self._transcript, self._loop, artifacts)

    def compare(self, result: RunResult, directory: Path, second: RunResult | None) -> RunResult:
        """Record what a second run of the last question found, in its directory; None if it failed.

        Returns the result of this run, with it.
        """
        if self._transcript is None:
            raise UsageError("No question was asked that could be compared.")
        event = Compared(run=directory.name, outcome="error", answer=None)
        if second is not None:
            found = Found(read(directory).events, second.answer, second.artifacts)
            agreed = agreement(Found(self._transcript.events, result.answer, result.artifacts), found)
            event = Compared(
                run=directory.name,
                outcome=second.outcome,
                answer=second.answer,
                compared=len(agreed.compared),
                missing=agreed.missing,
            )
        return replace(result, second=self._transcript.append(event))

    def _result(self, transcript: Transcript, loop: Loop, artifacts: list[FileRecord]) -> RunResult:
        last, taken, directory = self._last, loop.meter, transcript.directory
        question = Question.last_of(transcript.events)
        return RunResult(
            last.outcome,
            last.answer,
            directory,
            taken.usage,
            artifacts,
            last.limit,
            taken.cost,
            self._finished.support if self._finished else [],
            self._finished.unasked if self._finished else [],
            last.value,
            question.unanswered if last.outcome == "called" else [],
            last.error,
            question.pictures,
        )

    async def _begin(self, asked: Asked, given: list[Path], anew: Anew | None) -> tuple[Transcript, Loop]:
        """Record the question and its files; the first one opens the transcript."""
        self._setup = anew.setup if anew else self._setup
        if self._transcript is None or self._loop is None:
            return await self._begin_run(asked, given, anew.history if anew else ())
        await asyncio.to_thread(keep_files, self._transcript, given, asked.files)
        self._note_resumed(self._transcript)
        self._loop.give_up_calls()
        if self._last.outcome == "cancelled":
            self._transcript.append(Instructed(reason="stopped", text=INSTRUCTION["stopped"]))
        if anew is not None and not self._goes_on(anew, self._transcript):
            asked = asked.model_copy(update={"beginning": beginning_for(anew.setup, anew.history)})
        _append_question(self._transcript, asked)
        self._loop = self._new_loop(self._transcript) if anew else self._loop
        return self._transcript, self._loop

    def _goes_on(self, anew: Anew, transcript: Transcript) -> bool:
        """True if the requests for a question are those for the questions before it, and more."""
        now = beginning_of(transcript.events)
        then = beginning_for(anew.setup, now.history)
        return anew.is_said_here and all(getattr(now, name) == getattr(then, name) for name in Beginning.model_fields)

    async def _begin_run(self, asked: Asked, given: list[Path], history: Sequence[Message]) -> tuple[Transcript, Loop]:
        beginning = beginning_for(self._setup, history)
        started = await run_started(beginning, self._sandbox, run_id=self.run_directory.name, asked=asked)
        transcript = Transcript(self.run_directory, clock=utc_now, redactor=Redactor(self._setup.secrets))
        try:
            await asyncio.to_thread(keep_files, transcript, given, asked.files)
            _append_question(transcript, started)
        except BaseException:
            transcript.discard()
            raise
        self._transcript = transcript
        self._note_changes()
        self._loop = self._new_loop(transcript)
        return transcript, self._loop

    def _new_loop(self, transcript: Transcript) -> Loop:
        return Loop(
            self._setup.model,
            self._sandbox,
            transcript,
            self._on_progress,
            limits=self._setup.limits,
            tools=self._setup.tools,
            cost_of=self._setup.cost_of,
            context_tokens=self._setup.context_tokens,
        )

    async def _answer(
        self, transcript: Transcript, answer: Callable[[], Awaitable[Finish]], given: Collection[str]
    ) -> list[FileRecord]:
        """Go through the loop and keep how it ended, whatever happens. Returns the files that the answer left."""
        self._last, self._finished = Finish("cancelled", None), None
        begun_s = time.monotonic()
        try:
            await self._workspace.begin(given)
            self._last = await answer()
            within_s = self._collecting_s(time.monotonic() - begun_s)
            artifacts = await self._workspace.collect(transcript, within_s=within_s)
            self._finished = await self._record_end(transcript)
            return artifacts
        except Exception as error:
            told = error.for_shell if isinstance(error, CellblockError) else repr(error)
            self._last = Finish("error", self._last.answer, told)
            raise

    async def _record_end(self, transcript: Transcript) -> QuestionFinished | None:
        """Record how the question ended, and where its answer comes from; nothing if it goes on with results."""
        if self._last.outcome == "called":
            return None
        files, checks = set(self._workspace.artifacts), self._setup.settings.review or ()
        event = await asyncio.to_thread(question_finished, transcript.events, self._last, files=files, checks=checks)
        self._last = replace(self._last, outcome=event.outcome)
        return transcript.append(event)

    def _collecting_s(self, spent_s: float) -> float | None:
        """How long files may be copied after an answer; None is no limit."""
        limit_s = self._setup.limits.max_seconds
        return None if limit_s is None else max(limit_s - spent_s, MIN_COLLECTING_S)

    def _note_resumed(self, transcript: Transcript) -> None:
        """Record, once, that a past run is resumed."""
        if self._past is not None:
            past, self._past = self._past, None
            transcript.append(run_resumed(self._setup, past))
            self._note_changes()

    def _note_changes(self) -> None:
        changes, self._changes = self._changes, []
        for change in changes:
            self._note_change(change)

    def _note_change(self, change: Change) -> None:
        """Record what happens to the sandbox; what comes before the first event of ours waits for it."""
        if self._transcript is None or self._past is not None:
            self._changes.append(change)
        else:
            self._transcript.append(SandboxChanged(kind=change.kind, reason=change.reason))


def _append_question(transcript: Transcript, asked: RunStarted | Asked) -> None:
    settings = beginning_of([*transcript.events, asked]).settings
    transcript.append(asked, lambda clean: question_message(clean, settings))


def check_task(task: str) -> None:
    """Raises UsageError for a task that no model should be asked."""
    if not task.strip():
        raise UsageError(
            "The task is empty.",
            hint='cellblock run "What is 123 to the power of 21?"',
            in_python='agent.run("What is 123 to the power of 21?")',
        )
    if encodable(task) != task:
        raise UsageError(f"The task is not valid UTF-8: {task[:40]!r}.", hint="export LANG=C.UTF-8")
    if len(task) > MAX_TASK_CHARS:
        raise UsageError(
            f"The task is {len(task)} characters long, over the limit of {MAX_TASK_CHARS}: {task[:40]!r}….",
            hint='put the data into a file: cellblock run "TASK" -f FILE',
            in_python="put the data into a file: agent.run(task, files=FILE)",
        )
