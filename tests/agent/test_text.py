"""Untrusted text never drives a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.text import plain


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x1b]52;c;Y2xpcA==\x1b\\",
        "\x1b[2J\x1b[H",
        "\x9b31m",
        "\x08\x08",
        "\x1bc",
        "\x1bP1q\x1b\\",
    ],
)
def test_escapes_are_gone(hostile: str) -> None:
    cleaned = plain(f"a{hostile}b")
    assert cleaned.startswith("a")
    assert "\x1b" not in cleaned
    assert "\x9b" not in cleaned


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    assert not [char for char in plain(text) if (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160]


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs"])))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert plain(text) == text
