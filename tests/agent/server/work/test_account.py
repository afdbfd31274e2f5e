"""What is told of an answer while it comes."""

from pathlib import Path
from typing import Any

import pytest

from agent.loop.result import RunResult
from agent.messages import Usage
from agent.progress import CodeStarted, Progress, ReasoningDelta, TextDelta, TurnEnded, TurnRestarted
from agent.server.faults import Fault
from agent.server.work.account import MAX_PIECES, Account, in_pieces


def told(*pieces: Progress) -> str:
    account = Account()
    told = "".join(map(account.take, pieces))
    assert told == account.reasoning
    return told


def ended(reasoning: str = "", text: str = "", *, is_answer: bool = False) -> TurnEnded:
    return TurnEnded(reasoning, text, is_answer, Usage(input_tokens=10, output_tokens=5, reasoning_tokens=2))


def test_thinking_is_told_as_it_comes_and_text_is_held_back() -> None:
    assert told(ReasoningDelta("I "), ReasoningDelta("think."), TextDelta("It is"), ended("I think.")) == "I think."


def test_what_is_said_before_a_call_is_told_with_the_thinking() -> None:
    assert told(ReasoningDelta("Hm."), ended("Hm.", "I compute it.\n")) == "Hm.\n\nI compute it."
    assert told(ended("", "Refused by a check.", is_answer=True)) == ""


def test_thinking_that_did_not_stream_is_told_at_the_end_of_its_turn() -> None:
    assert told(ended("All at once."), ReasoningDelta("Next.")) == "All at once.Next."


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        (["abc"], ["ab", "cd"], "abcd"),
        (["abc"], ["a"], "abc"),
        (["abc"], ["ax", "y"], "abcxy"),
        (["ab", "c"], ["abc"], "abc"),
        ([], ["abc"], "abc"),
    ],
)
def test_an_attempt_that_begins_as_the_one_before_is_not_told_twice(
    first: list[str], second: list[str], whole: str
) -> None:
    pieces: list[Progress] = [*map(ReasoningDelta, first), TurnRestarted("lost"), *map(ReasoningDelta, second)]
    assert told(*pieces) == whole


def test_tokens_and_cells_add_up() -> None:
    account = Account()
    for piece in (ended(), CodeStarted("1"), ended(), CodeStarted("2")):
        account.take(piece)
    assert account.usage == Usage(input_tokens=20, output_tokens=10, reasoning_tokens=4)
    assert account.codes == ["1", "2"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"outcome": "answered"}, "stop"),
        ({"outcome": "limit", "limit": "written"}, "length"),
        ({"outcome": "limit", "limit": "turns"}, "stop"),
        ({"outcome": "failed"}, "stop"),
    ],
)
def test_an_answer_that_was_cut_says_so(result: dict[str, Any], reason: str) -> None:
    given = RunResult(answer="", run_directory=Path(), usage=Usage(), artifacts=[], **result)
    assert Account().finish_reason(given) == reason


def test_a_client_does_not_repeat_a_request_whose_code_has_run() -> None:
    account = Account()
    assert account.after_code(Fault(502, "x", "server_error")).headers == {}
    account.take(CodeStarted("1"))
    assert account.after_code(Fault(502, "x", "server_error")).headers == {"x-should-retry": "false"}
    assert account.after_code(Fault(400, "x", "invalid_value")).headers == {}


@pytest.mark.parametrize("chars", [0, 1, 16, 17, 100_000])
def test_an_answer_comes_in_few_pieces(chars: int) -> None:
    pieces = list(in_pieces("x" * chars))
    assert "".join(pieces) == "x" * chars
    assert len(pieces) <= MAX_PIECES
    assert all(pieces)
