"""A reply of the model, whole: gone on with where it was cut off, and each request on record."""

from dataclasses import replace
from itertools import takewhile
from typing import Any

from agent.context import Context
from agent.endpoint.assembly import OnDelta
from agent.endpoint.generator import Generator
from agent.endpoint.model import Generation
from agent.errors import ContextLengthError, EndpointError
from agent.messages import Reply
from agent.record.events import ModelFailed, ReplyCut, SandboxChanged
from agent.record.requests import Requests
from agent.record.transcript import Transcript

MAX_CONTINUATIONS = 2
"""Of one reply."""
LOOP_CHARS = 80
"""A reply that ends in so many characters three times over repeats itself, and would for ever."""


class Replies:
    """Asks one model for one transcript."""

    def __init__(
        self, model: Generator, transcript: Transcript, on_delta: OnDelta, *, context_tokens: int | None
    ) -> None:
        """`context_tokens` is None where it is not known."""
        self._model = model
        self._transcript = transcript
        self._on_delta = on_delta
        self._context = Context(context_tokens, model.sampling.max_output_tokens)
        self._requests = Requests(transcript.events)
        self._can_continue = model.can_continue

    async def next(self, turn: int, tools: list[dict[str, Any]]) -> tuple[Generation, str]:
        """What answers the events so far, and the hash of the request for it. Raises EndpointError."""
        self._context.make_room(self._transcript, self._requests.estimated_tokens())
        while True:
            prefix, sha256 = self._requests.prefix, self._requests.sha256(tools)
            try:
                generation = await self._model.generate(self._requests.messages(), tools, self._on_delta, prefix=prefix)
            except EndpointError as error:
                self._record_failure(turn, error, sha256, tools)
                if isinstance(error, ContextLengthError) and not prefix and self._context.shorten(self._transcript):
                    continue
                if not prefix:
                    raise
                self._can_continue = False
                return Generation(_cut_reply(self._cuts()), [], [], 0), self._requests.sha256(tools)
            cuts = self._cuts()
            if not self._is_to_go_on(generation.reply, len(cuts)):
                return _joined(generation, cuts), sha256
            self._record_cut(turn, generation, sha256, tools)

    def _is_to_go_on(self, reply: Reply, cuts: int) -> bool:
        """Whether there is a text that the rest can be asked for. Calls that came as calls are not continued."""
        is_cut = reply.finish_reason == "length" and bool(reply.content.strip()) and not reply.tool_calls
        return is_cut and self._can_continue and cuts < MAX_CONTINUATIONS and not _repeats_itself(reply.content)

    def _cuts(self) -> list[ReplyCut]:
        """The beginnings of this reply that are on record: the last one holds all the text so far."""
        own = takewhile(
            lambda event: isinstance(event, ReplyCut | ModelFailed | SandboxChanged), reversed(self._transcript.events)
        )
        return [event for event in own if isinstance(event, ReplyCut)][::-1]

    def _record_cut(self, turn: int, generation: Generation, sha256: str, tools: list[dict[str, Any]]) -> None:
        self._transcript.append(
            ReplyCut(
                turn=turn,
                content=generation.reply.content,
                reasoning=generation.reply.reasoning,
                usage=generation.reply.usage,
                duration_s=round(generation.duration_s, 3),
                attempts=generation.attempts,
                request_sha256=sha256,
                tools=names_of(tools),
                raw=self._transcript.keep_chunks(generation.chunks, generation.reply),
            )
        )

    def _record_failure(self, turn: int, error: EndpointError, sha256: str, tools: list[dict[str, Any]]) -> None:
        self._transcript.append(
            ModelFailed(
                turn=turn,
                error=str(error),
                attempts=list(error.attempts),
                request_sha256=sha256,
                tools=names_of(tools),
            )
        )


def _repeats_itself(text: str) -> bool:
    return len(text) > LOOP_CHARS and text.count(text[-LOOP_CHARS:]) > 2


def _cut_reply(cuts: list[ReplyCut]) -> Reply:
    """What is there, where the rest cannot be had. Its tokens are on record."""
    return Reply(content=cuts[-1].content, reasoning=_reasoning(cuts), finish_reason="length")


def _joined(generation: Generation, cuts: list[ReplyCut]) -> Generation:
    """The reply with what came before it. A server that finds a call in the whole tells it as a call."""
    reply = generation.reply
    if not cuts:
        return generation
    whole = {"reasoning": _reasoning(cuts) + reply.reasoning, "content": "" if reply.tool_calls else reply.content}
    return replace(generation, reply=reply.model_copy(update=whole))


def _reasoning(cuts: list[ReplyCut]) -> str:
    return "".join(cut.reasoning for cut in cuts)


def names_of(tools: list[dict[str, Any]]) -> list[str]:
    """The names of tools, by their schemas."""
    return [tool["function"]["name"] for tool in tools]
