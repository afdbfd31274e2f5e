"""The tools of all servers, for one runtime."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from mcp_types import AudioContent, CallToolResult, ContentBlock, EmbeddedResource, ImageContent, TextContent, Tool
from mcp_types import ResourceLink as Link

from agent.text import cut_middle
from agent.tools.functions import Approve, FunctionTool
from agent.tools.mcp.config import Servers
from agent.tools.mcp.connection import Connection
from agent.tools.mcp.functions import Call, function_of, unique_names

MAX_RESULT_CHARS = 1_000_000
CUT = "\n[... {count} characters left out ...]\n"


@asynccontextmanager
async def opened_tools(servers: Servers, approve: Approve | None) -> AsyncIterator[list[FunctionTool]]:
    """The tools of the servers, which run until the end of the block. Raises UsageError for one that does not start."""
    async with AsyncExitStack() as stack:
        found: list[tuple[Connection, Tool, bool]] = []
        for name, spec in servers.items():
            connection = await stack.enter_async_context(Connection(name, spec))
            for tool in await connection.tools():
                is_free = tool.name in spec.always_allow or bool(tool.annotations and tool.annotations.read_only_hint)
                found.append((connection, tool, is_free))
        names = unique_names(f"{connection.name}_{tool.name}" for connection, tool, _ in found)
        yield [
            FunctionTool(
                function_of(
                    name,
                    tool.description or tool.title or "",
                    tool.input_schema,
                    _call(connection, tool),
                ),
                approve=None if is_free else approve or _refuse,
            )
            for name, (connection, tool, is_free) in zip(names, found, strict=True)
        ]


def _call(connection: Connection, tool: Tool) -> Call:
    async def call(arguments: dict[str, Any]) -> Any:
        return value_of(await connection.call(tool.name, arguments))

    return call


def _refuse(name: str, arguments: dict[str, Any]) -> bool:
    return False


def value_of(result: CallToolResult) -> Any:
    """What a tool returned: its JSON value, or its texts. Raises RuntimeError for a result that is an error."""
    text = cut_middle("\n".join(map(_told, result.content)), MAX_RESULT_CHARS, CUT)
    if result.is_error:
        raise RuntimeError(text or "it failed without a message")
    value = result.structured_content
    if value is None or len(json.dumps(value)) > MAX_RESULT_CHARS:
        return text
    return value["result"] if isinstance(value, dict) and value.keys() == {"result"} else value


def _told(block: ContentBlock) -> str:
    match block:
        case TextContent(text=text):
            return text
        case ImageContent() | AudioContent():
            return f"[{block.mime_type}, {len(block.data) * 3 // 4} bytes]"
        case Link():
            return f"[{block.name}: {block.uri}]"
        case EmbeddedResource(resource=resource):
            return getattr(resource, "text", f"[{resource.uri}]")
