"""An answer without the code interpreter: one turn of the model, in which it may call the client's functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.calls.recovery import recover
from agent.endpoint.finish import CUT, REFUSED
from agent.endpoint.generator import Generator
from agent.endpoint.thinking import OnDelta
from agent.messages import Message, Reply, ToolCall, Usage
from agent.prompting.words import INSTRUCTION
from agent.tools.outside import OutsideTool


@dataclass(frozen=True)
class Turn:
    """What the model said in one turn."""

    text: str
    reasoning: str
    calls: Sequence[ToolCall]
    finish_reason: str | None
    usage: Usage


async def one_turn(
    model: Generator,
    messages: list[Message],
    functions: Sequence[OutsideTool],
    on_delta: OnDelta,
    *,
    must_call: Sequence[str] = (),
    schema: Mapping[str, Any] | None = None,
    max_output_tokens: int | None = None,
) -> Turn:
    """Ask once; or twice, if the model was to call one of `must_call` and did not. Raises EndpointError.

    A call that the model writes as text is found there.
    """

    async def ask(messages: list[Message], must_call: Sequence[str]) -> Turn:
        tools = [dict(function.schema) for function in functions]
        generation = await model.generate(
            messages, tools, on_delta, must_call=must_call, schema=schema, max_output_tokens=max_output_tokens
        )
        return _turn(generation.reply, functions)

    turn = await ask(messages, must_call)
    is_over = turn.finish_reason in (CUT, REFUSED)
    if not must_call or is_over or any(call.name in must_call for call in turn.calls):
        return turn
    objection = INSTRUCTION["uncalled"].format(tools=" or ".join(must_call))
    on_delta("restart", objection)
    said = [{"role": "assistant", "content": turn.text}, {"role": "user", "content": objection}]
    again = await ask([*messages, *said], ())
    return replace(again, usage=turn.usage + again.usage)


def _turn(reply: Reply, functions: Sequence[OutsideTool]) -> Turn:
    calls: Sequence[ToolCall] = reply.tool_calls
    text = reply.content
    if functions and not calls:
        calls, text = _recovered(reply, functions)
    return Turn(text.strip(), reply.reasoning, calls, reply.finish_reason, reply.usage)


def _recovered(reply: Reply, functions: Sequence[OutsideTool]) -> tuple[Sequence[ToolCall], str]:
    """The calls in the text of a reply, and the text without them."""
    params = {function.name: function.parameters for function in functions}
    found = recover(reply, turn=1, accept_fences=True, has_succeeded=False, executed_code=[], tool_params=params)
    if found is None or not all(call.name in params for call in found.calls):
        return [], reply.content
    return found.calls, found.prose
