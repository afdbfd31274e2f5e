"""Takes what the guest offers to cells. The program that calls it is loaded then: most kernels need none."""

from types import ModuleType
from typing import Any

from sandbox.guest.launch import KernelLaunch
from sandbox.guest.stale_threads import StaleThreads

OFFER = "cellblock_offer"
"""The key of an offer in the metadata of a cell's request."""


class Offers:
    """The functions of the host in one kernel."""

    def __init__(self, kernel: Any, launch: KernelLaunch, stale: StaleThreads) -> None:
        self._kernel = kernel
        self._launch = launch
        self._stale = stale
        self._stubs: Any = None

    def on_cell_start(self, _: Any) -> None:
        request = self._kernel.get_parent()
        offer = request["metadata"].get(OFFER)
        if offer:
            self._take(offer)
        if self._stubs is not None:
            self._stubs.on_cell_start(request["header"]["msg_id"])

    def are_well(self) -> bool:
        """True if the next cell can call what was offered."""
        return self._stubs is None or bool(self._stubs.are_well())

    def _take(self, offer: dict[str, Any]) -> None:
        if self._stubs is None:
            program = ModuleType("cellblock_functions")
            exec(compile(offer["program"], "<cellblock>", "exec"), vars(program))
            shell = self._kernel.shell
            self._stubs = program.Stubs(shell, self._launch.calls_fd, self._stale.owns_this_thread, offer["limits"])
            shell.events.register("post_run_cell", self._stubs.on_cell_end)
        self._stubs.offer(offer["functions"])
