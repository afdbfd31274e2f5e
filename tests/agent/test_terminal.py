"""A text that moves the cursor is read as the screen that it leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.terminal import MAX_CHARS, drawn, moves_cursor
from agent.text import printed

DRAWN = {
    "a spinner": ("work |\b/\b-\b", "work -"),
    "a word put right": ("helo\b\b\blo!", "hlo!"),
    "bold by overstriking": ("b\bbo\bold\bd", "bold"),
    "a bar that erases its line": ("\r\x1b[K10%\r\x1b[K5%", "5%"),
    "two nested bars": ("outer 0\ninner 0\x1b[A\router 1\ninner 9\n", "outer 1\ninner 9\n"),
    "a bar that goes up": ("a 1\nb 1\n\x1b[2Aa 2\nb 2\n", "a 2\nb 2\n"),
    "colours beside it": ("\x1b[31mold\x1b[0m\x1b[3D\x1b[32mnew\x1b[0m", "new"),
    "a cleared screen": ("kept\n\x1b[2J\x1b[Hnew\b\b\bN", "kept\nNew"),
    "what is below is erased": ("a\nb\nc\x1b[2A\x1b[J", "a"),
    "a column": ("abc\x1b[1GX", "Xbc"),
    "a column behind the end": ("a\x1b[5Gb", "a   b"),
    "previous line": ("a\nb\x1b[Fc", "c\nb"),
    "a shorter line over a longer": ("longer\x1b[0G\x1b[0Kab", "ab"),
    "eight-bit codes": ("old\x9b3Dnew", "new"),
    "above the top": ("a\x1b[99Ab", "ab"),
}


@pytest.mark.parametrize("case", DRAWN)
def test_the_last_state_is_what_is_read(case: str) -> None:
    text, screen = DRAWN[case]
    assert printed(text) == screen


@given(st.text(st.sampled_from("ab\r\n\b"), max_size=20), st.sampled_from(["\x1b[A", "\x1b[K", "\x1b[9999C", "\b"]))
def test_a_drawn_text_holds_no_movement(text: str, move: str) -> None:
    screen = drawn(text + move + text)
    assert not moves_cursor(screen)
    assert "\x1b" not in screen


@given(st.text(st.characters(exclude_characters="\b\r\x1b\x9b", exclude_categories=["Cc", "Cs"])))
def test_a_text_without_movements_is_its_own_screen(text: str) -> None:
    assert drawn(text) == text


@pytest.mark.parametrize(
    "piece", ["\b", "\x1b[A", "\x1b[2K", "\x1b[J", "\x1b[2J", "\x1b[9999Cx", "a\x1b[D", "\n\x1b[A", "\x1b[9999B"]
)
def test_a_hostile_text_takes_time_and_memory_in_proportion(piece: str) -> None:
    text = piece * (MAX_CHARS // len(piece))
    assert len(drawn("x" * 1000 + text[: MAX_CHARS - 1000])) <= 3 * MAX_CHARS


def test_a_long_text_is_not_drawn() -> None:
    assert printed("ab\b" * MAX_CHARS) == "ab" * MAX_CHARS
