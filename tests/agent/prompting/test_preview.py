"""The first lines of a file: short whatever the file holds, and nothing of what is no text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.prompting.preview import HEAD_BYTES, MAX_LINE_CHARS, MAX_LINES, MAX_NESTED_LINES, preview, preview_of_made

SHOWN = {
    b"a,b\n1,2\n3,4\n5,6\n": "a,b\n1,2\n3,4",
    b"\xef\xbb\xbfa;b\r\n1;2\r\n": "a;b\n1;2",
    "größe,名\n".encode(): "größe,名",
    b"\x1b[31mred\x1b[0m\n": "red",
    b"x" * 300: "x" * 100 + "[...]" + "x" * 100,
    json.dumps({"shelves": [{"items": 1}]}, indent=1).encode(): json.dumps({"shelves": [{"items": 1}]}, indent=1),
    b"[\n" * HEAD_BYTES: "\n".join("[" * MAX_NESTED_LINES),
    b"a\n" * HEAD_BYTES: "a\na\na",
    ("é" * HEAD_BYTES).encode(): "é" * 100 + "[...]" + "é" * 100,
    b"x" + "é".encode() * HEAD_BYTES: "x" + "é" * 99 + "[...]" + "é" * 100,
}


@pytest.mark.parametrize("content", SHOWN, ids=lambda content: repr(content[:8]))
def test_the_first_lines_are_shown(content: bytes) -> None:
    assert preview(content[:HEAD_BYTES]) == SHOWN[content]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"gr\xf6\xdfe\n", "a".encode("utf-16")]
)
def test_what_is_no_text_is_not(content: bytes) -> None:
    assert preview(content) == ""


@given(st.binary(max_size=HEAD_BYTES) | st.text(max_size=HEAD_BYTES // 4).map(str.encode))
def test_it_is_short_whatever_the_file_holds(content: bytes) -> None:
    lines = preview(content * 3 if len(content) < 99 else content).split("\n")
    assert len(lines) <= (MAX_NESTED_LINES if lines[0] in ("{", "[") else MAX_LINES)
    assert all(len(line) <= MAX_LINE_CHARS + len("[...]") and "\x1b" not in line for line in lines)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"month,total\n1,2\n3,4\n5,6\n7,8\n9,0\n", ["month,total", "1,2", "3,4", "5,6", "7,8"]),
        ("城市;总额\n上海;3\n".encode(), ["城市;总额", "上海;3"]),
        (b"x" * 300, ["x" * 40 + "[...]" + "x" * 40]),
        (b"\x89PNG\r\n\x1a\n\0\0", []),
        (b"", []),
    ],
)
def test_of_a_file_that_an_answer_made_fewer_characters_of_more_lines_are_shown(
    content: bytes, lines: list[str]
) -> None:
    assert preview_of_made(content).splitlines() == lines
