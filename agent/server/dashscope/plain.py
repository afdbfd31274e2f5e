"""A plain answer of the model behind, read piece by piece."""

from collections.abc import AsyncGenerator, Iterator, MutableMapping
from contextlib import aclosing
from typing import Any

from agent.endpoint.assembly import Assembler
from agent.endpoint.sse import BrokenEventError, OverlongError, ValueReader
from agent.endpoint.thinking import DeltaKind
from agent.errors import AgentError
from agent.messages import Reply
from agent.progress import ReasoningDelta, TextDelta
from agent.server.dashscope.request import GenerationRequest
from agent.server.faults import Fault
from agent.server.proxy import passed_fault
from agent.server.work.models import Models
from agent.server.work.written import are_calls_written, calls_in

PlainAnswer = AsyncGenerator[ReasoningDelta | TextDelta | Reply]


async def plain_answer(models: Models, request: GenerationRequest, scope: MutableMapping[str, Any]) -> PlainAnswer:
    """The pieces of the answer, then the whole of it. The scope gets what it has used. Raises Fault.

    Where a text may be calls, it is held back until it is whole.
    """
    scope["model"] = request.model
    reading = _Reading()
    try:
        model = await models.behind(request.model)
        body = request.chat_body(model.endpoint)
        is_held = are_calls_written(body, models.own)
        passage = await model.passed_on("/chat/completions", body)
        async with aclosing(passage.pieces):
            async for piece in passage.pieces:
                reading.feed(piece)
                for delta in () if is_held else reading.taken():
                    yield delta
        reply = reading.reply()
    except AgentError as error:
        raise passed_fault(error) from error
    except (BrokenEventError, OverlongError) as error:
        raise Fault(502, f"The model's answer cannot be read: {error}.", "server_error") from error
    scope["usage"] = reply.usage
    reply = _with_calls(reply, body["tools"]) if is_held else reply
    for delta in _deltas_of(reply) if is_held else reading.taken():
        yield delta
    yield reply


class _Reading:
    """Reads the bytes of an answer."""

    def __init__(self) -> None:
        self._told: list[ReasoningDelta | TextDelta] = []
        self._assembler = Assembler(self._note)
        self._values = ValueReader()

    def _note(self, kind: DeltaKind, text: str) -> None:
        if kind == "reasoning":
            self._told.append(ReasoningDelta(text))
        elif kind == "text":
            self._told.append(TextDelta(text))

    def feed(self, piece: bytes) -> None:
        """Read a piece. Raises Fault for an error that the stream reports."""
        self._add(self._values.feed(piece))

    def _add(self, values: Iterator[Any]) -> None:
        for value in values:
            _check(value)
            self._assembler.add(value)

    def taken(self) -> list[ReasoningDelta | TextDelta]:
        """What was read since the last time."""
        told, self._told = self._told, []
        return told

    def reply(self) -> Reply:
        """The whole answer. Raises Fault if there is none."""
        self._add(self._values.end())
        if not self._assembler.has_choice:
            raise Fault(502, "The model answered without a message.", "server_error")
        return self._assembler.reply()


def _with_calls(reply: Reply, tools: list[Any]) -> Reply:
    """The reply, with the calls in its text in their place."""
    calls, prose = calls_in(reply.content, tools)
    if reply.tool_calls or not calls:
        return reply
    return reply.model_copy(update={"content": prose, "tool_calls": calls, "finish_reason": "tool_calls"})


def _deltas_of(reply: Reply) -> list[ReasoningDelta | TextDelta]:
    reasoning = [ReasoningDelta(reply.reasoning)] if reply.reasoning else []
    return [*reasoning, *([TextDelta(reply.content)] if reply.content else [])]


def _check(value: object) -> None:
    """Raise the error that a stream reports."""
    error = value.get("error") if isinstance(value, dict) else None
    if error:
        told = error.get("message") if isinstance(error, dict) else error
        raise Fault(502, f"The model broke off its answer: {str(told)[:300]}", "server_error")
