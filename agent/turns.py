"""One turn of the model: the request that follows from the events, and the reply as an event."""

from collections.abc import Callable, Collection
from typing import Any, Literal

from agent import progress
from agent.context import Context
from agent.errors import ContextLengthError
from agent.events import ModelReplied, ToolRan
from agent.history import messages_of, request_sha256
from agent.messages import Message, Reply
from agent.model import Generation, Model
from agent.progress import Progress
from agent.recovery import Recovered, recover
from agent.transcript import Transcript


class Turns:
    """The turns of one run, each asked for and recorded."""

    def __init__(
        self,
        model: Model,
        transcript: Transcript,
        on_progress: Callable[[Progress], None],
        *,
        others: Collection[str] = (),
        context_tokens: int | None = None,
    ) -> None:
        """`others` names the tools beside run_python; `context_tokens` is None where it is not known."""
        self._model = model
        self._transcript = transcript
        self._on_progress = on_progress
        self._others = others
        self._context = Context(context_tokens, model.sampling.max_output_tokens)
        self._calls_natively = False

    async def take(self, tools: list[dict[str, Any]], first: int) -> ModelReplied:
        """Ask for a turn and record it; without tools, a call in its text stays text.

        `first` is the place of the question's first event. Raises EndpointError.
        """
        self._context.make_room(self._transcript)
        while True:
            messages = messages_of(self._transcript.events)
            try:
                generation = await self._model.generate(messages, tools, self._on_delta)
                break
            except ContextLengthError:
                if not self._context.shorten(self._transcript):
                    raise
        event = self._interpret(generation, messages, tools, first)
        self._on_progress(progress.TurnEnded(event.reasoning, event.content, not event.tool_calls))
        return self._transcript.append(event)

    def _interpret(
        self, generation: Generation, messages: list[Message], tools: list[dict[str, Any]], first: int
    ) -> ModelReplied:
        reply = generation.reply
        turn = 1 + sum(isinstance(event, ModelReplied) for event in self._transcript.events)
        recovered = None
        if reply.tool_calls:
            self._calls_natively = True
        elif tools:
            recovered = self._recover(reply, turn, first)
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

    def _recover(self, reply: Reply, turn: int, first: int) -> Recovered | None:
        """The calls in the text; an answer may repeat the code that led to it."""
        events = self._transcript.events[first:]
        ran = [event for event in events if isinstance(event, ToolRan) and event.execution]
        return recover(
            reply,
            turn=turn,
            fences=not self._calls_natively,
            settled=bool(ran) and ran[-1].execution is not None and ran[-1].execution.status == "ok",
            ran=[event.code for event in ran if event.code],
            others=self._others,
        )

    def _on_delta(self, kind: Literal["reasoning", "text", "restart"], text: str) -> None:
        match kind:
            case "reasoning":
                self._on_progress(progress.ReasoningDelta(text))
            case "text":
                self._on_progress(progress.TextDelta(text))
            case "restart":
                self._on_progress(progress.TurnRestarted(text))
