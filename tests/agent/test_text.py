"""Untrusted text does not control a screen, and code is shown as it ran."""

import json
import re
import tracemalloc
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.text import (
    MAX_MARKS,
    MAX_NAMES_CHARS,
    escaped_json,
    harmless,
    has_control_characters,
    has_hidden_characters,
    is_cut,
    plain,
    visible,
)

PLAIN = {
    "colours": ("\x1b[31ma\x1b[0m", "a"),
    "colours of 8 bits": ("\x9b31ma\x9b0m", "a"),
    "a cursor that moves": ("a\x1b[2J\x1b[1;1H\x1b[1Ab", "ab"),
    "a cursor that moves, of 8 bits": ("a\x9b2J\x9b1;1Hb", "ab"),
    "a colon in a colour": ("\x1b[38:2::1:2:3ma", "a"),
    "a private mode": ("\x1b[?1049ha", "a"),
    "a sequence without its end": ("a\x1b[31", "a"),
    "a sequence that another interrupts": ("\x1b[3\x1b[31ma", "a"),
    "a title": ("a\x1b]0;title\x07b", "ab"),
    "a title of 8 bits": ("a\x9d0;title\x9cb", "ab"),
    "a title that ends in the other width": ("a\x1b]0;title\x9cb\x9d0;title\x1b\\c", "abc"),
    "a clipboard": ("a\x1b]52;c;Y2xpcA==\x1b\\b", "ab"),
    "a link": ("\x1b]8;;https://a.b\x1b\\text\x1b]8;;\x1b\\", "text"),
    "a device string": ("a\x1bP1q#0\x1b\\b", "ab"),
    "a device string of 8 bits": ("a\x901q#0\x9cb", "ab"),
    "a private message, an application's string": ("a\x1b^x\x1b\\\x1b_y\x1b\\\x9ex\x9c\x9fy\x9cb", "ab"),
    "a title without its end": ("a\x1b]0;title\nb\nc", "a0;title\nb\nc"),
    "a title without its end, of 8 bits": ("a\x9d0;title\nb\nc", "a0;title\nb\nc"),
    "a device string that ends on a later line": ("a\x1bPq\nb\n\x1b\\c", "aq\nb\nc"),
    "a title that ends on a later line": ("a\x1b]0;t\nb\nc\x07d", "a0;t\nb\ncd"),
    "a reset": ("a\x1bcb", "ab"),
    "a character set": ("a\x1b(0b", "ab"),
    "an escape at the end": ("a\x1b", "a"),
    "backspaces": ("ab\x08\x08c", "abc"),
    "a bell, a null and a delete": ("a\x07\x00\x7fb", "ab"),
    "a line rewritten": ("10 %\r100 %\ndone\r\n", "100 %\ndone\n"),
    "other ends of a line": ("a\vb\fc\x85d\u2028e\u2029f", "a\nb\nc\nd\ne\nf"),
    "directions": ("a\u202eb\u2066c\u2069\u202c\u200e\u200f\u061cd", "abcd"),
    "what is not seen": ("a\u200bb\u2060c\ufeffd\xade\U000e0041f\U000e007f", "abcdef"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLAIN)
def test_a_text_is_shown_as_a_terminal_would_show_it(case: str) -> None:
    text, left = PLAIN[case]
    assert plain(text) == left


HONEST = {
    "Arabic and Hebrew": "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "Persian with its joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "a family and a heart": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "tabs and spaces": "a\tb\u3000c\xa0d",
}


@pytest.mark.parametrize("case", HONEST)
def test_honest_text_is_not_changed(case: str) -> None:
    assert plain(HONEST[case]) == harmless(HONEST[case]) == HONEST[case]


@given(st.text())
def test_plain_text_neither_acts_nor_hides(text: str) -> None:
    assert not has_control_characters(plain(text))
    assert not [char for char in plain(text) if unicodedata.category(char) == "Cc" and char not in "\n\t"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Cn", "Zl", "Zp"])))
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert plain(text) == harmless(text) == text


@pytest.mark.parametrize("introducer", ["\x1b[", "\x1b]", "\x1bP", "\x9b", "\x9d", "\x90", "\x1b", "\r"])
def test_a_flood_of_beginnings_takes_time_in_proportion(introducer: str) -> None:
    assert len(plain(introducer * 300_000 + "end")) <= 300_003


VISIBLE = {
    "a carriage return": ("# a\rimport os", "# a<U+000D>\nimport os"),
    "lines of Windows": ("a\r\nb", "a<U+000D><U+000A>\nb"),
    "a carriage return behind what is no ASCII": ("# \u4e2d\rb\0\rc", "# \u4e2d<U+000D>\nb<U+0000><U+000D>\nc"),
    "lines of Windows behind what is no ASCII": ("# \u4e2d\r\nb\0\r\nc",
        "# \u4e2d<U+000D><U+000A>\nb<U+0000><U+000D><U+000A>\nc"),
    "a title in a comment": ("# \x1b]0;\nimport os\n# \x07", "# <U+001B>]0;\nimport os\n# <U+0007>"),
    "a device string of 8 bits": ("# \x90\nimport os\n# \x9c", "# <U+0090>\nimport os\n# <U+009C>"),
    "the escape itself": ("'<U+001B>' <U+", "'<U+003C>U+001B>' <U+003C>U+"),
    "a Trojan source": ("'\u202e' #\u2066", "'<U+202E>' #<U+2066>"),
    "a null": ("a\0b", "a<U+0000>b"),
    "other ends of a line": ("\v\f\x1c\x85\u2028", "<U+000B><U+000C><U+001C><U+0085><U+2028>"),
    "a lone surrogate": ("'\ud800'", "'<U+D800>'"),
    "what is not seen": ("\u200b\u200d\xad\ufeff\xa0\u3164\ufe0f\U000e0041",
        "<U+200B><U+200D><U+00AD><U+FEFF><U+00A0><U+3164><U+FE0F><U+E0041>"),
    "a flood of marks": ("a" + "\u0301" * 6, "a" + "\u0301" * 4 + "<U+0301><U+0301>"),
    "what is seen": ("\tprint('\u4e2d\u6587 \u05e9 \u0301a')\n\n", "\tprint('\u4e2d\u6587 \u05e9 \u0301a')\n\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", VISIBLE)
def test_invisible_characters_in_code_are_named(case: str) -> None:
    code, shown = VISIBLE[case]
    assert visible(code) == shown


def as_it_ran(shown: str) -> str:
    """The code from which `visible` made this."""

    def character(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else {"<U+000D>\n": "\r"}.get(match[0], "\r\n")

    return re.sub(r"<U\+000D>(?:<U\+000A>)?\n|<U\+([0-9A-F]{4,6})>", character, shown)


HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\r\n\t<U+0D>\x1b]\x9b\x9c\0\u202e\u2028\u200d\u0301\ufe0f "),
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn"]),
    )
)


@given(HOSTILE)
@example("\r\n\r\r\n")
@example("<U+003C>U+001B>")
def test_the_code_that_ran_follows_from_what_is_shown(code: str) -> None:
    assert as_it_ran(visible(code)) == code


@given(HOSTILE)
def test_shown_code_has_only_visible_characters(code: str) -> None:
    shown = visible(code)
    assert all(char.isprintable() or char in "\n\t" for char in shown)
    assert harmless(shown) == shown
    assert not re.search(f"[\u0300-\u036f]{{{MAX_MARKS + 1}}}", shown)


@given(HOSTILE)
def test_harmless_text_does_not_act_and_stays_so(text: str) -> None:
    assert not has_control_characters(harmless(text))
    assert harmless(harmless(text)) == harmless(text)


@given(HOSTILE)
def test_harmless_json_is_the_same_value_and_does_not_act(text: str) -> None:
    for value in ({text: [text]}, text):
        written = escaped_json(json.dumps(value, ensure_ascii=False))
        assert json.loads(written) == value
        assert not has_control_characters(written)


@given(HOSTILE)
def test_code_hides_something_if_more_than_an_end_of_line_is_named(code: str) -> None:
    named = visible(code.replace("\r\n", "\n").replace("<U+", "..."))
    assert has_hidden_characters(code) == (named != code.replace("\r\n", "\n").replace("<U+", "..."))


@pytest.mark.parametrize("length", [4_095, 4_096, 4_097, 8_192])
@pytest.mark.parametrize("text", ["\u0301", "\r\n", "<U+", "\r", "<", "\0", "\u4e2d"])
def test_each_place_in_a_long_code_is_shown_alike(text: str, length: int) -> None:
    code = "a" * length + text * 6 + "b"
    assert as_it_ran(visible(code)) == code
    assert visible(code) == "a" * length + visible(f"a{text * 6}b")[1:]


FLOODS = ["\0", "\x01a", "\r", "\r\n", "<U+", "\u200b", "\u3164", "\ud800", "\U000e0041", "e" + "\u0301" * 9]


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_names_is_cut_with_a_line_that_says_so(flood: str) -> None:
    code = flood * (1_000_000 // len(flood)) + "end"
    shown = visible(code)
    assert is_cut(shown)
    assert len(shown) < len(code) + MAX_NAMES_CHARS + 50_000
    head, _, note = shown.rpartition("\n<U+\u2026")
    said = re.fullmatch(r" (\d+) characters are left out here; the record of the run has them all>\n", note)
    assert said is not None
    count = said[1]
    assert as_it_ran(head) == code[: len(code) - int(count)]


@given(HOSTILE)
@example("\n<U+\u2026 9 characters are left out here")
def test_complete_code_never_looks_cut(code: str) -> None:
    assert not is_cut(visible(code))


@pytest.mark.parametrize("text", ["a" * 1_000_000, "\u4e2d" * 1_000_000, "e\u0301\n" * 400_000, "<" * 1_000_000])
def test_visible_text_of_any_length_is_shown_whole(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("flood", [*FLOODS, "a", "\u4e2da", "\x1b[0m"])
@pytest.mark.parametrize("shown", [visible, has_hidden_characters, plain, harmless])
def test_a_flood_takes_memory_in_proportion(shown: Callable[[str], object], flood: str) -> None:
    text = flood * (1_000_000 // len(flood))
    written = 8 * len(text.encode("utf-8", "replace"))
    assert peak_bytes(lambda: shown(text)) < 3 * written + (8 << 20)
