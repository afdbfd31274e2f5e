"""The type of an answer: a pydantic model, another type, or a JSON schema."""

from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agent import UsageError
from agent.answers import MAX_SCHEMA_BYTES, AnswerType, MismatchError, read_schema


class Row(BaseModel):
    city: str
    people: int


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Row, '{"city": "Ulm", "people": 5}', Row(city="Ulm", people=5)),
        (list[Row], '[{"city": "Ulm", "people": 5}]', [Row(city="Ulm", people=5)]),
        (float, "34.65", 34.65),
        (date, '"2026-02-10"', date(2026, 2, 10)),
        (Literal["yes", "no"], '"yes"', "yes"),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (SCHEMA, '{"city": "Ulm", "people": 5}', {"city": "Ulm", "people": 5}),
        ({"enum": [1, 2]}, "2", 2),
    ],
)
@pytest.mark.parametrize("around", ["{}", " {}\n", "```json\n{}\n```", "```\n{}\n```\n"])
def test_an_answer_has_a_value_of_its_type(kind: Any, text: str, value: Any, around: str) -> None:
    assert AnswerType.of(kind).value_of(around.replace("{}", text)) == value


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (Row, '{"city": "Ulm"}', "people: Field required"),
        (Row, "Ulm has 5.", "Invalid JSON: expected value at line 1 column 1"),
        (SCHEMA, '{"city": "Ulm"}', "'people' is a required property"),
        (SCHEMA, '{"city": 7, "people": 5}', "city: 7 is not of type 'string'"),
        (SCHEMA, "Ulm has 5.", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (SCHEMA, "", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_an_answer_that_does_not_fit_says_why_in_one_line(kind: Any, text: str, why: str) -> None:
    with pytest.raises(MismatchError) as caught:
        AnswerType.of(kind).value_of(text)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (object(), "cannot be the type of an answer"),
        (
            {"type": "nonsense"},
            "The schema is not valid at 'type': 'nonsense' is not valid under any of the given schemas",
        ),
        (
            {"a": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]},
            "The schema cannot be used: it is nested deeper than 16 levels.",
        ),
    ],
)
def test_what_is_no_type_is_one_line(kind: Any, why: str) -> None:
    with pytest.raises(UsageError, match=r"^[^\n]*$") as caught:
        AnswerType.of(kind)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "refers to what it does not contain"),
        ({"properties": {"a": {"items": {"$ref": "file:///etc/hostname"}}}}, "refers to what it does not contain"),
        ({"$ref": "#/$defs/a"}, "refers to what it does not contain"),
        ({"anyOf": [{"$dynamicRef": "#a"}]}, "refers to what it does not contain"),
        ({"$ref": "#/title", "title": "a"}, "refers to what is no schema"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "without end"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_before_any_answer(schema: Any, why: str) -> None:
    with pytest.raises(UsageError, match=r"^The schema refers to [^\n]*$") as caught:
        AnswerType.of(schema)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}},
        {"$ref": "a.json", "$id": "https://example.org/", "$defs": {"a": {"$id": "a.json", "type": "object"}}},
        {"properties": {"$ref": {"type": "integer"}}, "default": {"$ref": "x"}},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    ],
)
def test_a_schema_may_refer_to_what_it_contains_and_to_itself(schema: Any) -> None:
    assert AnswerType.of(schema).value_of('{"a": {"a": {}}}') == {"a": {"a": {}}}


def test_a_schema_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a b.json"
    path.write_text('{"type": "number"}')
    assert read_schema(path) == {"type": "number"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "Cannot read the schema 'missing.json': No such file or directory."),
        (b"{", "The schema 'schema.json' is no JSON: "),
        (b"\xff", "The schema 'schema.json' is no JSON: "),
        (b"[" * 10_000, "The schema 'schema.json' is no JSON: "),
        (b'"number"', "A schema is a JSON object, not 'number'."),
        (b" " * (MAX_SCHEMA_BYTES + 1), f"The schema 'schema.json' is over the limit of {MAX_SCHEMA_BYTES} bytes."),
    ],
)
def test_a_bad_file_is_one_line(
    content: bytes | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("schema.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"^[^\n]*$") as caught:
        read_schema(Path("missing.json" if content is None else "schema.json"))
    assert caught.value.message.startswith(why)


@given(st.text())
def test_any_text_has_a_value_or_a_reason(text: str) -> None:
    for kind in (Row, SCHEMA):
        with pytest.raises(MismatchError):
            AnswerType.of(kind).value_of(text)
