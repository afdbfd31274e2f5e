"""A server for tests, at stdin and stdout."""

import os
import time

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, ImageContent, TextContent, ToolAnnotations

READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("test", log_level="ERROR")


@server.tool(annotations=READS)
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def delete(name: str) -> str:
    """Delete something."""
    return f"deleted {name}"


@server.tool(annotations=READS)
def picture() -> CallToolResult:
    """Draw."""
    return CallToolResult(content=[TextContent(text="Here:"), ImageContent(data="AAAA", mime_type="image/png")])


@server.tool(annotations=READS)
def hang() -> None:
    """Never answer."""
    time.sleep(3600)


@server.tool(annotations=READS)
def ratio() -> float:
    """Break the promise of a number: JSON has none for this."""
    return float("nan")


@server.tool(annotations=READS)
def die() -> None:
    """End the server."""
    os._exit(3)


if __name__ == "__main__":
    server.run()
