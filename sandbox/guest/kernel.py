"""Turns a fork of the zygote into a kernel."""

import gc
import io
import os
import signal
import site
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

import zmq
from ipykernel.kernelapp import IPKernelApp
from IPython.core.profiledir import ProfileDir
from traitlets.config import Config

from sandbox.guest import exits
from sandbox.guest.checkup import Checkup
from sandbox.guest.console import Console
from sandbox.guest.interrupts import Interrupts
from sandbox.guest.launch import PORTS, KernelLaunch
from sandbox.guest.messages import message_limit_bytes, pack_message
from sandbox.guest.offers import Offers
from sandbox.guest.seeding import seed_generators
from sandbox.guest.sender import MarkingSender
from sandbox.guest.stale_threads import StaleThreads
from sandbox.guest.start import set_dumpable

PACKAGES = "/opt/cellblock/packages"
"""The folder of the packages that were added to the image."""
ADVICE = ("To exit: use", "You executed the system command")
"""How the warnings begin that IPython has for people who type."""


def become_kernel(launch: KernelLaunch) -> NoReturn:
    """Turn this fork of the zygote into an ipykernel whose output goes to the guest's pipes."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    set_dumpable(True)
    with open("/proc/self/oom_score_adj", "w") as adj:  # if memory runs out, the kernel ends before its guest
        adj.write("1000")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(launch.stdout_fd, 1)
    os.dup2(launch.stderr_fd, 2)
    os.set_inheritable(launch.calls_fd, False)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0, closefd=False))  # type: ignore
    sys.argv = [""]  # as an interactive Python has it: nothing of the guest's own command line
    tempfile.tempdir = "/tmp"  # the default is to look for a folder that is not full
    seed_generators(os.environ.get("CELLBLOCK_SEED", ""))
    stale = StaleThreads()
    console = Console(launch, stale)
    console.open()
    try:
        run_kernel(launch, stale, console)
    finally:
        os._exit(0)


class App(IPKernelApp):
    """An ipykernel that reads and writes no file at its start."""

    def init_iopub(self, context: Any) -> None:
        context.setsockopt(zmq.SNDHWM, 0)  # a publisher drops what a slow reader has not taken
        super().init_iopub(context)  # type: ignore[no-untyped-call]

    def init_connection_file(self) -> None:
        """The guest knows all that would be in it."""

    def write_connection_file(self, **_: Any) -> None:
        """See above."""

    def init_profile_dir(self) -> None:
        """No kernel reads what a cell before it may have written, nor needs room on a full disk."""
        self.profile_dir = ProfileDir()

    def init_config_files(self) -> None:
        """See above."""

    def load_config_file(self, *_: Any) -> None:
        """See above."""

    def _run_startup_files(self) -> None:
        """See above."""


def run_kernel(launch: KernelLaunch, stale: StaleThreads, console: Console) -> None:
    """Run the kernel to its end, and tell the guest once its sockets are bound."""
    config = Config()
    config.Session.key = launch.key
    config.IPKernelApp.update(PORTS, transport="ipc", ip=launch.address)
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.IPKernelApp.log_level = "CRITICAL"
    app: Any = App.instance(config=config, outstream_class=None)
    app.initialize([])
    Interrupts(app.kernel)
    app.shell.should_run_async = partial(compile_quietly, app.shell.should_run_async)
    app.shell.system = app.shell.system_raw  # a `!command` writes to the pipes as all else does, not to a terminal
    exits.install()
    for advice in ADVICE:
        warnings.filterwarnings("ignore", advice, UserWarning, "IPython.core.interactiveshell")
    app.shell.events.register("post_run_cell", exits.on_cell_end)
    app.shell.events.register("pre_run_cell", stale.on_cell_start)
    app.shell.events.register("post_run_cell", stale.on_cell_end)
    offers = Offers(app.kernel, launch, stale)
    app.shell.events.register("pre_run_cell", offers.on_cell_start)
    app.shell.events.register("post_run_cell", console.on_cell_end)
    show = app.shell._showtraceback
    app.shell._showtraceback = lambda kind, error, lines: (
        None if exits.is_success(error) else show(kind, error, text_lines(lines))
    )
    app.session.pack = partial(pack_message, limit_bytes=message_limit_bytes())
    attach_packages()
    Checkup(app.kernel, console, MarkingSender(app.session, launch), launch, offers)
    gc.enable()
    os.write(launch.ready_fd, b"r")
    os.close(launch.ready_fd)
    app.start()


def attach_packages() -> None:
    """Let cells import the packages that were added to the image, which may run code of theirs: only here."""
    if os.path.isdir(PACKAGES):
        with suppress(SystemExit):
            site.addsitedir(PACKAGES)


def compile_quietly(compiles: Any, *args: Any, **kwargs: Any) -> Any:
    """Compile a cell without its warnings: they come again when it is compiled to run."""
    with warnings.catch_warnings(action="ignore"):
        return compiles(*args, **kwargs)


def text_lines(lines: Any) -> list[str]:
    """A traceback as text: one of the user's own may be anything, and the kernel's reply would be lost with it."""
    return [str(line) for line in (lines if isinstance(lines, list | tuple) else [lines])]
