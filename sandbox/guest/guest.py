"""The guest: the loop between the host, the zygote and the current kernel."""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import zmq

from sandbox.guest.between import Between
from sandbox.guest.cell import Cell
from sandbox.guest.client import KernelClient
from sandbox.guest.files import FileRequests
from sandbox.guest.merger import Merger
from sandbox.guest.messages import RICH_MESSAGES
from sandbox.guest.output import CellOutput
from sandbox.guest.processes import (
    QUIET_LOOK_S,
    Children,
    Quiet,
    boot_ticks_of,
    count_ooms,
    describe_death,
    kill_all_but,
    kill_young,
    young_pids,
)
from sandbox.guest.spool import Spools
from sandbox.guest.wire import Host, pack_json
from sandbox.guest.zygote import Zygote

if TYPE_CHECKING:
    from sandbox.guest.calls import Calls, CallStream

MAX_FAILED_STARTS = 3
PROBE_AGAIN_MS = 50
FENCE_AGAIN_MS = 200
MAX_REASON_CHARS = 1000
UNUSABLE = "kernel_unusable"
CELL = {"silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": False}
"""The request that runs a cell, but for its code. An error does not make the kernel reject the requests behind it."""
EMPTY_CELL = CELL | {"code": "", "silent": True, "store_history": False}


class Guest:
    """Runs cells in a kernel, and replaces the kernel when it has to."""

    def __init__(self, host: Host, zygote: Zygote, kernel: KernelClient) -> None:
        self._host = host
        self._zygote = zygote
        self._children = Children()
        self._spools = Spools()
        self._files = FileRequests(host)
        self._limits: dict[str, int] = {}
        self._kernel = kernel
        self._merger = merger_of(kernel)
        self._has_begun = False
        """True once a kernel has been ready; until then, a failure is final."""
        self._failed_starts = 0
        """The number of kernels in a row that were replaced before they were ready."""
        self._cell: Cell | None = None
        self._calls: Calls | None = None
        """What cells may call; None while they may call nothing."""
        self._between = Between()
        self._quiet = Quiet()
        self._poller = zmq.Poller()
        self._handlers: dict[Any, Callable[[], None]] = {}
        self._answers: dict[str, Callable[[dict[str, Any], bytes], None]] = {
            "configure": self._configure,
            "offer": self._offer,
            "answer": self._answer_call,
            "execute": self._execute,
            "interrupt": self._interrupt,
            "ping": self._ping,
            "restart": self._restart,
            "describe": self._describe,
            "run_beside": self._run_beside,
            "put": self._files.put,
            "data": self._files.data,
            "end": self._files.end,
            "get": self._files.get,
            "list": self._files.list,
        }

    def run(self) -> NoReturn:
        self._watch(self._host.read_fd, self._on_host)
        self._watch(self._zygote.control.fileno(), self._on_zygote)
        self._watch(self._children.wake_fd, self._on_orphan)
        self._watch(self._kernel.ready_fd, self._on_kernel_bound)
        while True:
            interrupted = self._cell if self._cell is not None and self._cell.interrupted else None
            events = self._poller.poll(self._patience_ms())
            self._handle([source for source, _ in events])
            if not events and not self._kernel.is_ready and self._kernel.is_connected:
                self._kernel.probe()
            elif not events and interrupted:
                self._fence(interrupted)
            self._look_for_quiet()

    def _patience_ms(self) -> int | None:
        """How long to wait for events."""
        if not self._kernel.is_ready:
            return PROBE_AGAIN_MS
        if self._cell is None:
            return None
        return FENCE_AGAIN_MS if self._cell.interrupted else int(QUIET_LOOK_S * 1000) if self._cell.is_owed() else None

    def _handle(self, sources: list[Any]) -> None:
        kernel = self._kernel
        for source in sources:
            if self._kernel is not kernel:
                break  # the rest may be about a descriptor that now means something else
            if source in self._handlers:
                self._handlers[source]()

    def _watch(self, source: Any, handler: Callable[[], None], event: int = zmq.POLLIN) -> None:
        self._poller.register(source, event)
        self._handlers[source] = handler

    def _unwatch(self, source: Any) -> None:
        if source in self._handlers:
            self._poller.unregister(source)
            del self._handlers[source]

    # the kernel's life

    def _on_zygote(self) -> None:
        message = self._zygote.receive()
        if not message:
            if not self._has_begun:
                sys.exit("the zygote ended before there was a kernel")
            self._replace_zygote()
        elif "forked" in message:
            self._kernel.pid = message["forked"]
        elif message["died"] == self._kernel.pid:
            self._on_death(message["wait_status"])

    def _on_orphan(self) -> None:
        """Children of the cells end up with an init, and so does a kernel whose zygote was killed."""
        for pid, wait_status in self._children.deaths():
            if pid == self._kernel.pid:
                self._on_death(wait_status)

    def _replace_zygote(self) -> None:
        """Fork another zygote: a cell has killed the last. A kernel that still runs is kept."""
        self._unwatch(self._zygote.control.fileno())
        self._zygote.control.close()
        with suppress(ChildProcessError):
            os.waitpid(self._zygote.pid, 0)  # until then, its children are not ours
        self._zygote = Zygote()
        self._watch(self._zygote.control.fileno(), self._on_zygote)
        self._on_orphan()
        if not boot_ticks_of(self._kernel.pid):  # and the zygote took the report along
            self._on_death(signal.SIGKILL)

    def _on_kernel_bound(self) -> None:
        fd = self._kernel.ready_fd
        self._unwatch(fd)
        bound = os.read(fd, 1)
        os.close(fd)
        self._kernel.ready_fd = -1
        if not bound:
            return  # it died on the way; the zygote reports how
        self._kernel.connect()
        self._watch(self._kernel.shell, self._on_shell)
        self._watch(self._kernel.iopub, self._on_iopub)
        self._watch(self._kernel.stdout_fd, lambda: self._on_pipe("stdout"))
        self._watch(self._kernel.stderr_fd, lambda: self._on_pipe("stderr"))
        self._kernel.probe()

    def _on_probe_answer(self, channel: str) -> None:
        if self._kernel.note_answer(channel):
            self._has_begun = True
            self._host.send({"type": "kernel_ready"})
            self._start_cell()

    def _on_death(self, wait_status: int) -> None:
        cause = describe_death(wait_status, count_ooms() - self._kernel.ooms_before)
        if not self._has_begun:
            sys.exit(f"the first kernel died: {cause}")
        self._kill_kernel()
        if self._cell is not None and self._cell.message_id:
            self._end_cell(cause)
        else:
            self._host.send({"type": "kernel_died", "cause": cause})

    def _kill_kernel(self) -> None:
        """End the kernel and all it started, keep what they have said, and fork a new kernel."""
        kill_all_but({self._zygote.pid})
        self._merger.finish()
        self._replace_kernel()

    def _replace_kernel(self) -> None:
        old = self._kernel
        self._failed_starts = 0 if old.is_ready else self._failed_starts + 1
        if self._failed_starts > MAX_FAILED_STARTS:
            sys.exit("no kernel comes up any more")
        for source in (old.shell, old.iopub, old.stdout_fd, old.stderr_fd, old.ready_fd, old.calls.fileno()):
            self._unwatch(source)
        old.close()
        self._kernel = KernelClient(self._zygote)
        self._merger = merger_of(self._kernel)
        self._watch(self._kernel.ready_fd, self._on_kernel_bound)

    def _look_for_quiet(self) -> None:
        """Replace a kernel that owes an answer, which takes it no time, and does nothing for it."""
        if self._cell is None or not self._cell.is_owed() or not self._quiet.lasts(self._kernel.pid):
            return
        if self._cell.begun:
            self._on_unusable()
        else:  # it has not begun, and can do so in another kernel
            self._host.send({"type": "kernel_died", "cause": UNUSABLE})
            self._cell = self._new_cell(self._cell.id, self._cell.code)
            self._kill_kernel()

    def _on_unusable(self) -> None:
        """No later cell would work in this kernel, by what this cell has done."""
        self._kill_kernel()
        self._end_cell(UNUSABLE)

    # a cell's life

    def _new_cell(self, number: int, code: str) -> Cell:
        return Cell(number, code, CellOutput(number, self._limits, self._host.send, self._spools))

    def _start_cell(self) -> None:
        cell = self._cell
        if cell is None or cell.message_id or not self._kernel.is_ready:
            return
        self._merger.finish()
        self._merger.sink = cell
        self._between.tell(cell)
        self._between = Between()
        told = self._calls.begin_cell(cell, self._kernel) if self._calls else {}
        cell.message_id = self._kernel.request("execute_request", CELL | {"code": cell.code}, told)
        self._quiet = Quiet()
        self._host.send({"type": "started", "id": cell.id})

    def _on_shell(self) -> None:
        for message in self._kernel.messages(self._kernel.shell):
            cell = self._owner_of(message)
            if cell is not None and message["parent_header"]["msg_id"] in cell.fences:
                cell.on_fence()
            elif message["header"]["msg_type"] == "kernel_info_reply":
                self._on_probe_answer("shell")
            elif cell is not None:
                cell.on_reply(message["content"])
        self._finish_cell()

    def _on_iopub(self) -> None:
        for message in self._kernel.messages(self._kernel.iopub):
            if not self._kernel.is_ready:
                self._on_probe_answer("iopub")
            cell = self._owner_of(message)
            kind = message["header"]["msg_type"]
            if kind in RICH_MESSAGES:
                self._merger.add_rich(message)
                self._follow_stdout()
            elif cell is not None:
                cell.on_iopub(kind, message["content"])
        self._finish_cell()

    def _owner_of(self, message: dict[str, Any]) -> Cell | None:
        """The current cell if a message is about it. It has begun then, even if its mark is lost."""
        if self._cell is None or not self._cell.owns(message["parent_header"].get("msg_id", "")):
            return None
        self._cell.begun = True
        return self._cell

    def _on_pipe(self, name: str) -> None:
        if not self._merger.read(name):
            self._unwatch(self._kernel.stdout_fd if name == "stdout" else self._kernel.stderr_fd)
        elif name == "stdout":
            self._follow_stdout()
            self._finish_cell()

    def _follow_stdout(self) -> None:
        """Watch stdout unless it waits for a rich output: what is not read stays in the pipe."""
        if self._merger.blocked:
            self._unwatch(self._kernel.stdout_fd)
        elif self._kernel.stdout_fd not in self._handlers:
            self._watch(self._kernel.stdout_fd, lambda: self._on_pipe("stdout"))

    def _fence(self, cell: Cell) -> None:
        """Run an empty cell, whose answer shows that the interrupted one is over, even if its own reply is lost.

        A cell that awaits is cancelled by its event loop. The signal does not wake the loop, but a message does. The
        guest asks again and again, for the signal may also have hit the loop while it took a message.
        """
        cell.fences.add(self._kernel.request("execute_request", EMPTY_CELL))

    def _finish_cell(self) -> None:
        """End the cell if the kernel has said all about it."""
        cell = self._cell
        if cell is None or not cell.idle:
            return
        if cell.next_works is False:
            self._on_unusable()
        elif cell.replied and (cell.next_works or cell.asked_exit):
            self._merger.finish()
            if cell.interrupted:
                kill_young(cell.begun_ticks, {1, self._zygote.pid, self._kernel.pid})
                self._merger.finish()  # what the killed have still said is nobody's
            self._merger.sink = self._between
            self._follow_stdout()
            self._forget_cell()
            if cell.asked_exit:  # the kernel ends by itself in a moment; that must not hit the next cell
                self._kill_kernel()
                cell.finish("died", "exit", state_lost=True)
            else:
                cell.finish(cell.status, None, state_lost=False)

    def _end_cell(self, cause: str) -> None:
        """End the cell with its kernel."""
        cell = self._cell
        self._forget_cell()
        if cell is not None:
            cell.finish("died", cause, state_lost=True)

    def _forget_cell(self) -> None:
        self._cell = None
        if self._calls is not None:
            self._calls.end_cell()

    # the host's requests

    def _on_host(self) -> None:
        for header, payload in self._host.receive():
            if header["type"] not in ("data", "end"):
                self._files.abandon_upload()  # its sender gave up
            self._answer(header, payload)

    def _answer(self, header: dict[str, Any], payload: bytes) -> None:
        """Do what a request asks. An error is its answer and does not end the guest."""
        try:
            self._answers[header["type"]](header, payload)
        except Exception as error:
            if "id" not in header:  # nobody waits for an answer, and the guest cannot go on
                raise
            self._host.send({"type": "refused", "id": header["id"], "reason": reason_for(error)})

    def _configure(self, header: dict[str, Any], payload: bytes) -> None:
        self._limits = header["limits"]

    def _offer(self, header: dict[str, Any], payload: bytes) -> None:
        from sandbox.guest.calls import Calls  # many sessions offer nothing

        if self._calls is None:
            self._calls = Calls(self._host, self._watch_calls, self._unwatch_calls)
        self._calls.offer(header["limits"], json.loads(payload))

    def _watch_calls(self, stream: "CallStream") -> None:
        assert self._calls is not None
        self._watch(stream.fileno(), self._calls.exchange, zmq.POLLOUT if stream.is_blocked else zmq.POLLIN)

    def _unwatch_calls(self, stream: "CallStream") -> None:
        self._unwatch(stream.fileno())

    def _answer_call(self, header: dict[str, Any], payload: bytes) -> None:
        if self._calls is not None:
            self._calls.answer(header["id"], header["call"], payload)

    def _execute(self, header: dict[str, Any], payload: bytes) -> None:
        self._cell = self._new_cell(header["id"], payload.decode())
        self._start_cell()

    def _interrupt(self, header: dict[str, Any], payload: bytes) -> None:
        if self._cell is not None and self._cell.message_id:
            self._cell.interrupted = True
            spared = {1, self._zygote.pid}
            for pid in {self._kernel.pid} | young_pids(self._cell.begun_ticks, spared):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
            self._fence(self._cell)
            if self._calls is not None:
                self._calls.refuse_all("The cell was interrupted.")

    def _ping(self, header: dict[str, Any], payload: bytes) -> None:
        self._host.send({"type": "pong", "id": header["id"]})

    def _restart(self, header: dict[str, Any], payload: bytes) -> None:
        """Replace the kernel; a running cell ends here."""
        self._kill_kernel()
        self._end_cell("restart")

    def _describe(self, header: dict[str, Any], payload: bytes) -> None:
        from sandbox.guest.environment import describe_environment  # few sessions ask for it

        self._host.send({"type": "description", "id": header["id"]}, pack_json(describe_environment()))

    def _run_beside(self, header: dict[str, Any], payload: bytes) -> None:
        from sandbox.guest.beside import run_beside  # only sessions with files ask for it

        run_beside(self._host, header, payload)


def merger_of(kernel: KernelClient) -> Merger:
    return Merger(kernel.secret, kernel.stdout_fd, kernel.stderr_fd)


def reason_for(error: Exception) -> str:
    """Why a request was refused, in one line."""
    if not isinstance(error, OSError) or error.strerror is None:
        return (str(error) or type(error).__name__)[:MAX_REASON_CHARS]
    where = "" if error.filename is None else f": {error.filename!r}"
    return f"{error.strerror}{where}"[:MAX_REASON_CHARS]
