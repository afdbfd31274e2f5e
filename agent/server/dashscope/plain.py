"""A plain answer of the model behind, read piece by piece."""

from collections.abc import AsyncGenerator, MutableMapping
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

PlainAnswer = AsyncGenerator[ReasoningDelta | TextDelta | Reply]


async def plain_answer(models: Models, request: GenerationRequest, scope: MutableMapping[str, Any]) -> PlainAnswer:
    """The pieces of the answer, then the whole of it. The scope gets what it has used. Raises Fault."""
    scope["model"] = request.model
    read: list[ReasoningDelta | TextDelta] = []

    def note(kind: DeltaKind, text: str) -> None:
        if kind == "reasoning":
            read.append(ReasoningDelta(text))
        elif kind == "text":
            read.append(TextDelta(text))

    assembler, reader = Assembler(note), ValueReader()
    try:
        model = await models.behind(request.model)
        passage = await model.passed_on("/chat/completions", request.chat_body(model.endpoint))
        async with aclosing(passage.pieces):
            async for piece in passage.pieces:
                for value in reader.feed(piece):
                    _check(value)
                    assembler.add(value)
                for delta in read:
                    yield delta
                read.clear()
        for value in reader.end():
            _check(value)
            assembler.add(value)
    except AgentError as error:
        raise passed_fault(error) from error
    except (BrokenEventError, OverlongError) as error:
        raise Fault(502, f"The model's answer cannot be read: {error}.", "server_error") from error
    if not assembler.has_choice:
        raise Fault(502, "The model answered without a message.", "server_error")
    reply = assembler.reply()
    scope["usage"] = reply.usage
    for delta in read:
        yield delta
    yield reply


def _check(value: object) -> None:
    """Raise the error that a stream reports."""
    error = value.get("error") if isinstance(value, dict) else None
    if error:
        told = error.get("message") if isinstance(error, dict) else error
        raise Fault(502, f"The model broke off its answer: {str(told)[:300]}", "server_error")
