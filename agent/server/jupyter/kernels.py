"""The kernels of Jupyter's clients: each is a session with a sandbox."""

import uuid
from dataclasses import replace

from agent.loop.client_run import ClientRun
from agent.record.events import ToolRan
from agent.server.faults import not_found
from agent.server.jupyter.messages import MAX_PICTURE_CHARS, PICTURE, Content, outputs_of, streamed
from agent.server.jupyter.pictures import shortened
from agent.server.owner import Owner
from agent.server.responses.asking import Clock
from agent.server.state.containers import StoredContainer
from agent.server.state.paging import PageQuery
from agent.server.state.state import State
from agent.server.work.client_cells import ClientCells, RunCell

MAX_LISTED = 100
FRESH = "The sandbox of this kernel had ended, and this cell ran in a fresh one: its files and variables are gone.\n"


class Kernels:
    """Makes, finds and ends kernels, and runs their cells."""

    def __init__(self, cells: ClientCells, state: State, clock: Clock, *, idle_minutes: int) -> None:
        self._cells = cells
        self._rows = state.containers
        self._clock = clock
        self._idle_minutes = idle_minutes

    async def made(self, owner: Owner) -> StoredContainer:
        """A new kernel, whose sandbox is there. Raises Fault if there is no place for it, and SandboxError."""
        now = self._clock()
        kernel = StoredContainer(str(uuid.uuid4()), self._cells.owner_id(owner), "kernel", now, now, self._idle_minutes)
        self._rows.insert(kernel)

        async def work(run: ClientRun, _: RunCell) -> None:
            self._note_use(kernel, run)

        try:
            await self._cells.use(kernel.id, owner, work)
        except BaseException:
            self._rows.delete(kernel.owner_id, kernel.id)
            raise
        return kernel

    def get(self, owner: Owner, kernel_id: str) -> StoredContainer:
        """A kernel that has not ended. Raises Fault."""
        kernel = self._rows.get(self._cells.owner_id(owner), kernel_id)
        if kernel is None or kernel.status != "running":
            raise not_found(f"There is no kernel {kernel_id[:60]!r}, or it has ended: make a new one.", "kernel_id")
        return kernel

    def listed(self, owner: Owner) -> list[StoredContainer]:
        """The newest kernels that have not ended."""
        page = self._rows.listed(self._cells.owner_id(owner), PageQuery(limit=MAX_LISTED))
        return [kernel for kernel in page.items if kernel.status == "running"]

    async def delete(self, owner: Owner, kernel_id: str) -> None:
        """End a kernel and its running cell. Raises Fault if there is none."""
        kernel = self.get(owner, kernel_id)
        self._rows.delete(kernel.owner_id, kernel.id)
        await self._cells.delete(kernel.id)

    async def run(self, owner: Owner, kernel_id: str, code: str) -> tuple[ToolRan, list[tuple[str, Content]]]:
        """Run a cell. Returns it, and the messages about what it put out. Raises Fault and SandboxError."""
        kernel = self.get(owner, kernel_id)

        async def work(run: ClientRun, run_cell: RunCell) -> tuple[ToolRan, list[tuple[str, Content]]]:
            is_fresh = self.get(owner, kernel_id).run != run.directory.name
            self._note_use(kernel, run)
            ran = await run_cell(code)
            messages = [*(streamed("stderr", FRESH) if is_fresh else ()), *outputs_of(ran)]
            for _, content in messages:
                if len(content.get("data", {}).get(PICTURE, "")) > MAX_PICTURE_CHARS:
                    content["data"] = await shortened(run, content["data"])
            self._note_use(kernel, run)
            return ran, messages

        return await self._cells.use(kernel_id, owner, work)

    def _note_use(self, kernel: StoredContainer, run: ClientRun) -> None:
        self._rows.update(replace(kernel, last_active_at=self._clock(), run=run.directory.name))
