"""The tools and resources of the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import CallToolResult, TextContent
from mcp_types import ToolAnnotations as Hints
from pydantic import Field

from agent.errors import UsageError
from agent.mcp import files, results
from agent.mcp.files import Encoding, SessionFiles
from agent.mcp.results import CellResult
from agent.mcp.roots import Roots
from agent.mcp.sessions import LiveSession, Sessions
from agent.server.owner import Owner
from agent.text import cut_middle, in_one_line
from sandbox import CellblockError

INSTRUCTIONS = (
    "Runs Python in a locked sandbox without a network: a Jupyter kernel whose variables and files in /workspace are "
    "kept in a session. The first call makes a session and tells its handle; pass the handle on to later calls."
)
MAX_CLIENT_CHARS = 100

Code = Annotated[str, Field(description="The Python code of one cell. Print what you want to see.")]
Handle = Annotated[str, Field(description="The handle of a session.")]
HandleOrNone = Annotated[str, Field(description="The handle of a session; empty for a new one.")]
FileName = Annotated[str, Field(description="The name of a file in /workspace.")]


class Tools:
    """The tools over the sessions. `wait_s` bounds how long a call waits for its cell."""

    def __init__(self, sessions: Sessions, roots: Roots, *, wait_s: float) -> None:
        self._sessions = sessions
        self._roots = roots
        self._wait_s = wait_s

    def server(self) -> MCPServer[Any]:
        """A server with these tools."""
        server = MCPServer[Any](
            "cellblock",
            title="Cellblock",
            version=version("cellblock"),
            instructions=INSTRUCTIONS,
            log_level="WARNING",
        )
        runs = Hints(read_only_hint=False, destructive_hint=False, open_world_hint=False)
        reads = Hints(read_only_hint=True, open_world_hint=False)
        for tool in (self.run_python, self.wait, self.put_file):
            server.add_tool(tool, annotations=runs)
        server.add_tool(self.get_file, annotations=runs, structured_output=False)
        server.add_tool(self.list_files, annotations=reads)
        server.add_tool(self.end_session, annotations=Hints(destructive_hint=True, open_world_hint=False))
        for ending in ("png", "jpeg"):
            uri = f"cellblock://{{session}}/cells/{{cell}}/{{number}}.{ending}"
            server.resource(uri, name=f"{ending} picture of a cell", mime_type=f"image/{ending}")(self.read_picture)
        files_uri, kind = "cellblock://{session}/files/{+name}", "application/octet-stream"
        server.resource(files_uri, name="file of a session", mime_type=kind)(self.read_file)
        return server

    async def run_python(
        self, code: Code, ctx: Context, session: HandleOrNone = ""
    ) -> Annotated[CallToolResult, CellResult]:
        """Run Python code in a session and return its output, pictures and new files."""
        async with _told():
            live = await self._session(session, ctx)
            live.begin(code)
            return await self._result(live, ctx)

    async def wait(self, session: Handle, ctx: Context) -> Annotated[CallToolResult, CellResult]:
        """Wait for the cell that still runs in a session, and return its result; or return the newest result again."""
        async with _told():
            return await self._result(self._find(session, ctx), ctx)

    async def put_file(
        self,
        ctx: Context,
        name: Annotated[str, Field(description="The name that the content gets; not needed with a path.")] = "",
        content: Annotated[str, Field(description="The content.")] = "",
        encoding: Annotated[Encoding, Field(description="How the content is written.")] = "text",
        path: Annotated[str, Field(description="A file of the user's to copy, in place of a content.")] = "",
        session: HandleOrNone = "",
    ) -> SessionFiles:
        """Put a file into /workspace: a content under a name, or a copy of a file of the user's."""
        async with _told():
            with TemporaryDirectory(prefix="cellblock-") as folder:
                source = self._roots.file(path) if path else files.written(Path(folder), name, content, encoding)
                live = await self._session(session, ctx)
                live.check_free()
                await live.run.give([source])
            return await files.listed(live)

    async def get_file(
        self,
        session: Handle,
        name: FileName,
        ctx: Context,
        path: Annotated[str, Field(description="Where to copy it to: a new file of the user's.")] = "",
    ) -> CallToolResult:
        """Get a file of /workspace: its content, or a link to it if it is large; with a path, a copy on the disk."""
        async with _told():
            live = self._find(session, ctx)
            live.check_free()
            if not path:
                return CallToolResult(content=await files.content(live, name))
            with self._roots.new_file(path) as file:
                moved = await live.sandbox.get_file(name, file)
            return CallToolResult(content=[TextContent(text=f"Copied {moved.size_bytes} bytes to {path}.")])

    async def list_files(self, session: Handle, ctx: Context) -> SessionFiles:
        """List the files in /workspace of a session."""
        async with _told():
            live = self._find(session, ctx)
            live.check_free()
            return await files.listed(live)

    async def end_session(self, session: Handle, ctx: Context) -> str:
        """End a session: its variables and files are gone. A record of all that it ran stays."""
        async with _told():
            live = self._find(session, ctx)
            await self._sessions.end(live)
            return f"The session has ended. Its record: {live.run.directory}"

    async def read_picture(self, session: str, cell: str, number: str, ctx: Context) -> bytes:
        """A picture that a cell has shown."""
        live = self._resource_of(session, ctx)
        try:
            return results.pictures_of(live.run.cells[int(cell) - 1].execution)[int(number) - 1].data
        except (IndexError, ValueError) as error:
            raise ResourceNotFoundError(f"The session {session} has no such picture.") from error

    async def read_file(self, session: str, name: str, ctx: Context) -> bytes:
        """A file in the workspace of a session."""
        live = self._resource_of(session, ctx)
        try:
            live.check_free()
            return await files.read(live, name)
        except CellblockError as error:
            raise ResourceNotFoundError(error.message) from error

    def _find(self, session: str, ctx: Context) -> LiveSession:
        return self._sessions.find(session, _owner_of(ctx))

    def _resource_of(self, session: str, ctx: Context) -> LiveSession:
        try:
            return self._find(session, ctx)
        except UsageError as error:
            raise ResourceNotFoundError(error.message) from error

    async def _session(self, session: str, ctx: Context) -> LiveSession:
        if session:
            return self._find(session, ctx)
        return await self._sessions.open(_owner_of(ctx), _client_of(ctx))

    async def _result(self, live: LiveSession, ctx: Context) -> CallToolResult:
        telling: set[asyncio.Task[None]] = set()

        def tell(waited_s: float) -> None:
            task = asyncio.create_task(ctx.report_progress(round(waited_s, 1), message=_last_line(live)))
            telling.add(task)
            task.add_done_callback(telling.discard)

        ran = await live.result(self._wait_s, tell)
        await asyncio.gather(*telling, return_exceptions=True)
        return results.running(live, self._wait_s) if ran is None else await results.ended(live, ran)


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Tell the model of an error of ours in its own line."""
    try:
        yield
    except CellblockError as error:
        raise ToolError(error.message) from error


def _owner_of(ctx: Context) -> Owner:
    request = ctx.request_context.request
    return (request.scope.get("owner") if request is not None else None) or Owner()


def _client_of(ctx: Context) -> str:
    """The name of the client by its own account."""
    params = ctx.request_context.session.client_params
    if params is None:
        return "unknown"
    info = params.client_info
    return cut_middle(in_one_line(f"{info.name} {info.version}".strip()), MAX_CLIENT_CHARS, "…")


def _last_line(live: LiveSession) -> str | None:
    lines = live.tail.text.strip().splitlines()
    return lines[-1] if lines else None
