"""Requests of DashScope, and what is the default for which model."""

from typing import Any

import pytest

from agent.endpoint.config import Endpoint, Sampling
from agent.server.dashscope.request import EXCLUSIVE, GenerationRequest
from agent.server.faults import Fault
from agent.server.owner import Owner
from agent.server.wire.body import read_as

URL = "http://127.0.0.1:9/v1"


def request(model: str = "m", *, given: Any = None, **parameters: Any) -> GenerationRequest:
    body = {"model": model, "input": given or {"prompt": "What is 6 * 7?"}, "parameters": parameters}
    return read_as(GenerationRequest, body)


@pytest.mark.parametrize(
    ("model", "is_incremental"),
    [
        ("qwen3-max", True),
        ("qwen3-max-2026-01-23", True),
        ("qwen3-vl-8b", True),
        ("qwen3-32b", True),
        ("Qwen/Qwen3.5-27B", True),
        ("qwq-plus", True),
        ("qvq-max", True),
        ("qwen3.5-plus", False),
        ("qwen3.5-flash-2026-02-23", False),
        ("qwen-plus", False),
        ("qwen2.5-coder-7b", False),
    ],
)
def test_events_have_only_what_is_new_by_default_for_some_families(model: str, is_incremental: bool) -> None:
    assert request(model).is_incremental is is_incremental
    assert request(model, incremental_output=True).is_incremental
    assert not request(model, incremental_output=False).is_incremental
    assert request(model, incremental_output=False, enable_thinking=True).is_incremental


def test_the_answer_is_a_message_for_newer_models_and_where_there_is_more_to_tell() -> None:
    assert request("qwen3.5-plus").has_messages
    assert not request("qwen-plus").has_messages
    assert request("qwen-plus", enable_code_interpreter=True).has_messages
    assert request("qwen-plus", enable_thinking=True).has_messages
    assert not request("qwen3-max", enable_code_interpreter=True, result_format="text").has_messages


def test_a_request_becomes_a_job() -> None:
    job = request(
        given={"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": [{"text": "Hi"}]}]},
        enable_code_interpreter=True,
        enable_thinking=True,
        thinking_budget=100,
        temperature=0.5,
        max_tokens=99,
    ).job(Owner())
    assert (job.question, job.instructions, job.max_written_tokens) == ("Hi", "Be short.", 99)
    assert job.sampling == Sampling(temperature=0.5, thinking=True, thinking_budget=100)
    assert request().job(Owner()).question == "What is 6 * 7?"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"tools": [{"type": "function"}]}, EXCLUSIVE),
        ({"n": 2}, "parameters.n must be 1 with the code interpreter, and is 2."),
        (
            {"response_format": {"type": "json_object"}},
            "parameters.response_format must be text with the code interpreter, and is 'json_object'.",
        ),
    ],
)
def test_what_goes_with_no_code_interpreter_is_refused(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(Fault) as caught:
        request(enable_code_interpreter=True, **parameters).job(Owner())
    assert (caught.value.status, caught.value.message) == (400, told)


def test_a_request_without_anything_to_answer_is_refused() -> None:
    nothing: list[dict[str, Any]] = [{"messages": []}, {"prompt": ""}, {"messages": None}]
    for given in nothing:
        with pytest.raises(Fault, match="input needs messages or a prompt"):
            read_as(GenerationRequest, {"model": "m", "input": given}).job(Owner())
    with pytest.raises(Fault, match=r"input\.messages\[0\]\.role"):
        request(given={"messages": [{"role": "x"}]}).job(Owner())


@pytest.mark.parametrize(
    ("provider", "switched"),
    [
        ("model_studio", {"enable_thinking": True, "thinking_budget": 9}),
        ("llama_cpp", {"chat_template_kwargs": {"enable_thinking": True}, "thinking_budget_tokens": 9}),
        ("generic", {}),
    ],
)
def test_a_plain_request_goes_to_the_model_in_its_own_words(provider: Any, switched: dict[str, Any]) -> None:
    asked = request(
        result_format="message",
        incremental_output=True,
        enable_thinking=True,
        thinking_budget=9,
        max_tokens=5,
        stop=["x"],
        top_k=3,
        tools=[{"type": "function"}],
    )
    assert asked.chat_body(Endpoint(base_url=URL, model="m", provider=provider)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "What is 6 * 7?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "stop": ["x"],
        "top_k": 3,
        "tools": [{"type": "function"}],
        **switched,
    }
