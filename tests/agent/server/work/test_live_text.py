"""Text is told as it comes, up to where a call may begin; what is told is the beginning of what is said."""

from collections.abc import Sequence

import pytest

from agent.messages import Usage
from agent.progress import CallBegun, Progress, TextDelta, TurnEnded, TurnRestarted
from agent.server.work.live_text import LiveText


def told(pieces: Sequence[str | Progress], *, is_open: bool = True) -> tuple[LiveText, list[str]]:
    live = LiveText(is_open=is_open)
    read = [TextDelta(piece) if isinstance(piece, str) else piece for piece in pieces]
    return live, [text for piece in read if (text := live.take(piece))]


def calling(text: str) -> TurnEnded:
    return TurnEnded("", text, False, Usage())


@pytest.mark.parametrize(
    ("pieces", "parts", "left"),
    [
        (["It ", "is ", "42."], ["It", " is"], " 42."),
        (["  \n", "结果", "是", "四十二。"], ["结果", "是", "四十二。"], ""),
        (["a < b and b <", " c "], ["a < b and b", " < c"], ""),
        (["Run: ", "<tool", "_call>"], ["Run"], ": <tool_call>"),
        (["So: {", '"a": 1} is it.'], ["So"], ': {"a": 1} is it.'),
        (["The set {1, 2} ", "is\n", "{3} "], ["The set {1, 2}", " is"], "\n{3}"),
        (["See:\n``", "`python\n1\n```\nDone. "], ["See"], ":\n```python\n1\n```\nDone."),
        (["Call run", "_python(", '"1")'], ["Call"], ' run_python("1")'),
    ],
)
def test_a_text_is_told_up_to_where_a_call_may_begin(pieces: list[str], parts: list[str], left: str) -> None:
    live, found = told(pieces)
    whole = "".join(pieces).strip()
    assert (found, live.left_of(whole)) == (parts, left)
    assert "".join(found) + left == whole


def test_before_an_answer_is_accepted_nothing_is_told_where_checks_are_in_force() -> None:
    live, found = told(["It is 42. ", calling("It is 42.")], is_open=False)
    assert (found, live.left_of("It is 42.")) == ([], "It is 42.")


def test_what_is_said_before_a_call_is_told_when_the_call_begins_or_its_turn_ends() -> None:
    assert told(["I compute", CallBegun("run_python"), calling("I compute")])[1] == ["I", " compute"]
    live, found = told(["I see:\n```python", calling("I see:")])
    assert found == ["I see", ":"]
    assert live.left_of("I see:") == "", "at a limit, the last text is the answer"
    assert live.left_of("It is 42.") is None


@pytest.mark.parametrize(("again", "left"), [("It is 42.", " 42."), ("Forty-two.", None)])
def test_what_an_attempt_has_told_is_not_told_again(again: str, left: str | None) -> None:
    live, found = told(["It is ", TurnRestarted("lost"), again])
    assert (found, live.left_of(again)) == (["It is"], left)
