"""think → execute → integrate: the model is asked, its calls are run, and it reads what came out."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from agent import progress, toolcalls
from agent.cells import Cells, CodeRunner
from agent.events import Asked, Instructed, ModelReplied, Outcome, RunStarted, ToolRan
from agent.functions import FunctionTool
from agent.hints import Scene
from agent.limits import LimitName, Limits, Meter
from agent.messages import Cost, ToolCall
from agent.model import Model
from agent.nudging import needs_check
from agent.progress import Progress
from agent.transcript import Transcript
from agent.turns import Turns
from agent.words import INSTRUCTION, OBSERVATION
from sandbox import Execution

E = TypeVar("E")
CostOf = Callable[[ModelReplied], Cost | None]
"""What one turn cost; None where the model has no price."""
Reason = Literal["limit", "nudge", "cut", "empty"]


@dataclass(frozen=True)
class Finish:
    """How a question ended: by an answer, at a limit with the best answer so far, or without one."""

    outcome: Outcome
    answer: str | None
    error: str | None = None
    limit: LimitName | None = None


class Loop:
    """Questions over one session, one after the other. All that it decides and sees is in the transcript."""

    def __init__(
        self,
        model: Model,
        sandbox: CodeRunner,
        transcript: Transcript,
        on_progress: Callable[[Progress], None],
        *,
        limits: Limits | None = None,
        tools: Sequence[FunctionTool] = (),
        cost_of: CostOf | None = None,
        context_tokens: int | None = None,
    ) -> None:
        """`context_tokens` is what the model can read and write at once; None where that is not known."""
        self._transcript = transcript
        self._on_progress = on_progress
        self._limits = limits or Limits()
        self._functions = {tool.name: tool for tool in tools}
        self._cost_of = cost_of
        self._turns = Turns(model, transcript, on_progress, others=self._functions, context_tokens=context_tokens)
        self._cells = Cells(
            sandbox,
            lambda output: on_progress(progress.OutputPiece(output)),
            scene=self._scene(),
        )
        self._begin()

    def _scene(self) -> Scene:
        environment = self._all(RunStarted)[0].environment
        has_network = environment.policy.network != "none"
        return Scene(environment.packages, tools=self._functions, has_network=has_network)

    def _begin(self) -> None:
        """Forget what belongs to the question before."""
        self.meter = Meter(self._limits)
        self._first = len(self._transcript.events)
        self._said: set[Reason] = set()

    async def answer(self) -> Finish:
        """Answer the question that the transcript holds last; what then runs at the limit on time is stopped."""
        self._begin()
        try:
            async with asyncio.timeout(self._limits.max_seconds) as deadline:
                return await self._take_turns()
        except TimeoutError:
            if not deadline.expired():
                raise
            return Finish("limit", self._best_text(), limit="seconds")

    async def _take_turns(self) -> Finish:
        """Turn after turn until the model answers without a call, or one last turn without tools."""
        while (limit := self._limit()) is None:
            replied = await self._think([toolcalls.TOOL, *(tool.schema for tool in self._functions.values())])
            if replied.tool_calls:
                await self._execute_all(replied.tool_calls)
            elif reason := self._objection(replied):
                self._instruct(reason)
            else:
                return Finish("answered", replied.content.strip())
        if limit == "cost":
            return Finish("limit", self._best_text(), limit=limit)
        self._instruct("limit")
        last = await self._think([])
        return Finish("limit", last.content.strip() or self._best_text(), limit=limit)

    async def _think(self, tools: list[dict[str, Any]]) -> ModelReplied:
        replied = await self._turns.take(tools, self._first)
        self.meter.count_turn(replied.usage, self._cost_of(replied) if self._cost_of else None)
        return replied

    def _limit(self) -> LimitName | None:
        return "session" if self._cells.is_over else self.meter.reached()

    def _objection(self, replied: ModelReplied) -> Reason | None:
        """What speaks against taking a reply without a call for the answer; said once where there is a text to take."""
        reason: Reason | None = None
        if replied.finish_reason == "length":
            reason = "cut"
        elif not replied.content.strip():
            reason = "empty"
        elif not self._all(ToolRan, self._first) and not self.meter.is_last_turn() and self._needs_check(replied):
            reason = "nudge"
        if reason in ("empty", "cut"):
            self.meter.count_try(failed=True)
        return None if replied.content.strip() and reason in self._said else reason

    def _needs_check(self, replied: ModelReplied) -> bool:
        asked = [event for event in self._transcript.events if isinstance(event, RunStarted | Asked)][-1]
        return needs_check(asked.task, replied.content, has_files=bool(asked.files))

    def _instruct(self, reason: Reason) -> None:
        self._said.add(reason)
        self._transcript.append(Instructed(reason=reason, text=INSTRUCTION[reason]))

    def _best_text(self) -> str | None:
        texts = [event.content.strip() for event in self._all(ModelReplied, self._first)]
        return next((text for text in reversed(texts) if text), None)

    def _all(self, kind: type[E], first: int = 0) -> list[E]:
        return [event for event in self._transcript.events[first:] if isinstance(event, kind)]

    async def _execute_all(self, calls: list[ToolCall]) -> None:
        """Run the calls of one turn in order; each has its answer on record, whatever happens."""
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

    async def _execute(self, call: ToolCall) -> bool:
        """Run one call and record what the model is told about it; True where we were cancelled meanwhile."""
        try:
            if tool := self._functions.get(call.name.strip().rpartition(".")[2]):
                await self._call(tool, call)
                return False
            return await self._run(call, toolcalls.code_of(call, others=self._functions))
        except toolcalls.BadCallError as error:
            self.meter.count_try(failed=True)
            self._record(call, str(error))
            self._on_progress(progress.CodeEnded(None, str(error)))
            return False

    async def _run(self, call: ToolCall, code: str) -> bool:
        self._on_progress(progress.CodeStarted(code))
        cell = await self._cells.run(code, self._all(ToolRan))
        self.meter.count_try(failed=cell.fails_as_before)
        self._record(call, cell.observation, code=code, execution=cell.execution)
        self._on_progress(progress.CodeEnded(cell.execution, cell.observation))
        return cell.is_cancelled

    async def _call(self, tool: FunctionTool, call: ToolCall) -> None:
        self._on_progress(progress.ToolStarted(tool.name, call.arguments))
        observation = await tool.call(call)
        self.meter.count_try(failed=False)
        self._record(call, observation, tool=tool.name)
        self._on_progress(progress.ToolEnded(tool.name, observation))

    def _record(
        self,
        call: ToolCall,
        observation: str,
        *,
        tool: str = toolcalls.RUN_PYTHON,
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
            )
        )
