"""think → execute → integrate: the model is asked, its calls are run, and it reads what came out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agent import progress, toolcalls
from agent.events import Instructed, ModelReplied, Outcome, ToolRan
from agent.history import messages_of, request_sha256
from agent.messages import Message, Reply, ToolCall
from agent.model import Generation, Model
from agent.observation import observe
from agent.progress import Progress
from agent.recovery import Recovered, recover
from agent.transcript import Transcript
from sandbox import Execution, Output, SessionClosedError

LAST_TURN = "No more code can be run. Give your best answer now, from what you have seen."
NUDGE = "Check this with Python: write the code in a ```python block."


@dataclass(frozen=True)
class Finish:
    """How a run ended: by an answer, at its limit with the best answer so far, or without one."""

    outcome: Outcome
    answer: str | None
    error: str | None = None


class CodeRunner(Protocol):
    """What the loop needs of a sandbox session."""

    async def execute(self, code: str, *, on_output: Callable[[Output], None]) -> Execution: ...


class Loop:
    """One run over one session. All that it decides and sees is in the transcript."""

    def __init__(
        self, model: Model, sandbox: CodeRunner, transcript: Transcript, on_progress: Callable[[Progress], None]
    ) -> None:
        self._model = model
        self._sandbox = sandbox
        self._transcript = transcript
        self._on_progress = on_progress
        self._calls_natively = False
        self._out_of_time = False
        """Whether the session's time is over, so that no more code can be run."""

    async def run(self, max_turns: int) -> Finish:
        """Turn after turn until the model answers without a call, or one last turn without tools."""
        for turn in range(1, max_turns + 1):
            replied = await self._think(turn, [toolcalls.TOOL])
            if not replied.tool_calls:
                if self._nothing_ran() and turn == 1 < max_turns:
                    self._transcript.append(Instructed(reason="nudge", text=NUDGE))
                    continue
                return Finish("answered", replied.content.strip())
            for call in replied.tool_calls:
                await self._execute(call)
            if self._out_of_time:
                break
        self._transcript.append(Instructed(reason="limit", text=LAST_TURN))
        last = await self._think(turn + 1, [])
        return Finish("limit", last.content.strip())

    def _nothing_ran(self) -> bool:
        return not any(isinstance(event, ToolRan) for event in self._transcript.events)

    async def _think(self, turn: int, tools: list[dict[str, Any]]) -> ModelReplied:
        """Ask for one turn and record it; without tools, a call in its text stays text."""
        messages = messages_of(self._transcript.events)
        generation = await self._model.generate(messages, tools, self._on_delta)
        event = self._interpret(turn, generation, messages, tools)
        self._on_progress(progress.TurnEnded(event.reasoning, event.content, not event.tool_calls))
        return self._transcript.append(event)

    def _interpret(
        self, turn: int, generation: Generation, messages: list[Message], tools: list[dict[str, Any]]
    ) -> ModelReplied:
        reply = generation.reply
        recovered = None
        if reply.tool_calls:
            self._calls_natively = True
        elif tools:
            recovered = self._recover(reply, turn)
        return ModelReplied(
            turn=turn,
            content=recovered.prose if recovered else reply.content,
            reasoning=reply.reasoning,
            tool_calls=recovered.calls if recovered else reply.tool_calls if tools else [],
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            duration_s=round(generation.duration_s, 3),
            attempts=generation.attempts,
            request_sha256=request_sha256(messages, tools),
            recovered_as=recovered.shape if recovered else None,
            raw_content=reply.content if recovered else None,
        )

    def _recover(self, reply: Reply, turn: int) -> Recovered | None:
        """The calls in the text; an answer may repeat the code that led to it."""
        ran = [event for event in self._transcript.events if isinstance(event, ToolRan) and event.execution]
        return recover(
            reply,
            turn=turn,
            fences=not self._calls_natively,
            settled=bool(ran) and ran[-1].execution is not None and ran[-1].execution.status == "ok",
            ran=[event.code for event in ran if event.code],
        )

    async def _execute(self, call: ToolCall) -> None:
        """Run one call and record what the model is told about it."""
        code, execution = None, None
        try:
            code = toolcalls.code_of(call)
        except toolcalls.BadCallError as error:
            observation = str(error)
        else:
            self._on_progress(progress.CodeStarted(code))
            execution, observation = await self._run(code)
        self._transcript.append(
            ToolRan(
                call_id=call.id,
                arguments=call.arguments,
                code=code,
                execution=execution,
                observation=observation,
            )
        )
        self._on_progress(progress.CodeEnded(execution, observation))

    async def _run(self, code: str) -> tuple[Execution | None, str]:
        """Run a cell, and say what the model is to read about it; None where the session is over already."""
        try:
            execution = await self._sandbox.execute(
                code, on_output=lambda output: self._on_progress(progress.OutputPiece(output))
            )
        except SessionClosedError as error:
            self._out_of_time = True
            return None, f"The code was not run. {error.message}"
        self._out_of_time = execution.cause == "session_timeout"
        return execution, observe(execution)

    def _on_delta(self, kind: Literal["reasoning", "text", "restart"], text: str) -> None:
        match kind:
            case "reasoning":
                self._on_progress(progress.ReasoningDelta(text))
            case "text":
                self._on_progress(progress.TextDelta(text))
            case "restart":
                self._on_progress(progress.TurnRestarted(text))
