"""Every launcher there is; each contract here is run on each of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from sandbox import Launcher, Policy
from sandbox.docker import DockerLauncher
from tests.chaos.harness import PATIENCE_S

PATIENT = Policy(
    start_timeout_s=PATIENCE_S, cell_timeout_s=PATIENCE_S, interrupt_grace_s=PATIENCE_S, restart_grace_s=PATIENCE_S
)
"""No limit on time is met on a machine that is only slow."""

LAUNCHERS: dict[str, Callable[[], AbstractAsyncContextManager[Launcher]]] = {"docker": DockerLauncher}


@pytest.fixture(params=LAUNCHERS)
async def launcher(request: pytest.FixtureRequest) -> AsyncIterator[Launcher]:
    """One launcher of those that the contract holds for."""
    async with LAUNCHERS[request.param]() as launcher:
        yield launcher


@pytest.fixture
def peak_growth_bytes() -> Callable[[], int]:
    """How much more memory this process has held at once, since the fixture was made, than it did then."""

    def status(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (proc_pid_clear_refs(5))
    before = status("VmRSS")
    return lambda: status("VmHWM") - before
