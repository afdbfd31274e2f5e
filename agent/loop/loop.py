"""think → execute → integrate: the model is asked, its calls are run, and it reads the output."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent import progress
from agent.answers import AnswerType, MismatchError
from agent.endpoint.finish import REFUSED
from agent.endpoint.generator import Generator
from agent.errors import EndpointError
from agent.limits import LimitName, Limits, Meter
from agent.loop.asker import Asker
from agent.loop.cells import Cells, CodeRunner, scene_in
from agent.loop.function_calls import FunctionCalls
from agent.loop.rendering import observation_message
from agent.messages import RUN_PYTHON, Cost, ToolCall
from agent.progress import Progress
from agent.prompting.hints import Scene
from agent.prompting.observation import endings
from agent.prompting.words import INSTRUCTION, OBSERVATION
from agent.record.events import (
    Asked,
    Event,
    GivenFile,
    Instructed,
    ModelReplied,
    Outcome,
    ReplyCut,
    RunStarted,
    ToolRan,
)
from agent.record.history import beginning_of
from agent.record.question import Question
from agent.record.transcript import Transcript
from agent.review.reviewer import Reviewer
from agent.text import cut_middle, encodable
from agent.tools import run_python
from agent.tools.functions import FunctionTool
from agent.tools.outside import OutsideTool
from sandbox import Execution

MAX_SAID_CHARS = 32 << 20
"""The limit for all replies to one question together. A usual run needs a hundredth of it."""
MAX_REWRITES = 2
"""How often an answer is asked for again that does not fit its schema."""
LONG_CHARS = 12_000
"""After so many characters of replies and outputs, the model reads the question again."""
MAX_RESULT_CHARS = 1_000_000
"""What is kept of a result that the caller brings. It is the caller's own, and the model may well read all of it."""
CostOf = Callable[[ModelReplied | ReplyCut], Cost | None]
"""The cost of one request; None if the model has no price."""


@dataclass(frozen=True)
class Finish:
    """How a question ended: by an answer, at a limit with the best answer so far, or without one.

    With the outcome "called", it waits for the results of calls.
    """

    outcome: Outcome
    answer: str | None
    error: str | None = None
    limit: LimitName | None = None
    value: Any = None
    """The value of a typed answer; None if its type was not asked for, or if the answer does not fit it."""


class Loop:
    """Questions over one session, one after the other. All that it decides and sees is in the transcript."""

    def __init__(
        self,
        model: Generator,
        sandbox: CodeRunner,
        transcript: Transcript,
        on_progress: Callable[[Progress], None],
        *,
        limits: Limits | None = None,
        tools: Sequence[FunctionTool | OutsideTool] = (),
        cost_of: CostOf | None = None,
        context_tokens: int | None = None,
    ) -> None:
        """`context_tokens` is what the model can read and write together; None if unknown."""
        self._transcript = transcript
        self._on_progress = on_progress
        self._limits = limits or Limits()
        self._started = next(event for event in transcript.events if isinstance(event, RunStarted))
        self._beginning = beginning_of(transcript.events)
        self._settings = self._beginning.settings
        self._functions = {tool.name: tool for tool in tools}
        self._cost_of = cost_of
        is_native = self._settings.calls == "native"
        parameters = {tool.name: tool.parameters for tool in tools} if is_native else {}
        self._asker = Asker(model, transcript, on_progress, others=parameters, context_tokens=context_tokens)
        self._calls = FunctionCalls(
            (tool for tool in tools if isinstance(tool, FunctionTool) and tool.is_for_code),
            transcript,
            may_call=self._may_call_function,
            within_s=self._limits.max_function_seconds,
            max_result_bytes=self._started.environment.policy.function_result_bytes,
        )
        sandbox.offer(self._calls.definitions, self._calls.answer)
        self._cells = Cells(
            sandbox,
            lambda output: on_progress(progress.OutputPiece(output)),
            scene=self._scene(),
        )
        self._reviewer = Reviewer(self._settings.review or (), self._functions, self._cells.file_names)
        self.meter = Meter(self._limits)
        self._answer_type: AnswerType | None = None

    def _may_call_function(self) -> bool:
        return self.meter.count_function_call()

    def _scene(self) -> Scene:
        functions = self._calls.definitions
        native = self._functions.keys() - {function.name for function in functions}
        return scene_in(self._started.environment, functions, native)

    @property
    def _given(self) -> list[GivenFile]:
        """The files that came with all questions so far."""
        return [
            file for event in self._transcript.events if isinstance(event, RunStarted | Asked) for file in event.files
        ]

    @property
    def _question(self) -> Question:
        return Question.last_of(self._transcript.events)

    async def answer(self, answer_type: AnswerType | None = None) -> Finish:
        """Answer the last question of the transcript. At the limit on time, the running cell is stopped."""
        self.meter = Meter(self._limits)
        self._answer_type = answer_type
        return await self._in_time(self._take_turns())

    async def go_on(self) -> Finish:
        """Answer the transcript's last question from where it stops, as `answer` would; the limits count from here."""
        self.meter = Meter(self._limits)
        schema = self._question.asked.answer_schema
        self._answer_type = None if schema is None else AnswerType.of(schema)
        return await self._in_time(self._catch_up())

    def bring(self, results: Mapping[str, str]) -> None:
        """Record the results of the caller's functions, by the ids of their calls."""
        for call in self._question.unanswered:
            tool = self._called(call)
            if call.id in results and tool is not None:
                told = cut_middle(encodable(results[call.id]), MAX_RESULT_CHARS, OBSERVATION["cut"])
                self._record(call, told, tool=tool.name)

    def give_up_calls(self) -> None:
        """Record that the calls of the last reply are not run: each call needs an answer in the history."""
        for call in self._question.unanswered:
            self._record(call, OBSERVATION["not_run"].format(why=OBSERVATION["turn_over"]))

    async def _in_time(self, work: Awaitable[Finish]) -> Finish:
        try:
            async with asyncio.timeout(self._limits.max_seconds) as deadline:
                return await work
        except TimeoutError:
            if not deadline.expired():
                raise
            return Finish("limit", self._question.best_text, limit="seconds")

    async def _take_turns(self) -> Finish:
        """Take turns until the model answers without a call. At a limit, it has one last turn without tools."""
        while (limit := self._limit()) is None:
            replied = await self._next_turn()
            if replied.tool_calls:
                await self._execute_all(replied.tool_calls)
                if self._question.unanswered:
                    return Finish("called", replied.content.strip() or None)
            elif finish := await self._answered(replied):
                return finish
        if limit in ("cost", "written"):
            return Finish("limit", self._question.best_text, limit=limit)
        self._instruct("limit", INSTRUCTION["limit_failed" if self._question.has_only_failed else "limit"])
        last = await self._think([], may_call=False)
        answer = last.content.strip() or self._question.best_text
        return Finish("limit", answer, limit=limit, value=self._value_in(answer or "")[0])

    async def _next_turn(self) -> ModelReplied:
        """A turn with the tools; or, if the answer is to be written again so that it fits its schema, one without."""
        last = self._question.since[-1:]
        if self._answer_type and last and isinstance(last[0], Instructed) and last[0].reason == "schema":
            return await self._think([], may_call=False, schema=self._answer_type.schema)
        must_call = () if self._question.replies else self._question.asked.must_call
        return await self._think(self._beginning.tools, must_call=must_call)

    async def _catch_up(self) -> Finish:
        """Run the calls of the last reply that have no answer, then take turns."""
        question = self._question
        if question.has_ended_early:
            self._instruct("resumed", INSTRUCTION["resumed"])
        elif question.replies:
            is_judged = any(isinstance(event, ToolRan | Instructed) for event in question.after_reply)
            if calls := question.unanswered:
                await self._execute_all(calls)
                if self._question.unanswered:
                    return Finish("called", question.replies[-1].content.strip() or None)
            elif not is_judged and (finish := await self._answered(question.replies[-1])):
                return finish
        return await self._take_turns()

    async def _answered(self, replied: ModelReplied) -> Finish | None:
        """Accept a reply without a call as the answer, or tell the model what a check objects to.

        A refusal is the answer: a model that is asked again only refuses again.
        """
        if replied.finish_reason == REFUSED:
            return Finish("answered", replied.content.strip())
        is_last_turn = self.meter.is_last_turn()
        if self._is_uncalled() and not is_last_turn:
            self._instruct("uncalled", self._uncalled_words())
            return None
        objection = await self._reviewer.objection(replied, self._transcript.events, is_last_turn=is_last_turn)
        if objection is not None:
            if objection.reason in ("empty", "cut"):
                self.meter.count_attempt(failed=True)
            self._transcript.append(objection)
            return None
        if self._question.has_only_failed:
            return Finish("failed", replied.content.strip())
        return self._typed(replied.content.strip())

    def _is_uncalled(self) -> bool:
        """True if the caller wants a call that was not made, and the model has not been told so yet."""
        question = self._question
        called = {self._name_of(call) for reply in question.replies for call in reply.tool_calls}
        wanted = question.asked.must_call
        return bool(wanted) and called.isdisjoint(wanted) and "uncalled" not in question.instructed

    def _uncalled_words(self) -> str:
        if self._settings.calls == "fenced":
            return INSTRUCTION["write"]
        return INSTRUCTION["uncalled"].format(tools=" or ".join(self._question.asked.must_call))

    def _typed(self, answer: str) -> Finish | None:
        """Accept an answer that fits its schema, if it has one. None if the model is to write it again."""
        value, why = self._value_in(answer)
        if why is None:
            return Finish("answered", answer, value=value)
        if self._question.instructed.count("schema") == MAX_REWRITES:
            return Finish("failed", answer, error=f"The answer does not fit its schema: {why}")
        self._instruct("schema", INSTRUCTION["schema"].format(why=why))
        return None

    def _value_in(self, answer: str) -> tuple[Any, str | None]:
        """The value of a typed answer, or why it has none."""
        if self._answer_type is None:
            return None, None
        try:
            return self._answer_type.value_of(answer), None
        except MismatchError as error:
            return None, str(error)

    async def _think(
        self,
        tools: list[dict[str, Any]],
        *,
        may_call: bool = True,
        must_call: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
    ) -> ModelReplied:
        begun = len(self._transcript.events)
        try:
            left = self.meter.left_to_write
            replied = await self._asker.ask(
                tools, may_call=may_call, must_call=must_call, schema=schema, max_output_tokens=left
            )
        finally:
            for cut in self._transcript.events[begun:]:
                if isinstance(cut, ReplyCut):
                    self.meter.count_request(cut.usage, self._cost_of(cut) if self._cost_of else None)
        self.meter.count_turn(replied.usage, self._cost_of(replied) if self._cost_of else None)
        self._check_said()
        return replied

    def _check_said(self) -> None:
        """Bound the replies: each is kept in memory and sent with each request. Raises EndpointError."""
        if sum(map(_said_chars, self._question.since)) > MAX_SAID_CHARS:
            raise EndpointError(
                f"The replies to this question have more than {MAX_SAID_CHARS:,} characters together.",
                hint="cellblock run --max-output-tokens 8192 ...",
                in_python="Sampling(max_output_tokens=8192)",
            )

    def _limit(self) -> LimitName | None:
        return "session" if self._cells.is_over else self.meter.reached()

    def _instruct(self, reason: Literal["limit", "resumed", "schema", "uncalled"], text: str) -> None:
        self._transcript.append(Instructed(reason=reason, text=text))

    async def _execute_all(self, calls: list[ToolCall]) -> None:
        """Run the calls of one turn in order. Each gets a recorded answer, whatever happens, unless the caller runs it.

        An answer that goes on with results of the caller's has an answer to each call.
        """
        calls = [call for call in calls if not self._is_outside(call)]
        done = 0
        try:
            for call in calls:
                is_cancelled = await self._execute(call)
                done += 1
                if is_cancelled:
                    raise asyncio.CancelledError
        finally:
            for call in calls[done:]:
                self._record(call, OBSERVATION["not_run"].format(why=OBSERVATION["turn_over"]))

    def _called(self, call: ToolCall) -> FunctionTool | OutsideTool | None:
        """The caller's function that a call means; None if it means run_python, or nothing that exists."""
        return self._functions.get(call.name.strip().rpartition(".")[2])

    def _name_of(self, call: ToolCall) -> str:
        """The name of the tool that a call means. Models write that of run_python in several ways."""
        tool = self._called(call)
        return tool.name if tool else RUN_PYTHON

    def _is_outside(self, call: ToolCall) -> bool:
        return isinstance(self._called(call), OutsideTool)

    async def _execute(self, call: ToolCall) -> bool:
        """Run one call and record what the model reads about it. True if we were cancelled meanwhile."""
        if not self.meter.count_call():
            self._record(call, OBSERVATION["not_run"].format(why=OBSERVATION["no_calls_left"]))
            return False
        tool = self._called(call)
        try:
            if isinstance(tool, FunctionTool) and not tool.is_for_model:
                raise run_python.BadCallError(OBSERVATION["only_in_code"].format(name=tool.name))
            if isinstance(tool, FunctionTool):
                await self._call(tool, call)
                return False
            code = run_python.code_of(call, others=self._functions)
            run_python.check_length(code)
            run_python.check_definitions(code, [function.name for function in self._calls.definitions])
            return await self._run(call, code)
        except run_python.BadCallError as error:
            self.meter.count_attempt(failed=True)
            self._record(call, str(error))
            told = str(error)
            self._on_progress(progress.ToolEnded(tool.name, told) if tool else progress.CodeEnded(None, told))
            return False

    async def _run(self, call: ToolCall, code: str) -> bool:
        self._on_progress(progress.CodeStarted(code))
        self._calls.begin(call.id, self._question.calls_of(call.id))
        cell = await self._cells.run(code, self._question.ran, self._given)
        self.meter.count_attempt(failed=cell.same_failures > 0)
        self.meter.count_repetition(cell.same_failures + 1)
        self._record(call, cell.observation, code=code, execution=cell.execution)
        self._on_progress(progress.CodeEnded(cell.execution, cell.observation))
        return cell.is_cancelled

    async def _call(self, tool: FunctionTool, call: ToolCall) -> None:
        self._on_progress(progress.ToolStarted(tool.name, call.arguments))
        observation = await tool.call(call, within_s=self._limits.max_function_seconds)
        self.meter.count_attempt(failed=False)
        self._record(call, observation, tool=tool.name)
        self._on_progress(progress.ToolEnded(tool.name, observation))

    def _record(
        self,
        call: ToolCall,
        observation: str,
        *,
        tool: str = RUN_PYTHON,
        code: str | None = None,
        execution: Execution | None = None,
    ) -> None:
        self._transcript.append(
            ToolRan(
                tool=tool,
                call_id=call.id,
                arguments=call.arguments,
                code=code,
                execution=execution,
                observation=observation,
                notes=endings(execution) if execution else [],
            ),
            lambda clean: observation_message(clean, self._settings, self._to_remind_of(clean)),
        )

    def _to_remind_of(self, ran: ToolRan) -> str | None:
        """The question, if the history since it was last shown has become long; else None."""
        before = sum(
            len(event.message.get("content", ""))
            for event in self._question.since
            if isinstance(event, ModelReplied | ToolRan)
        )
        is_due = before // LONG_CHARS < (before + len(ran.observation)) // LONG_CHARS
        return self._question.asked.task if is_due else None


def _said_chars(event: Event) -> int:
    """The length of the reply in an event; 0 for other events."""
    if not isinstance(event, ModelReplied | ReplyCut):
        return 0
    calls = event.tool_calls if isinstance(event, ModelReplied) else []
    return len(event.content) + len(event.reasoning) + sum(len(call.id) + len(call.arguments) for call in calls)
