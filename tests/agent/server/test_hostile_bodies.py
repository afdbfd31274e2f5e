"""Any body gets an answer of its protocol: never a failure of the server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agent.server.chat.request import ChatRequest
from agent.server.dashscope.request import GenerationRequest
from agent.server.faults import Fault
from agent.server.owner import Owner
from agent.server.wire.body import read_as
from agent.server.wire.errors import dashscope_refusal, openai_refusal

WORDS = st.sampled_from(
    [
        *("role", "user", "assistant", "system", "tool", "content", "text", "type", "image_url", "image", "url"),
        *("data:,", "http://[", "tool_calls", "tool_call_id", "id", "function", "name", "arguments", "\ud800", ""),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"]) | VALUES, "content": VALUES},
        optional={"tool_calls": VALUES, "tool_call_id": VALUES},
    )
    | VALUES,
    max_size=4,
)


def fields(kind: type[BaseModel], **known: Any) -> st.SearchStrategy[dict[str, Any]]:
    others = dict.fromkeys(kind.model_fields.keys() - known.keys() - {"model"}, VALUES)
    return st.fixed_dictionaries({"model": st.just("m") | VALUES, **known}, optional=others)


def check(kind: type[ChatRequest] | type[GenerationRequest], body: dict[str, Any]) -> None:
    """The body is a job that can be recorded and sent, or one short complaint about one field."""
    fault = None
    try:
        job = read_as(kind, body).job(Owner())
    except Fault as raised:
        fault = raised
    if fault is None:
        json.dumps([job.question, job.instructions, job.history, job.images], ensure_ascii=False).encode()
        return
    assert (fault.status, bool(fault.param)) == (400, True)
    assert len(fault.message) < 1000
    openai_refusal(fault)
    dashscope_refusal(fault, "id")


@given(fields(ChatRequest, messages=MESSAGES))
def test_chat(body: dict[str, Any]) -> None:
    check(ChatRequest, body)


@given(fields(GenerationRequest, input=st.fixed_dictionaries({"messages": MESSAGES}) | VALUES))
def test_dashscope(body: dict[str, Any]) -> None:
    check(GenerationRequest, body)


@pytest.mark.parametrize("kind", [ChatRequest, GenerationRequest])
def test_a_body_without_fields_is_refused(kind: type[ChatRequest] | type[GenerationRequest]) -> None:
    check(kind, {})
