"""Checks after each cell that the next one will work."""

import asyncio
import faulthandler
import os
import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sandbox.guest.console import Console
from sandbox.guest.launch import WORKSPACE, KernelLaunch
from sandbox.guest.marks import MARK_BEGUN, MARK_UNUSABLE, MARK_WELL, pack_mark
from sandbox.guest.offers import Offers
from sandbox.guest.open_files import flush_open_files
from sandbox.guest.sender import MarkingSender

INTERVAL_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Checkup:
    """Runs a small cell of its own after each cell, in the way every cell runs, and leaves no trace of it.

    A mark in the stdout pipe tells the guest whether that cell's value would have been shown. The checkup runs after
    the cell's end was sent to the guest, so it also checks that the event loop still runs.
    """

    SWAPPED = ("events", "ast_node_interactivity", "last_execution_succeeded", "last_execution_result")

    def __init__(
        self, kernel: Any, console: Console, sender: MarkingSender, launch: KernelLaunch, offers: Offers
    ) -> None:
        self._kernel = kernel
        self._console = console
        self._sender = sender
        self._launch = launch
        self._offers = offers
        self._folder = WORKSPACE
        self._turn = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._history = (kernel.shell.push, kernel.shell.history_manager.store_inputs)
        self._execute = kernel.shell_handlers["execute_request"]
        kernel.shell_handlers["execute_request"] = self.execute

    async def execute(self, stream: Any, ident: Any, request: dict[str, Any]) -> None:
        """Answer an execute_request in place of the kernel's own handler."""
        request_id = request["header"]["msg_id"].encode()
        try:
            async with self._turn:
                self._tell(MARK_BEGUN, request_id)
                await self._execute(stream, ident, request)
        finally:
            self._running = asyncio.create_task(self._check(request_id))

    async def _check(self, request_id: bytes) -> None:
        async with self._turn:
            is_well = False
            with suppress(Exception):
                is_well = await self._is_well()
            self._tell(MARK_WELL if is_well else MARK_UNUSABLE, request_id)

    def _tell(self, kind: bytes, request_id: bytes) -> None:
        os.write(self._launch.stdout_fd, pack_mark(self._launch.secret, kind, request_id))

    async def _is_well(self) -> bool:
        shell = self._kernel.shell
        if (shell.push, shell.history_manager.store_inputs) != self._history:
            return False  # the cell below checks everything but the history and the calls
        if not self._offers.are_well():
            return False
        had_timers = stop_timers()
        self._console.repair()
        if had_timers:
            self._console.say("A timer (signal.alarm, setitimer) still ran at the cell's end, and is stopped.")
        self._look_at_folder()
        flush_open_files()
        with self._own_cell() as shown:
            reply = await self._kernel.do_execute(
                "_oh", silent=False, store_history=False, user_expressions={}, allow_stdin=False
            )
        is_next = self._kernel.shell_handlers["execute_request"] == self.execute
        return is_next and reply["status"] == "ok" and "execute_result" in shown

    def _look_at_folder(self) -> None:
        """Say once if relative names now mean files that are not kept."""
        try:
            folder = os.getcwd()
        except FileNotFoundError:
            self._console.say(f"The current folder is gone. It is {WORKSPACE} again.")
            os.chdir(folder := WORKSPACE)
        if folder != self._folder and not f"{folder}/".startswith(f"{WORKSPACE}/"):
            self._console.say(f"The current folder is {folder} now. Only files in {WORKSPACE} are kept.")
        self._folder = folder

    @contextmanager
    def _own_cell(self) -> Iterator[list[str]]:
        """Use the shell without callbacks and outputs of the user; yields the kinds of what would be shown.

        `_oh` is the one value that the shell does not store when it shows it. What the user's code prints meanwhile,
        such as a printer for every object, is held back.
        """
        shell, hook = self._kernel.shell, self._kernel.shell.displayhook
        outputs, kept = shell.user_ns["_oh"], {name: getattr(shell, name) for name in self.SWAPPED}
        own_quiet = vars(hook).get("quiet")
        shell.user_ns["_oh"] = Shown()
        shell.events = types.SimpleNamespace(trigger=lambda *_: None)
        shell.ast_node_interactivity = "last_expr"
        hook.quiet = bool  # it would look for a semicolon at the end of the user's cell
        held_back: list[str] = []
        self._sender.held_back = held_back
        try:
            with self._console.silence():
                yield held_back
        finally:
            self._sender.held_back = None
            shell.user_ns["_oh"] = outputs
            del hook.quiet
            if own_quiet is not None:
                hook.quiet = own_quiet
            for name, value in kept.items():
                setattr(shell, name, value)


class Shown:
    """A value that prints itself, without a printer of the user's."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("shown")


def stop_timers() -> bool:
    """Stop timers, which would interrupt or end a later cell. Returns True if one ran."""
    faulthandler.cancel_dump_traceback_later()
    left_s = [signal.setitimer(timer, 0)[0] for timer in INTERVAL_TIMERS]
    return any(left_s)
