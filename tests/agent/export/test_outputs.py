"""MIME bundles of untrusted code: which become pictures, and which become text."""

import base64
import json
import math
from typing import Any

import pytest

from agent.export.outputs import JsonText, Text, image_in, mime_text, one_line, pieces_in, text_in
from tests.golden.scenarios import SVG, sine_png

PNG = sine_png()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0 and so on").decode()


def test_a_picture_is_what_its_first_bytes_say() -> None:
    image = image_in({"image/jpeg": JPEG, "text/plain": "<Figure size 1x1>\nmore"})
    assert image is not None
    assert (image.mime, image.alternative, "".join(image.url())) == (
        "image/jpeg", "<Figure size 1x1>", f"data:image/jpeg;base64,{JPEG}",
    )  # fmt: skip


def test_base64_in_lines_is_one_picture() -> None:
    lines = "\n".join(PNG[place : place + 76] for place in range(0, len(PNG), 76)) + "\n"
    image = image_in({"image/png": lines})
    assert image is not None
    assert "".join(image.url()) == f"data:image/png;base64,{PNG}"


def test_an_svg_is_a_picture_whether_it_is_text_or_lines() -> None:
    for svg in (SVG, [SVG[:20], SVG[20:]]):
        image = image_in({"image/svg+xml": svg})
        assert image is not None
        assert "".join(image.url()) == f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"


NO_PICTURES: list[dict[str, Any]] = [
    {},
    {"image/png": "<script>"},
    {"image/png": PNG[1:]},
    {"image/png": JPEG},
    {"image/png": 5},
    {"image/png": [PNG]},
    {"image/png": "é" + PNG},
    {"image/svg+xml": "no picture"},
    {"image/tiff": PNG},
    {"image/png; charset=x": PNG},
]


@pytest.mark.parametrize("data", NO_PICTURES)
def test_data_that_is_not_a_picture_is_not_shown_as_one(data: dict[str, Any]) -> None:
    assert image_in(data) is None


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (["a\n", "b"], "a\nb"), (5, "5"), (["a", 1], '[\n "a",\n 1\n]'), (None, "null")]
)
def test_a_representation_of_any_type_is_text(value: Any, text: str) -> None:
    assert whole(mime_text(value)) == text


def whole(text: Text) -> str:
    return "".join(pieces_in(text))


def test_a_bundle_as_text_is_its_plainest_representation() -> None:
    assert whole(text_in({"text/html": "<b>", "text/plain": "b"})) == "b"
    assert whole(text_in({"application/json": {"a": 1}, "image/tiff": "x"})) == '{\n "a": 1\n}'
    assert whole(text_in({"image/tiff": "x"})) == '{\n "image/tiff": "x"\n}'


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("text/latex", "$x$", "$x$"),
        ("text/markdown", "*x*", "*x*"),
        ("text/html", "<b>x</b>", "<b>x</b>"),
        ("application/json", {"x": 1}, '{\n "x": 1\n}'),
    ],
)
def test_the_name_of_a_type_is_replaced_by_the_content_of_the_object(kind: str, value: Any, text: str) -> None:
    plain = "<IPython.core.display.Math object>"
    assert whole(text_in({"text/plain": plain, kind: value})) == text
    assert whole(text_in({"text/plain": plain, "image/tiff": "x"})) == plain
    assert whole(text_in({"text/plain": f"{plain}!", kind: value})) == f"{plain}!"


def test_json_has_one_form_that_every_parser_takes() -> None:
    text = whole(JsonText({"b": math.nan, "a": [math.inf, "\ud800", "é"]}))
    assert text == '{\n "a": [\n  null,\n  "?",\n  "é"\n ],\n "b": null\n}'
    assert json.loads(text) == {"a": [None, "?", "é"], "b": None}


@pytest.mark.parametrize(("text", "line"), [("a", "a"), (" a \nb", "a"), ("", ""), ("abcdef", "abc…")])
def test_one_line_of_a_text(text: str, line: str) -> None:
    assert one_line(text, 4) == line
