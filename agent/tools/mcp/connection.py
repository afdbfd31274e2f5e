"""A connection to one server, which is started again once if the server ends."""

import asyncio
import tempfile
from contextlib import suppress
from typing import IO, Any

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CONNECTION_CLOSED, CallToolResult, Tool
from pydantic import ValidationError

from agent.errors import UsageError
from agent.text import cut_middle, in_one_line
from agent.tools.mcp.config import ServerSpec

START_S = 30.0
CALL_S = 60.0
MAX_STARTS = 2
MAX_TOOLS = 200
MAX_TOLD_CHARS = 300


class Connection:
    """Starts a server and calls its tools. Use it in an `async with`; it may be called from any task.

    The client is opened and closed in a task of its own, as its library needs it.
    """

    def __init__(self, name: str, spec: ServerSpec) -> None:
        self.name = name
        self._spec = spec
        self._starts = 0
        self._starting = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._client: Client | None = None

    async def __aenter__(self) -> "Connection":
        await self._started()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def tools(self) -> list[Tool]:
        """The tools that the server has, 200 at most. Raises UsageError."""
        client, found, cursor = await self._started(), list[Tool](), None
        try:
            async with asyncio.timeout(START_S):
                while len(found) < MAX_TOOLS:
                    page = await client.list_tools(cursor=cursor)
                    found += page.tools
                    if not (cursor := page.next_cursor):
                        break
        except (MCPError, TimeoutError) as error:
            raise UsageError(f"The MCP server {self.name!r} does not list its tools: {_line(error)}.") from error
        return found[:MAX_TOOLS]

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """Call a tool. Raises RuntimeError with one line if the server fails; then the next call starts it again."""
        try:
            client = await self._started()
        except UsageError as error:
            raise RuntimeError(error.message) from error
        try:
            async with asyncio.timeout(CALL_S):
                return await client.call_tool(tool, arguments)
        except TimeoutError:
            await self._drop(client)
            raise RuntimeError(f"the MCP server {self.name!r} did not answer within {CALL_S:g} s") from None
        except Exception as error:  # an error of the call, or whatever a broken connection raises
            if _is_an_answer(error):
                raise RuntimeError(_line(error)) from error
            await self._drop(client)
            raise RuntimeError(f"the MCP server {self.name!r} ended during the call") from error

    async def _drop(self, client: Client) -> None:
        """End a client that failed, unless another call has done so."""
        if self._client is client:
            await self._stop()

    async def _started(self) -> Client:
        async with self._starting:
            if self._client is not None:
                return self._client
            if self._starts == MAX_STARTS:
                raise UsageError(f"The MCP server {self.name!r} has failed twice and is not started again.")
            self._starts += 1
            self._end = asyncio.Event()
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._keeper = asyncio.create_task(self._keep(ready, self._end))
            try:
                async with asyncio.timeout(START_S):
                    self._client = await asyncio.shield(ready)
            except TimeoutError:
                await self._stop()
                raise UsageError(f"The MCP server {self.name!r} did not answer within {START_S:g} s.") from None
            return self._client

    async def _keep(self, ready: asyncio.Future[Client], end: asyncio.Event) -> None:
        """Hold the client open until the end."""
        with tempfile.TemporaryFile("w+", errors="replace") as complaints:
            try:
                async with self._http() as http, Client(self._transport(http, complaints)) as client:
                    ready.set_result(client)
                    await end.wait()
            except Exception as error:  # whatever its library raises, often in groups
                if not ready.done():
                    ready.set_exception(self._failed(error, complaints))

    def _http(self) -> httpx2.AsyncClient:
        timeout = httpx2.Timeout(START_S, read=None)
        return httpx2.AsyncClient(headers=self._spec.headers, timeout=timeout)

    def _transport(self, http: httpx2.AsyncClient, complaints: IO[str]) -> Any:
        spec = self._spec
        if spec.url is not None:
            return streamable_http_client(spec.url, http_client=http)
        assert spec.command is not None, "a spec has a command or a URL"
        asked = StdioServerParameters(command=spec.command, args=list(spec.args), env=dict(spec.env), cwd=spec.cwd)
        return stdio_client(asked, errlog=complaints)  # type: ignore[arg-type]

    def _failed(self, error: BaseException, complaints: IO[str]) -> UsageError:
        complaints.seek(0)
        said = [line for line in complaints.read().splitlines() if line.strip()]
        why = cut_middle(in_one_line(said[-1]), MAX_TOLD_CHARS, "…") if said else _line(error)
        return UsageError(f"The MCP server {self.name!r} does not start: {why}.")

    async def _stop(self) -> None:
        """End the client, and with it the server's process."""
        keeper, self._keeper, self._client = self._keeper, None, None
        if keeper is None:
            return
        self._end.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await asyncio.shield(keeper)
            return
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


def _is_an_answer(error: Exception) -> bool:
    """True if the server has answered: with an error, or with a result that its own schema does not allow."""
    if isinstance(error, MCPError):
        return error.code != CONNECTION_CLOSED
    return isinstance(error, RuntimeError | ValidationError)


def _line(error: BaseException) -> str:
    """The first error of a group, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return cut_middle(in_one_line(str(error) or type(error).__name__).removesuffix("."), MAX_TOLD_CHARS, "…")
