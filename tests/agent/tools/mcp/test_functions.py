"""A tool of a server is a function: its schema stays, its names become those of Python."""

import json
from typing import Any

import pytest

from agent.messages import ToolCall
from agent.tools.functions import FunctionTool
from agent.tools.mcp.functions import function_of, unique_names


async def echo(arguments: dict[str, Any]) -> Any:
    return arguments


def tool(schema: dict[str, Any]) -> FunctionTool:
    return FunctionTool(function_of("server_tool", "What it does.", schema, echo))


async def told(made: FunctionTool, arguments: dict[str, Any]) -> Any:
    return json.loads(await made.call(ToolCall(id="1", name=made.name, arguments=json.dumps(arguments))))


def test_names_are_safe_and_unique() -> None:
    texts = ["get-it", "get it", "get_it", "1st", "from", "run_python", "é", "x" * 99]
    assert unique_names(texts) == [
        *("get_it", "get_it_2", "get_it_3", "_1st", "from_", "run_python_", "unnamed"),
        "x" * 60,
    ]


async def test_the_schema_is_passed_on_and_arguments_go_by_its_own_names() -> None:
    made = tool(
        {
            "type": "object",
            "properties": {
                "user-id": {"type": "integer", "minimum": 1, "description": "Whose."},
                "kind": {"enum": ["a", "b"]},
                "tags": {"type": ["array", "null"], "items": {"type": "string"}},
            },
            "required": ["user-id"],
        }
    )
    shown = made.schema["function"]
    assert (shown["name"], shown["description"]) == ("server_tool", "What it does.")
    assert shown["parameters"]["properties"]["user_id"] == {"type": "integer", "minimum": 1, "description": "Whose."}
    assert shown["parameters"]["properties"]["kind"]["enum"] == ["a", "b"]
    assert shown["parameters"]["required"] == ["user_id"]
    assert await told(made, {"user_id": "7", "kind": None}) == {"user-id": 7}


def test_code_in_a_cell_calls_it_by_position_and_without_await() -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["b"]}
    shown = tool(schema).definition
    assert [(each.name, each.is_keyword_only) for each in shown.parameters] == [("b", False), ("a", False)]
    assert not shown.is_async


async def test_references_are_replaced_also_those_that_lead_back() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}
    made = tool({"properties": {"tree": {"$ref": "#/$defs/Tree"}}, "required": ["tree"], "$defs": {"Tree": tree}})
    assert "$ref" not in json.dumps(made.schema)
    assert await told(made, {"tree": {"left": {}}}) == {"tree": {"left": {}}}


ODD: dict[str, dict[str, Any]] = {
    "no object of properties": {"properties": ["a"], "required": 3, "$defs": [1]},
    "requirements that are no names": {"properties": {"a": {}}, "required": [{}, "b"]},
    "references that multiply": {
        "properties": {"a": {"$ref": "#/$defs/0"}},
        "$defs": {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 20} for n in range(20)},
    },
    "a schema without a bottom": {"properties": {"a": json.loads('{"items":' * 500 + "{}" + "}" * 500)}},
    "a number that JSON lacks": {"properties": {"a": {"type": "number", "default": float("-inf")}}},
}


@pytest.mark.parametrize("kind", ODD)
async def test_an_odd_schema_is_a_tool_that_takes_more(kind: str) -> None:
    made = tool(ODD[kind])
    assert len(json.dumps(made.schema, allow_nan=False)) < 400_000
    given = dict.fromkeys(made.parameters, 1)
    assert await told(made, given) == given
