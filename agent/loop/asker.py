"""One turn of the model: the request that follows from the record, and the reply as an event.

A reply that is cut off at the limit on output tokens is continued where the server can do so. Calls that a model wrote
into its text are recovered. Every request is recorded, also one that failed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from types import MappingProxyType
from typing import Any

from agent import progress
from agent.calls.recovery import Recovered, recover
from agent.calls.wrapped import Parameters
from agent.endpoint.finish import REFUSED
from agent.endpoint.generator import Generator
from agent.endpoint.model import Generation
from agent.endpoint.thinking import DeltaKind
from agent.errors import ContextLengthError, EndpointError
from agent.loop.context import Context
from agent.loop.rendering import reply_message
from agent.messages import Reply, ToolCall
from agent.progress import Progress
from agent.prompting.words import HINTS
from agent.record.events import (
    Event,
    Instructed,
    ModelFailed,
    ModelReplied,
    ReplyCut,
    SandboxChanged,
    ToolRan,
)
from agent.record.history import beginning_of
from agent.record.question import Question, succeeded
from agent.record.requests import Requests
from agent.record.transcript import Transcript
from agent.review.checks import CHECKS

Tools = list[dict[str, Any]]
MAX_CONTINUATIONS = 2
"""How often one reply is continued."""
LOOP_CHARS = 80
"""If the last 80 characters occur three times in a reply, the model is looping."""
ASKS_FOR_CODE = frozenset(check.name for check in CHECKS if check.asks_for_code)


class _ListenerError(Exception):
    """The caller's listener has failed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Asker:
    """Asks one model for the turns of one run, and records them."""

    def __init__(
        self,
        model: Generator,
        transcript: Transcript,
        on_progress: Callable[[Progress], None],
        *,
        others: Parameters = MappingProxyType({}),
        context_tokens: int | None = None,
    ) -> None:
        """`others` are the tools beside run_python; `context_tokens` is None if unknown."""
        self._model = model
        self._transcript = transcript
        self._on_progress = on_progress
        self._others = others
        self._requests = Requests(transcript.events)
        self._context = Context(context_tokens, model.sampling.max_output_tokens)
        self._can_continue = model.can_continue
        self._calls_natively = any(map(_was_native, transcript.events))
        self._settings = beginning_of(transcript.events).settings

    async def ask(
        self,
        tools: Tools,
        *,
        may_call: bool = True,
        must_call: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        max_output_tokens: int | None = None,
    ) -> ModelReplied:
        """Ask for a turn and record it. Without `may_call`, a call in its text stays text. Raises EndpointError.

        An endpoint that can do so lets the model call one of `must_call`, and write only JSON that fits the `schema`.
        `max_output_tokens` bounds this turn beside the sampling.
        """
        turn = 1 + sum(isinstance(event, ModelReplied) for event in self._transcript.events)
        try:
            generation, sha256 = await self._whole_reply(turn, tools, must_call, schema, max_output_tokens)
        except _ListenerError as failed:
            raise failed.error from None
        recovered = None
        if generation.reply.tool_calls:
            self._calls_natively = True
        elif may_call and generation.reply.finish_reason != REFUSED:
            recovered = self._recover(generation.reply, turn)
        event = self._event(
            turn, generation, recovered, sha256, tools, may_call=may_call, is_constrained=schema is not None
        )
        self._on_progress(progress.TurnEnded(event.reasoning, event.content, not event.tool_calls, event.usage))
        return self._transcript.append(event, lambda clean: reply_message(clean, self._settings))

    async def _whole_reply(
        self,
        turn: int,
        tools: Tools,
        must_call: Sequence[str],
        schema: Mapping[str, Any] | None,
        left_tokens: int | None,
    ) -> tuple[Generation, str]:
        """The reply to the events so far, continued if it was cut off, and the hash of the last request."""
        self._context.make_room(self._transcript, self._requests.estimated_tokens())
        while True:
            prefix, sha256 = self._requests.prefix, self._requests.sha256(tools)
            try:
                generation = await self._model.generate(
                    self._requests.messages(),
                    tools,
                    self._on_delta,
                    prefix=prefix,
                    must_call=() if prefix else must_call,
                    schema=schema,
                    max_output_tokens=left_tokens,
                )
            except EndpointError as error:
                self._record_failure(turn, error, sha256, tools)
                if isinstance(error, ContextLengthError) and not prefix and self._context.shorten(self._transcript):
                    continue
                if not prefix:
                    raise
                self._can_continue = False
                return Generation(_cut_reply(self._cuts()), [], [], 0), self._requests.sha256(tools)
            cuts = self._cuts()
            if left_tokens is not None:
                left_tokens -= generation.reply.usage.output_tokens
            if (left_tokens is not None and left_tokens <= 0) or not self._is_to_continue(generation.reply, len(cuts)):
                return _joined(generation, cuts), sha256
            self._record_cut(turn, generation, sha256, tools)

    def _is_to_continue(self, reply: Reply, cuts: int) -> bool:
        """True if the reply has a text to continue. A native call is not continued."""
        is_cut = reply.finish_reason == "length" and bool(reply.content.strip()) and not reply.tool_calls
        return is_cut and self._can_continue and cuts < MAX_CONTINUATIONS and not _repeats_itself(reply.content)

    def _cuts(self) -> list[ReplyCut]:
        """The recorded beginnings of this reply: the last one holds all the text so far."""
        own = takewhile(
            lambda event: isinstance(event, ReplyCut | ModelFailed | SandboxChanged), reversed(self._transcript.events)
        )
        return [event for event in own if isinstance(event, ReplyCut)][::-1]

    def _recover(self, reply: Reply, turn: int) -> Recovered | None:
        """The calls in the text; an answer may repeat the code that led to it."""
        ran = Question.last_of(self._transcript.events).ran
        was_asked = _asks_for_code(self._transcript.events)
        return recover(
            reply,
            turn=turn,
            accept_fences=was_asked or not self._calls_natively,
            has_succeeded=bool(ran) and succeeded(ran[-1]) and not was_asked,
            executed_code=[event.code for event in ran if event.code and succeeded(event)],
            tool_params=self._others,
        )

    def _event(
        self,
        turn: int,
        generation: Generation,
        recovered: Recovered | None,
        sha256: str,
        tools: Tools,
        *,
        may_call: bool,
        is_constrained: bool,
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
            tools=_names_of(tools),
            raw=self._transcript.keep_chunks(generation.chunks, reply) if generation.chunks else None,
            recovered_as=recovered.shape if recovered else None,
            raw_content=reply.content if recovered else None,
            is_constrained=is_constrained,
        )

    def _with_own_ids(self, calls: list[ToolCall], turn: int) -> list[ToolCall]:
        """The calls with ids that no earlier call has: some servers count from the start in each turn."""
        replies = (event for event in self._transcript.events if isinstance(event, ModelReplied))
        taken = {call.id for reply in replies for call in reply.tool_calls}
        return [call.model_copy(update={"id": f"{call.id}_{turn}"}) if call.id in taken else call for call in calls]

    def _record_cut(self, turn: int, generation: Generation, sha256: str, tools: Tools) -> None:
        self._transcript.append(
            ReplyCut(
                turn=turn,
                content=generation.reply.content,
                reasoning=generation.reply.reasoning,
                usage=generation.reply.usage,
                duration_s=round(generation.duration_s, 3),
                attempts=generation.attempts,
                request_sha256=sha256,
                tools=_names_of(tools),
                raw=self._transcript.keep_chunks(generation.chunks, generation.reply),
            )
        )

    def _record_failure(self, turn: int, error: EndpointError, sha256: str, tools: Tools) -> None:
        attempts, names = list(error.attempts), _names_of(tools)
        self._transcript.append(
            ModelFailed(turn=turn, error=error.for_shell, attempts=attempts, request_sha256=sha256, tools=names)
        )

    def _on_delta(self, kind: DeltaKind, text: str) -> None:
        told: dict[DeltaKind, Callable[[str], Progress]] = {
            "reasoning": progress.ReasoningDelta,
            "text": progress.TextDelta,
            "call": progress.CallBegun,
            "arguments": progress.ArgumentsDelta,
            "restart": progress.TurnRestarted,
        }
        try:
            self._on_progress(told[kind](text))
        except Exception as error:  # raised while the endpoint is read, it would be taken for its own
            raise _ListenerError(error) from error


def _asks_for_code(events: list[Event]) -> bool:
    """True if the last thing we asked for is a ```python block."""
    passing = (ReplyCut, ModelFailed, SandboxChanged)
    last = next(event for event in reversed(events) if not isinstance(event, passing))
    if isinstance(last, ToolRan):
        return last.observation.endswith(HINTS["rewrite"])
    return isinstance(last, Instructed) and last.reason in ASKS_FOR_CODE


def _was_native(event: Event) -> bool:
    return isinstance(event, ModelReplied) and bool(event.tool_calls) and event.recovered_as is None


def _repeats_itself(text: str) -> bool:
    return len(text) > LOOP_CHARS and text.count(text[-LOOP_CHARS:]) > 2


def _cut_reply(cuts: list[ReplyCut]) -> Reply:
    """The reply so far, if it cannot be continued. Its tokens are recorded already."""
    return Reply(content=cuts[-1].content, reasoning=_reasoning(cuts), finish_reason="length")


def _joined(generation: Generation, cuts: list[ReplyCut]) -> Generation:
    """The reply with its beginnings. If the server parsed a tool call, its text is dropped."""
    reply = generation.reply
    if not cuts:
        return generation
    whole = {"reasoning": _reasoning(cuts) + reply.reasoning, "content": "" if reply.tool_calls else reply.content}
    return replace(generation, reply=reply.model_copy(update=whole))


def _reasoning(cuts: list[ReplyCut]) -> str:
    return "".join(cut.reasoning for cut in cuts)


def _names_of(tools: Tools) -> list[str]:
    return [tool["function"]["name"] for tool in tools]
