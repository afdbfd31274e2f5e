"""Cells that a client writes itself. Each runs in the sandbox of its session, and is recorded there; no model is asked.

A session has an id and a row like a container, but its owner is none of the other protocols: these cannot name it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.loop.client_run import ClientRun
from agent.progress import CodeEnded, Progress
from agent.record.events import ToolRan
from agent.runtime import Runtime
from agent.server.owner import Owner
from agent.server.work.desk import Desk
from agent.server.work.sandboxes import Home

RunCell = Callable[[str], Awaitable[ToolRan]]
_Result = TypeVar("_Result")


class ClientCells:
    """Lets clients of one protocol use sandboxes of a desk."""

    def __init__(self, desk: Desk, runtime: Runtime, client: str) -> None:
        """`client` is what the record calls those who write the cells."""
        self._desk = desk
        self._runtime = runtime
        self._client = client

    def owner_id(self, owner: Owner) -> str:
        """Whose the rows of this protocol are."""
        return f"{owner.id} {self._client}"

    async def use(
        self, session_id: str, owner: Owner, work: Callable[[ClientRun, RunCell], Awaitable[_Result]]
    ) -> _Result:
        """What work gives in the session's sandbox, which is opened if need be. Raises Fault and SandboxError.

        A caller who is cancelled interrupts a running cell.
        """
        home = Home(session_id, owner, self._desk.new_directory(), self._runtime, self._client)

        async def start(tell: Callable[[Progress], None]) -> _Result:
            async with self._desk.sandboxes.held(home, tell) as live:
                run = live.client_run

                async def run_cell(code: str) -> ToolRan:
                    ran = await run.run(code)
                    tell(CodeEnded(ran.execution, ran.observation))
                    return ran

                result = await work(run, run_cell)
            if run.is_over:  # the next cell gets a fresh sandbox
                await self._desk.sandboxes.end(session_id)
            return result

        return await self._desk.answers.result(start)

    async def delete(self, session_id: str) -> None:
        """Stop the session's cell and end its sandbox."""
        await self._desk.sandboxes.delete(session_id)
