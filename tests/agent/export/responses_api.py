"""Validates items of the Responses API with the types of the package openai."""

import json
from typing import Any

from openai.types.responses import ResponseCodeInterpreterToolCall, ResponseReasoningItem
from openai.types.responses.response_function_tool_call_item import ResponseFunctionToolCallItem
from openai.types.responses.response_function_tool_call_output_item import ResponseFunctionToolCallOutputItem
from openai.types.responses.response_input_message_item import ResponseInputMessageItem
from openai.types.responses.response_output_message import ResponseOutputMessage
from pydantic import BaseModel

TYPES: dict[str, type[BaseModel]] = {
    "reasoning": ResponseReasoningItem,
    "code_interpreter_call": ResponseCodeInterpreterToolCall,
    "function_call": ResponseFunctionToolCallItem,
    "function_call_output": ResponseFunctionToolCallOutputItem,
}


def check_items(text: str) -> list[dict[str, Any]]:
    """The items, if each is valid for its type and has no unknown field, and if every id is unique."""
    items: list[dict[str, Any]] = json.loads(text)
    for item in items:
        assert _type_of(item).model_validate(item, strict=True).model_dump(exclude_unset=True) == item
        assert set(item) <= set(_type_of(item).model_fields)
    ids = [item["id"] for item in items]
    assert len(ids) == len(set(ids))
    return items


def _type_of(item: dict[str, Any]) -> type[BaseModel]:
    if item["type"] == "message":
        return ResponseOutputMessage if item["role"] == "assistant" else ResponseInputMessageItem
    return TYPES[item["type"]]
