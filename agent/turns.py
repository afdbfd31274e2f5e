"""One turn of the model: the request that follows from the events, and the reply as an event."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Literal

from agent import progress
from agent.calls.recovery import Recovered, recover
from agent.calls.wrapped import Parameters
from agent.endpoint.generator import Generator
from agent.endpoint.model import Generation
from agent.messages import RUN_PYTHON, Reply, ToolCall
from agent.progress import Progress
from agent.prompting.rendering import reply_message
from agent.record.events import (
    Event,
    Instructed,
    ModelFailed,
    ModelReplied,
    ReplyCut,
    RunStarted,
    SandboxChanged,
    ToolRan,
)
from agent.record.transcript import Transcript
from agent.replies import Replies, names_of


class _ListenerError(Exception):
    """The caller's listener has failed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Turns:
    """The turns of one run, each asked for and recorded."""

    def __init__(
        self,
        model: Generator,
        transcript: Transcript,
        on_progress: Callable[[Progress], None],
        *,
        others: Parameters = MappingProxyType({}),
        context_tokens: int | None = None,
    ) -> None:
        """`others` are the tools beside run_python; `context_tokens` is None where it is not known."""
        self._replies = Replies(model, transcript, self._on_delta, context_tokens=context_tokens)
        self._transcript = transcript
        self._on_progress = on_progress
        self._others = others
        self._calls_natively = any(map(_was_native, transcript.events))
        self._settings = next(event.settings for event in transcript.events if isinstance(event, RunStarted))

    async def take(self, tools: list[dict[str, Any]], first: int, *, may_call: bool = True) -> ModelReplied:
        """Ask for a turn and record it; where it may not call, a call in its text stays text.

        `first` is the place of the question's first event. Raises EndpointError.
        """
        turn = 1 + sum(isinstance(event, ModelReplied) for event in self._transcript.events)
        try:
            generation, sha256 = await self._replies.next(turn, tools)
        except _ListenerError as failed:
            raise failed.error from None
        recovered = None
        if generation.reply.tool_calls:
            self._calls_natively = True
        elif may_call:
            recovered = self._recover(generation.reply, turn, first)
        event = self._event(turn, generation, recovered, sha256, tools, may_call=may_call)
        self._on_progress(progress.TurnEnded(event.reasoning, event.content, not event.tool_calls, event.usage))
        return self._transcript.append(event, lambda clean: reply_message(clean, self._settings))

    def _event(
        self,
        turn: int,
        generation: Generation,
        recovered: Recovered | None,
        sha256: str,
        tools: list[dict[str, Any]],
        *,
        may_call: bool,
    ) -> ModelReplied:
        reply = generation.reply
        calls = recovered.calls if recovered else self._with_own_ids(reply.tool_calls, turn)
        return ModelReplied(
            turn=turn,
            content=recovered.prose if recovered else reply.content,
            reasoning=reply.reasoning,
            tool_calls=calls if may_call else [],
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            duration_s=round(generation.duration_s, 3),
            attempts=generation.attempts,
            request_sha256=sha256,
            tools=names_of(tools),
            raw=self._transcript.keep_chunks(generation.chunks, reply) if generation.chunks else None,
            recovered_as=recovered.shape if recovered else None,
            raw_content=reply.content if recovered else None,
        )

    def _with_own_ids(self, calls: list[ToolCall], turn: int) -> list[ToolCall]:
        """The calls with ids that no earlier call has: some servers begin to count anew with each turn."""
        replies = (event for event in self._transcript.events if isinstance(event, ModelReplied))
        taken = {call.id for reply in replies for call in reply.tool_calls}
        return [call.model_copy(update={"id": f"{call.id}_{turn}"}) if call.id in taken else call for call in calls]

    def _recover(self, reply: Reply, turn: int, first: int) -> Recovered | None:
        """The calls in the text; an answer may repeat the code that led to it."""
        events = self._transcript.events[first:]
        ran = [event for event in events if isinstance(event, ToolRan)]
        was_asked = _asks_for_code(self._transcript.events)
        return recover(
            reply,
            turn=turn,
            fences=was_asked or not self._calls_natively,
            settled=bool(ran) and _went_well(ran[-1]) and not was_asked,
            ran=[event.code for event in ran if event.code and _went_well(event)],
            others=self._others,
        )

    def _on_delta(self, kind: Literal["reasoning", "text", "restart"], text: str) -> None:
        told: dict[str, Callable[[str], Progress]] = {
            "reasoning": progress.ReasoningDelta,
            "text": progress.TextDelta,
            "restart": progress.TurnRestarted,
        }
        try:
            self._on_progress(told[kind](text))
        except Exception as error:  # raised while the endpoint is read, it would be taken for its own
            raise _ListenerError(error) from error


def _asks_for_code(events: list[Event]) -> bool:
    """Whether a ```python block is what we asked for last."""
    passing = (ReplyCut, ModelFailed, SandboxChanged)
    last = next(event for event in reversed(events) if not isinstance(event, passing))
    return isinstance(last, Instructed) and last.reason in ("nudge", "failed", "no_install", "no_file", "unseen")


def _was_native(event: Event) -> bool:
    return isinstance(event, ModelReplied) and bool(event.tool_calls) and event.recovered_as is None


def _went_well(ran: ToolRan) -> bool:
    return ran.tool != RUN_PYTHON or (ran.execution is not None and ran.execution.status == "ok")
