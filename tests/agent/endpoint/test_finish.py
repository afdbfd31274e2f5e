"""A finish reason is that of a whole reply, of one that was cut or filtered, or of one that broke off."""

import pytest

from agent.endpoint import finish

WHOLE = ["stop", "STOP", "FinishReason.STOP", "end_turn", "eos", "eos_token", "eosFound", "stop_sequence", "COMPLETE"]
WHOLE += ["tool_calls", "toolCalls", "tool_use", "function_call", "normal", "refusal"]
CUT = ["length", "LENGTH", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"]
CUT += ["model_context_window_exceeded"]
FILTERED = ["content_filter", "contentFiltered", "SAFETY", "IMAGE_SAFETY", "sensitive", "RECITATION", "BLOCKLIST"]
FILTERED += ["PROHIBITED_CONTENT", "SPII", "guardrail_intervened", "ERROR_TOXIC", "content_policy_violation"]
BROKEN = ["network_error", "insufficient_system_resource", "error", "abort", "timeout", "cancelled", "OTHER"]
BROKEN += ["MALFORMED_FUNCTION_CALL", "FINISH_REASON_UNSPECIFIED", "time_limit", "异常", "?"]


@pytest.mark.parametrize("word", [*WHOLE, *CUT, *FILTERED, *BROKEN])
def test_a_word_of_a_server_means_one_kind_of_end(word: str) -> None:
    reason = finish.reason_of(word)
    assert reason is not None
    assert (reason == "length") == (word in CUT)
    assert finish.is_whole(reason) == (word in WHOLE + CUT)
    assert finish.is_filtered(reason) == (word in FILTERED)


@pytest.mark.parametrize("value", [None, "", " ", "null", "None", 3, [], {}, {"type": None}])
def test_no_word_is_no_end(value: object) -> None:
    assert finish.reason_of(value) is None


def test_a_reason_may_be_in_an_object() -> None:
    assert finish.reason_of({"type": "stop", "matched": 7}) == "stop"
