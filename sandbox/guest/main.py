"""The guest, the zygote and the kernel."""

import array
import asyncio
import builtins
import errno
import faulthandler
import fcntl
import gc
import hashlib
import importlib.util
import io
import itertools
import json
import os
import random
import secrets
import select
import signal
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn

from sandbox.guest.start import forget_package, set_dumpable

LENGTHS = struct.Struct(">II")
MAX_HEADER_BYTES = 1 << 16
MAX_PAYLOAD_BYTES = 1 << 24
CHUNK_BYTES = 1 << 16
WORKSPACE = "/workspace"
SPOOL_DIR = f"{WORKSPACE}/.cellblock"
INTERVAL_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
KILL_ROUNDS = 20
MAX_UNBORN = 3
PROBE_AGAIN_MS = 50
FENCE_AGAIN_MS = 200
MESSAGES_WAITING = 4
"""On a channel in the guest; more of them wait in the kernel, at the cell's own expense."""
WORKING_S = 0.25
"""How long an answer may take before the host hears that it is worked on."""
UNUSABLE = "kernel_unusable"
CELL = {"silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": False}
"""What is asked for with a cell's code; what follows an error is not to be refused for it."""
EMPTY_CELL = CELL | {"code": "", "silent": True, "store_history": False}
QUIET_LOOK_S = 0.25
QUIET_LIMIT_S = 3.0
"""How long a kernel may owe an answer and not use the processor either."""
FORK_PATIENCE_S = 2.0
"""How long it may take until what killed processes held is free again: numbers, and descriptors in flight."""
MAX_MESSAGES_AT_ONCE = 100
MAX_BYTES_AT_ONCE = 1 << 20
"""Of one channel, before the host and other channels are looked at again; the last message may go beyond."""
MAX_RICH_WAITING = 64
"""Rich outputs that wait for their mark; what a cell sends by other ways than the kernel's never has one."""
MAX_MESSAGE_BYTES = 1 << 26
MESSAGE_SHARE = 64
"""A message may be this part of the container's memory: its text may take four bytes a character, and twice."""
BYTES_PER_PART = 16
"""For as many bytes of its limit, a message may have one part: to parse one may take a hundred bytes and more."""
MAX_MESSAGE_PARTS = 1 << 21
MAX_HEADERS_BYTES = 1 << 20
"""Of all that is in a message beside its content."""
MEMORY_LIMITS = (
    "/sys/fs/cgroup/memory.max",  # cgroup v2
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",  # cgroup v1
)
OOM_COUNTERS = (
    "/sys/fs/cgroup/memory.events",  # cgroup v2
    "/sys/fs/cgroup/memory/memory.oom_control",  # cgroup v1
)


# --- frames -----------------------------------------------------------------------------------------


def pack_frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    head = pack_json(header)
    return LENGTHS.pack(len(head), len(payload)) + head + payload


def pack_json(value: Any) -> bytes:
    """JSON without lone surrogates, which the host's strict parser would refuse."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class Host:
    """The frame stream to the host, on two descriptors that no kernel inherits."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self._buffer = bytearray()

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        view = memoryview(pack_frame(header, payload))
        while view:
            view = view[os.write(self.write_fd, view) :]

    def is_waiting(self) -> bool:
        """Whether the host has sent more: it waits for no answer before."""
        return bool(select.select([self.read_fd], [], [], 0)[0])

    def receive(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The frames that one read completes. The end of the stream ends the guest."""
        data = os.read(self.read_fd, CHUNK_BYTES)
        if not data:
            os._exit(0)
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            yield frame

    def _next_frame(self) -> tuple[dict[str, Any], bytes] | None:
        if len(self._buffer) < LENGTHS.size:
            return None
        head_bytes, payload_bytes = LENGTHS.unpack_from(self._buffer)
        if head_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
            sys.exit("frame over its limit")
        end = LENGTHS.size + head_bytes + payload_bytes
        if len(self._buffer) < end:
            return None
        head = bytes(self._buffer[LENGTHS.size : LENGTHS.size + head_bytes])
        payload = bytes(self._buffer[LENGTHS.size + head_bytes : end])
        del self._buffer[:end]
        return json.loads(head), payload


# --- zygote and kernel ------------------------------------------------------------------------------


MAX_LIST_BYTES = 1 << 24
MAX_ERRORS_BYTES = 1 << 20
"""Of all errors of one cell; the last may go beyond."""
MAX_ERROR_BYTES = 1 << 25
"""Of one, as it is sent."""
MAX_TRACEBACK_LINES = 10_000
FRAME_COST_BYTES = 64
"""What a frame costs the host beside its payload."""
MAX_COUNT = 1 << 53
"""The highest number that the host takes."""
MAX_JSON_DEPTH = 64
MAX_JSON_PARTS = 100_000
MAX_KINDS = 64
"""Representations of one rich output."""
MAX_NAME_CHARS = 256
MAX_NAME_PARTS = 100
"""Of a file in the workspace: folders within folders, and the file itself."""
MAX_REASON_CHARS = 1000
MESSAGE_ENDS_BYTES = (4096, 4096)
"""Head and tail of an exception's message, which the traceback holds as well."""
KEY_BYTES, MARK_BYTES = 32, 16
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
OMITTED = "cellblock_omitted_bytes"
MARK_RICH, MARK_STDERR = b"r", b"e"
MARK_BEGUN, MARK_WELL, MARK_UNUSABLE = b"b", b"w", b"u"
MAX_MARKED_BYTES = select.PIPE_BUF - 64  # so that a mark and what it carries are written as one
RICH_MESSAGES = {"display_data", "update_display_data", "execute_result", "error"}


class Birth(NamedTuple):
    """What a kernel is born with: the address and the key of its sockets, the mark that it writes into stdout
    wherever something else was said (see `Merger`), its stdout, its stderr, and where it says that it is ready."""

    address: str
    key: bytes
    mark: bytes
    stdout: int
    stderr: int
    ready: int


def run_zygote(control: socket.socket) -> NoReturn:
    """Fork a kernel for each request and report each death, until the guest goes."""
    set_dumpable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children = Children()
    while True:
        ready, _, _ = select.select([control.fileno(), children.wake_fd], [], [])
        if children.wake_fd in ready:
            for pid, status in children.deaths():
                control.send(json.dumps({"died": pid, "wait_status": status}).encode())
        if control.fileno() in ready:
            birth = receive_fork_request(control)
            pid = fork_patiently()
            if pid == 0:
                control.close()
                os.close(children.wake_fd)
                become_kernel(birth)
            for fd in (birth.stdout, birth.stderr, birth.ready):
                os.close(fd)
            control.send(json.dumps({"forked": pid}).encode())


def fork_patiently() -> int:
    """Fork; the killed processes of a cell that has filled the table may still be in it for a moment."""
    deadline = time.monotonic() + FORK_PATIENCE_S
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def send_fds_patiently(control: socket.socket, data: bytes, fds: list[int]) -> None:
    """Send descriptors; those that a killed cell has put in flight may still count for a moment (unix(7))."""
    deadline = time.monotonic() + FORK_PATIENCE_S
    while True:
        try:
            socket.send_fds(control, [data], fds)
            return
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def receive_fork_request(control: socket.socket) -> Birth:
    data, fds, _, _ = socket.recv_fds(control, 4096, 3)
    if not data:
        os._exit(0)
    key, mark, address = data[:KEY_BYTES], data[KEY_BYTES : KEY_BYTES + MARK_BYTES], data[KEY_BYTES + MARK_BYTES :]
    return Birth(address.decode(), key, mark, *fds)


class Children:
    """The deaths of this process's children; `wake_fd` is readable when there are some."""

    def __init__(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wake_fd, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def deaths(self) -> Iterator[tuple[int, int]]:
        """The pid and wait status of each child that has died."""
        with suppress(BlockingIOError):
            os.read(self.wake_fd, 512)
        with suppress(ChildProcessError):
            while (death := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                yield death


def become_kernel(birth: Birth) -> NoReturn:
    """Turn this fork of the zygote into an ipykernel whose output goes to the guest's pipes."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    set_dumpable(True)
    with open("/proc/self/oom_score_adj", "w") as adj:  # the kernel is to go before its guest
        adj.write("1000")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(birth.stdout, 1)
    os.dup2(birth.stderr, 2)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0, closefd=False))  # type: ignore
    tempfile.tempdir = "/tmp"  # it would look for a place that is not full
    fix_chance(os.environ.get("CELLBLOCK_SEED", ""))
    late = LateThreads()
    console = Console(birth, late)
    console.open()
    try:
        run_kernel(birth, late, console)
    finally:
        os._exit(0)


def fix_chance(seed: str) -> None:
    """Seed what is seeded by chance: at once, or as soon as it is imported, for an import would slow every start."""
    if seed.isdecimal():
        random.seed(int(seed))
        sys.meta_path.insert(0, SeededNumpy(int(seed)))


class SeededNumpy:
    """Finds numpy's global state once, as the others do, and seeds it when it has been imported."""

    NAME = "numpy.random.mtrand"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_seeded(module: Any) -> None:
                load(module)
                module.seed(self._seed)

            spec.loader.exec_module = load_seeded  # type: ignore[method-assign]
        return spec


def text_stream(raw: Any) -> io.TextIOWrapper:
    """A stream without a buffer, so that output is in the pipe before anything can kill the kernel."""
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class Console:
    """Python's own streams, on the guest's pipes."""

    def __init__(self, birth: Birth, late: "LateThreads") -> None:
        self._birth = birth
        self._late = late
        self._pipes = [(fds, identity_of(fds[0])) for fds in ((1, birth.stdout), (2, birth.stderr))]
        self._builtins = {name: value for name, value in vars(builtins).items() if callable(value)}

    def open(self) -> None:
        self._stdout = Stdout(1, self._late)
        self._stderr = MarkedStderr(2, self._late, self._birth.stdout, self._birth.mark + MARK_STDERR)
        self._streams = {"stdout": text_stream(self._stdout), "stderr": text_stream(self._stderr)}
        for name, stream in self._streams.items():
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def on_cell_end(self, _: Any) -> None:
        """ipykernel does not come back from a cell that has closed one."""
        if any(map(is_closed, (sys.stdout, sys.stderr))):
            self.open()

    def repair(self) -> None:
        """Undo what would make a later cell's output vanish. Raises OSError where a pipe is lost for good."""
        for fds, pipe in self._pipes:
            repair_descriptors(fds, pipe)
        for name, original in self._builtins.items():
            if not callable(vars(builtins).get(name)):
                setattr(builtins, name, original)
        lost = [f"sys.{name}" for name in self._streams if not self._reaches_pipe(name)]
        if lost:
            self.open()
            if not all(self._reaches_pipe(name) for name in self._streams):
                raise OSError(errno.EBADF, "nothing reaches a pipe to the guest")
        if builtins.print is not self._builtins["print"] and not self._is_heard(lambda: print(" ", end="")):  # noqa: T201
            builtins.print = self._builtins["print"]
            lost.append("print")
        if lost:
            self.say(f"Nothing of {' and '.join(lost)} was seen any more: set back.")

    def say(self, line: str) -> None:
        """Tell the reader of the cell's output, whatever the cell has done to `sys.stderr`."""
        self._streams["stderr"].write(f"{line}\n")

    def _reaches_pipe(self, name: str) -> bool:
        """Whether text given to a stream comes to our own. One that a cell has put in its place may pass it on."""
        stream = getattr(sys, name, None)
        texts = ("",) if type(stream).__module__ == "_io" else ("", "\n")  # which may write to a log as well
        return any(self._is_heard(lambda text=text: stream.write(text)) for text in texts)  # type: ignore[misc, union-attr]

    def _is_heard(self, say: Callable[[], object]) -> bool:
        """Whether something said comes to one of our streams, which hold it back meanwhile."""
        with self.silence() as streams:
            for stream in streams:
                stream.was_written = False
            try:
                say()
                for name in self._streams:
                    getattr(sys, name).flush()
            except Exception:
                return False
            return any(stream.was_written for stream in streams)

    @contextmanager
    def silence(self) -> Iterator[tuple["Stdout", "Stdout"]]:
        """Hold back what this thread writes to our streams."""
        streams = (self._stdout, self._stderr)
        for stream in streams:
            stream.tested_by = threading.get_ident()
        try:
            yield streams
        finally:
            for stream in streams:
                stream.tested_by = 0


def is_closed(stream: Any) -> bool:
    """Whether nothing can be written to a stream; what a cell has put in its place may not say."""
    try:
        return stream is None or bool(getattr(stream, "closed", False))
    except ValueError:  # it is detached
        return True


def identity_of(fd: int) -> tuple[int, int] | None:
    """Which file a descriptor stands for; None where it is closed."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def stop_timers() -> bool:
    """Stop what a cell has set for later, which would interrupt or end a later cell; whether a timer ran."""
    faulthandler.cancel_dump_traceback_later()
    left_s = [signal.setitimer(timer, 0)[0] for timer in INTERVAL_TIMERS]
    return any(left_s)


def repair_descriptors(fds: tuple[int, int], pipe: tuple[int, int] | None) -> None:
    """Let both descriptors stand for the pipe that one of them still stands for, and wait when it is full."""
    good = next((fd for fd in fds if identity_of(fd) == pipe), None)
    if good is None:
        raise OSError(errno.EBADF, "a pipe to the guest is closed")
    for fd in fds:
        if identity_of(fd) != pipe:
            os.dup2(good, fd, inheritable=fd <= 2)
    os.set_blocking(good, True)


class LateThreads:
    """The threads that an interrupted cell has left behind: what they print is no later cell's output.

    A thread is late for as long as it is in a function that it was in at the interrupt: a pool's worker that goes
    on to a later cell's work is not.
    """

    def __init__(self) -> None:
        self._kernel_pid = os.getpid()
        self._before: set[threading.Thread] = set()
        self._late: weakref.WeakKeyDictionary[threading.Thread, list[types.FrameType]] = weakref.WeakKeyDictionary()

    def on_cell_start(self, _: Any) -> None:
        self._before = set(threading.enumerate())

    def on_cell_end(self, result: Any) -> None:
        if os.getpid() != self._kernel_pid:
            os._exit(0)  # a fork that has come to the cell's end would go on as a second kernel on the same sockets
        if isinstance(result.error_in_exec, KeyboardInterrupt | asyncio.CancelledError):
            running = sys._current_frames()
            for thread in set(threading.enumerate()) - self._before:
                self._late[thread] = list(cell_frames(running.get(thread.ident or 0)))

    def is_speaking(self) -> bool:
        if not self._late:
            return False
        frames = self._late.get(threading.current_thread(), ())
        return any(frame in frames for frame in cell_frames(sys._getframe()))


def cell_frames(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    """The frames of a stack that run a cell's own code."""
    while frame is not None:
        if "/ipykernel_" in frame.f_code.co_filename:
            yield frame
        frame = frame.f_back


class Stdout(io.FileIO):
    """Python's stdout, written at once."""

    def __init__(self, fd: int, late: LateThreads) -> None:
        super().__init__(fd, "w", closefd=False)
        self._late = late
        self.tested_by = 0
        """The thread whose text is held back, and noted; 0 is none."""
        self.was_written = False

    def write(self, data: Any) -> int:
        return len(data) if self.is_silent() else super().write(data)

    def is_silent(self) -> bool:
        if self.tested_by and self.tested_by == threading.get_ident():
            self.was_written = True
            return True
        return self._late.is_speaking()


class MarkedStderr(Stdout):
    """Python's stderr: its text travels in the stdout pipe behind a mark, in its place between prints.

    The stderr pipe itself is left to child processes and C code; where a cell has put another file in
    its place, that file is written.
    """

    def __init__(self, fd: int, late: LateThreads, stdout_pipe: int, mark: bytes) -> None:
        super().__init__(fd, late)
        self._stdout_pipe = stdout_pipe
        self._mark = mark
        self._own_inode = os.fstat(fd).st_ino

    def write(self, data: Any) -> int:
        if os.fstat(self.fileno()).st_ino != self._own_inode:
            return super().write(data)
        if self.is_silent():
            return len(data)
        for start in range(0, len(data), MAX_MARKED_BYTES):
            piece = bytes(data[start : start + MAX_MARKED_BYTES])
            os.write(self._stdout_pipe, self._mark + len(piece).to_bytes(2, "big") + piece)
        return len(data)


class Shown:
    """A value that no printer of the user's is asked to print."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("shown")


class Checkup:
    """Runs a cell of its own behind each cell, on the way that every cell takes, and leaves no trace of it.

    A mark in the stdout pipe tells the guest whether that cell's value would have been shown. The checkup runs when
    the cell's end is already on its way to the guest, and the loop must have gone on for it.
    """

    SWAPPED = ("events", "ast_node_interactivity", "last_execution_succeeded", "last_execution_result")

    def __init__(self, kernel: Any, console: Console, sender: "MarkingSender", birth: Birth) -> None:
        self._kernel = kernel
        self._console = console
        self._sender = sender
        self._birth = birth
        self._turn = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._history = (kernel.shell.push, kernel.shell.history_manager.store_inputs)
        self._execute = kernel.shell_handlers["execute_request"]
        kernel.shell_handlers["execute_request"] = self.execute

    async def execute(self, stream: Any, ident: Any, request: dict[str, Any]) -> None:
        """What the kernel does for an execute_request."""
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
        os.write(self._birth.stdout, self._birth.mark + kind + len(request_id).to_bytes(1, "big") + request_id)

    async def _is_well(self) -> bool:
        shell = self._kernel.shell
        if (shell.push, shell.history_manager.store_inputs) != self._history:
            return False  # what keeps the history is all that the cell below leaves out
        had_timers = stop_timers()
        self._console.repair()
        if had_timers:
            self._console.say("A timer (signal.alarm, setitimer) still ran at the cell's end, and is stopped.")
        with self._own_cell() as shown:
            reply = await self._kernel.do_execute(
                "_oh", silent=False, store_history=False, user_expressions={}, allow_stdin=False
            )
        is_next = self._kernel.shell_handlers["execute_request"] == self.execute
        return is_next and reply["status"] == "ok" and "execute_result" in shown

    @contextmanager
    def _own_cell(self) -> Iterator[list[str]]:
        """The shell without callbacks and outputs of the user; gives the kinds of what would be shown.

        `_oh` is the one value that the shell does not store when it shows it. What the user's code still says, such as
        a printer for every object, is held back.
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


def run_kernel(birth: Birth, late: LateThreads, console: Console) -> None:
    import zmq
    from ipykernel.kernelapp import IPKernelApp
    from IPython.core.profiledir import ProfileDir
    from traitlets.config import Config

    class App(IPKernelApp):
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

    config = Config()
    config.Session.key = birth.key
    config.IPKernelApp.update(PORTS, transport="ipc", ip=birth.address)
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.IPKernelApp.log_level = "CRITICAL"
    app: Any = App.instance(config=config, outstream_class=None)
    app.initialize([])
    app.shell.system = app.shell.system_raw  # a `!command` writes to the pipes as all else does, not to a terminal
    app.shell.events.register("pre_run_cell", late.on_cell_start)
    app.shell.events.register("post_run_cell", late.on_cell_end)
    app.shell.events.register("post_run_cell", console.on_cell_end)
    show = app.shell._showtraceback
    app.shell._showtraceback = lambda kind, error, lines: show(kind, error, text_lines(lines))
    app.session.pack = partial(pack_message, limit_bytes=message_limit_bytes())
    Checkup(app.kernel, console, MarkingSender(app.session, birth), birth)
    os.write(birth.ready, b"r")
    os.close(birth.ready)
    app.start()


def text_lines(lines: Any) -> list[str]:
    """A traceback as text: one of the user's own may be anything, and the kernel's reply would be lost with it."""
    return [str(line) for line in (lines if isinstance(lines, list | tuple) else [lines])]


def pack_message(value: Any, limit_bytes: int) -> bytes:
    """A part of a message as JSON, with lone surrogates as escapes; jupyter-client's own packer fixes the rest.

    A part over the limit goes without its large values, and says how many bytes it had.
    """
    from jupyter_client.jsonutil import json_default
    from jupyter_client.session import json_packer

    try:
        packed = json.dumps(value, default=json_default, allow_nan=False).encode()
    except (TypeError, ValueError):
        packed = bytes(json_packer(value))
    if len(packed) <= limit_bytes:
        return packed
    shares = {name: pack_message(part, sys.maxsize) for name, part in value.items()}
    small = {name: part if len(shares[name]) * 64 < limit_bytes else type(part)() for name, part in value.items()}
    return pack_message(small | {OMITTED: len(packed)}, sys.maxsize)


def message_limit_bytes() -> int:
    """How large a part of a message may be."""
    for path in MEMORY_LIMITS:
        with suppress(OSError, ValueError), open(path) as file:
            return min(int(file.read()) // MESSAGE_SHARE, MAX_MESSAGE_BYTES)
    return MAX_MESSAGE_BYTES


class MarkingSender:
    """Lets the kernel's jupyter session leave a mark in the stdout pipe with each rich output it has sent."""

    def __init__(self, session: Any, birth: Birth) -> None:
        self.held_back: list[str] | None = None
        """The kinds of rich outputs that were not sent; None while all are."""
        self._session = session
        self._send = session.send
        self._stdout_pipe, self._mark = birth.stdout, birth.mark + MARK_RICH
        session.send = self.send

    def send(self, stream: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        kind = message["header"]["msg_type"] if isinstance(message, dict) else message
        if kind not in RICH_MESSAGES:
            return self._send(stream, message, *args, **kwargs)
        if self.held_back is not None and threading.current_thread() is threading.main_thread():
            return self.held_back.append(kind)
        sent = self._send(stream, message, *args, **kwargs)
        if os.getpid() == self._session.pid:  # a fork's are not sent
            os.write(self._stdout_pipe, self._mark)
        return sent


class Zygote:
    """The guest's handle on the zygote process, which is a fork of the guest and has imported all that it has."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self.control.detach()
            control_fd = os.dup2(theirs.detach(), 3)
            os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # the stream to the host is among them
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            forget_package()
            run_zygote(socket.socket(fileno=control_fd))
        theirs.close()

    def request_kernel(self, birth: Birth) -> None:
        data = birth.key + birth.mark + birth.address.encode()
        with suppress(ConnectionError):  # it is gone, and the guest is about to notice
            send_fds_patiently(self.control, data, [birth.stdout, birth.stderr, birth.ready])

    def receive(self) -> dict[str, int]:
        """What it reports; nothing when it is gone."""
        try:
            data = self.control.recv(4096)
        except ConnectionError:
            data = b""
        message: dict[str, int] = json.loads(data or b"{}")
        return message


def open_pipe() -> tuple[int, int]:
    """A pipe whose read end never blocks."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(read_fd, False)
    return read_fd, write_fd


class Kernel:
    """One kernel as its guest sees it: pipes from the start, sockets once the kernel has bound them."""

    def __init__(self, zygote: Zygote) -> None:
        self.address = f"@cellblock-{secrets.token_hex(8)}"  # an abstract socket: no file that a cell could take
        self.key = secrets.token_bytes(KEY_BYTES)
        self.pid = 0
        self.stdout_fd, stdout_write = open_pipe()
        self.stderr_fd, stderr_write = open_pipe()
        self.ready_fd, ready_write = open_pipe()
        self.ooms_before = count_ooms()
        self.mark = secrets.token_bytes(MARK_BYTES)
        written = (stdout_write, stderr_write, ready_write)
        zygote.request_kernel(Birth(self.address, self.key, self.mark, *written))
        for fd in written:
            os.close(fd)

    def connect(self) -> None:
        """Open the client's sockets; the kernel has bound its own, so no message waits for a reconnect."""
        import zmq
        from jupyter_client.session import Session

        self.session = Session(key=self.key)
        self.limit_bytes = message_limit_bytes()
        context: Any = zmq.Context.instance()
        self.shell = context.socket(zmq.DEALER)
        self.shell.linger = 0
        self.shell.rcvhwm = MESSAGES_WAITING
        self.shell.maxmsgsize = self.limit_bytes
        self.shell.connect(f"ipc://{self.address}-{PORTS['shell_port']}")
        self.iopub = context.socket(zmq.SUB)
        self.iopub.linger = 0
        self.iopub.rcvhwm = MESSAGES_WAITING
        self.iopub.maxmsgsize = self.limit_bytes
        self.iopub.subscribe(b"")
        self.iopub.connect(f"ipc://{self.address}-{PORTS['iopub_port']}")

    def request(self, kind: str, content: dict[str, Any]) -> str:
        """Send a request on the shell channel and return the id that its answers carry as their parent."""
        message: Any = self.session.send(self.shell, kind, content)
        return str(message["header"]["msg_id"])

    def messages(self, channel: Any) -> Iterator[dict[str, Any]]:
        """The messages that wait on a channel; what is not signed by this kernel's key, or malformed, is dropped."""
        import zmq

        left_bytes = MAX_BYTES_AT_ONCE
        for _ in range(MAX_MESSAGES_AT_ONCE):
            try:
                parts = channel.recv_multipart(flags=1)  # NOBLOCK
            except zmq.ZMQError:  # none waits
                return
            size_bytes = sum(map(len, parts))
            with suppress(Exception):
                message = self._parse(self.session.feed_identities(parts)[1], size_bytes)
                if is_well_formed(message):
                    yield message | {"size_bytes": size_bytes}
            left_bytes -= size_bytes
            if left_bytes < 0:
                return

    def _parse(self, parts: Any, size_bytes: int) -> dict[str, Any]:
        """A message whose signature holds. A content of too many parts is told by its size alone."""
        content = parts[4]  # behind the signature and three headers
        if len(content) > self.limit_bytes or size_bytes - len(content) > MAX_HEADERS_BYTES:
            return {}
        message: dict[str, Any] = self.session.deserialize(parts, content=False)
        most = min(self.limit_bytes // BYTES_PER_PART, MAX_MESSAGE_PARTS)
        is_large = count_parts(content, most) > most
        return message | {"content": {OMITTED: len(content)} if is_large else self.session.unpack(content)}

    def close(self) -> None:
        for fd in (self.stdout_fd, self.stderr_fd, self.ready_fd):
            if fd >= 0:
                os.close(fd)
        for name in ("shell", "iopub"):
            if hasattr(self, name):
                getattr(self, name).close()


def count_parts(packed: bytes, most: int) -> int:
    """How many parts a JSON text has, or more than `most`; what looks like one inside of a text does not count."""
    if (parts := count_openings(packed)) <= most:
        return parts
    bare = packed.replace(b"\\\\", b"").replace(b'\\"', b"")
    if bare.count(b'"') > 4 * most:
        return most + 1
    return count_openings(b"".join(bare.split(b'"')[::2]))


def count_openings(data: bytes) -> int:
    return sum(map(data.count, (b"{", b"[", b",")))


def is_well_formed(message: dict[str, Any]) -> bool:
    """Whether a message has the parts that are looked at: a cell can sign whatever it likes."""
    parts = (message.get(name) for name in ("header", "parent_header", "content"))
    if not all(isinstance(part, dict) for part in parts):
        return False
    parent, kind = message["parent_header"].get("msg_id", ""), message["header"].get("msg_type")
    return isinstance(parent, str) and isinstance(kind, str)


def count_ooms() -> int:
    """How many processes of this container the system has killed for memory."""
    for path in OOM_COUNTERS:
        try:
            with open(path) as file:
                return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        except OSError:
            continue
    return 0


def kill_all_but(spared: set[int]) -> None:
    """Kill every process of the container but this one and the spared; nobody forks on while it looks."""
    if os.getpid() != 1:
        raise RuntimeError("only the init of a container may do this")
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGSTOP)
    for pid in list_pids() - spared - {1}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in spared:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def list_pids() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def young_pids(since_ticks: int, spared: set[int]) -> set[int]:
    """The processes that started at or after a moment."""
    return {pid for pid in list_pids() - spared if boot_ticks_of(pid) >= since_ticks}


def kill_young(since_ticks: int, spared: set[int]) -> None:
    """Kill the processes that started at or after a moment: an interrupted cell's own, with what they start."""
    for _ in range(KILL_ROUNDS):
        young = young_pids(since_ticks, spared)
        if not young:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in young:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        time.sleep(0.001)


def boot_ticks_of(pid: int) -> int:
    """When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    is_dead = fields[0] == b"X" or (fields[0] == b"Z" and fields[17] == b"1")  # its other threads may live on
    return 0 if is_dead else int(fields[19])


class Quiet:
    """For how long a process has neither run nor used the processor, by looks that are not too close."""

    def __init__(self) -> None:
        self._looked_at = self._since = time.monotonic()
        self._used_ticks = -1

    def lasts(self, pid: int) -> bool:
        """Whether it has for too long; one that computes may still come back."""
        now = time.monotonic()
        if now - self._looked_at < QUIET_LOOK_S:
            return False
        self._looked_at = now
        state, used_ticks = processor_use_of(pid)
        if state in "RD" or used_ticks != self._used_ticks:
            self._used_ticks, self._since = used_ticks, now
        return now - self._since > QUIET_LIMIT_S


def processor_use_of(pid: int) -> tuple[str, int]:
    """A process's state and the processor time that it has used (fields 3, 14 and 15 of proc_pid_stat(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "X", 0
    return fields[0].decode(), int(fields[11]) + int(fields[12])


def now_in_boot_ticks() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


# --- one cell ---------------------------------------------------------------------------------------


class Spool:
    """Takes an over-long text whole, up to a limit, in a file that the model can read."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        self.path = f"{SPOOL_DIR}/{name}"
        self.size_bytes = 0
        self._left = limit_bytes
        self._fd: int | None = None
        with suppress(OSError):
            os.makedirs(SPOOL_DIR, exist_ok=True)
            if os.path.realpath(SPOOL_DIR) == SPOOL_DIR:  # and not a link that a cell has put there
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)

    def add(self, data: bytes) -> None:
        view = memoryview(data)[: self._left]
        try:
            while view and self._fd is not None:
                written = os.write(self._fd, view)
                view = view[written:]
                self._left -= written
                self.size_bytes += written
        except OSError:  # the workspace is full: what is in the file is what can be had
            self._left = 0

    def close(self) -> dict[str, Any]:
        """Where the text lies and how much of it, as frames say it; nothing where there is no file."""
        if self._fd is None:
            return {}
        os.close(self._fd)
        if not self.size_bytes:
            remove_file(self.path)
            return {}
        return {"full_text_path": self.path, "full_text_bytes": self.size_bytes}


def remove_file(path: str) -> None:
    """Remove a file that a cell may have removed or replaced before."""
    with suppress(OSError):
        os.unlink(path)


class Spools:
    """All over-long texts of a session: the oldest files go until the rest is within the limit."""

    def __init__(self) -> None:
        self._kept: deque[Spool] = deque()

    def open(self, name: str, limit_bytes: int) -> Spool:
        while self._kept and sum(spool.size_bytes for spool in self._kept) > limit_bytes:
            remove_file(self._kept.popleft().path)
        self._kept.append(Spool(name, limit_bytes))
        return self._kept[-1]


class Stream:
    """One stream of a cell: the head goes out as it comes, what follows is kept as the tail until the cell ends."""

    def __init__(self, cell: "Cell", name: str) -> None:
        self.cell = cell
        self.name = name
        self.head_left = cell.limits["stream_head_bytes"]
        self.tail: deque[bytes] = deque()
        self.tail_bytes = 0
        self.omitted_bytes = 0
        self.head = bytearray()
        self.spool: Spool | None = None

    def add(self, data: bytes) -> None:
        head, rest = data[: self.head_left], data[self.head_left :]
        if head:
            self.head_left -= len(head)
            self.head += head
            self.cell.send({"type": "stream", "name": self.name}, head)
        if rest:
            self._keep(rest)

    def _keep(self, data: bytes) -> None:
        limit = self.cell.limits["stream_tail_bytes"]
        if self.spool is None and self.tail_bytes + len(data) > limit:
            self.spool = self.cell.open_spool(self.name)
            for said in (bytes(self.head), *self.tail):
                self.spool.add(said)
        if self.spool is not None:
            self.spool.add(data)
        self.tail.append(data)
        self.tail_bytes += len(data)
        while self.tail_bytes > limit:
            excess = self.tail_bytes - limit
            first = self.tail.popleft()
            if len(first) > excess:
                self.tail.appendleft(first[excess:])
            dropped = min(excess, len(first))
            self.tail_bytes -= dropped
            self.omitted_bytes += dropped

    def finish(self) -> None:
        """Send the kept tail with the number of bytes left out before it."""
        where = self.spool.close() if self.spool is not None else {}
        if self.tail or self.omitted_bytes:
            header = {"type": "stream", "name": self.name, "omitted_bytes": self.omitted_bytes}
            self.cell.send(header | where, b"".join(self.tail))


class Merger:
    """Puts what a kernel says back into the order in which it said it.

    Text comes through pipes and rich outputs through a socket. Where a rich output has its place, the
    kernel leaves a mark in the stdout pipe; behind another mark stands what Python wrote to stderr.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.cell: Cell | None = None
        self.blocked = False
        """Whether stdout goes on only after a rich output that has not come yet."""
        self._stdout = bytearray()
        self._rich: deque[dict[str, Any]] = deque()

    def read(self, name: str) -> bool:
        """Take a chunk that waits in a pipe. False when no writer is left."""
        data = read_available(self.kernel.stdout_fd if name == "stdout" else self.kernel.stderr_fd)
        if data and name == "stdout":
            self._stdout += data
            self._merge()
        elif data:
            self._add_text("stderr", data)
        return data is not None

    def read_all(self) -> None:
        """Take what both pipes hold now, and no more: a background process may write without end."""
        for name, fd in (("stdout", self.kernel.stdout_fd), ("stderr", self.kernel.stderr_fd)):
            for _ in range(0, pipe_bytes(fd), CHUNK_BYTES):
                self.read(name)

    def add_rich(self, message: dict[str, Any]) -> None:
        self._rich.append(message)
        self._merge()
        if self._has_too_many():
            self.read("stdout")
        while self._has_too_many():
            self._add_rich(self._rich.popleft())

    def _has_too_many(self) -> bool:
        if len(self._rich) > MAX_RICH_WAITING:
            return True
        return len(self._rich) > 1 and sum(message["size_bytes"] for message in self._rich) > message_limit_bytes()

    def finish(self) -> None:
        """Take the rest, at the end of a cell or of the kernel; marks still open have lost their output."""
        self.read_all()
        while self._rich:
            self._add_rich(self._rich.popleft())
        self._stdout[:] = self._stdout.replace(self.kernel.mark + MARK_RICH, b"")
        self._merge()
        self._take_stdout(len(self._stdout))
        self.blocked = False
        self.cell = None

    def _merge(self) -> None:
        self.blocked = False
        while (at := self._stdout.find(self.kernel.mark)) >= 0:
            self._take_stdout(at)
            taken = self._take_mark()
            if not taken:
                return
            del self._stdout[:taken]
        self._take_stdout(len(self._stdout) - self._open_mark_bytes())

    def _take_mark(self) -> int:
        """Act on the mark at the buffer's start. Returns its length with what it carries, 0 for not yet."""
        kind = self._stdout[MARK_BYTES : MARK_BYTES + 1]
        if kind == MARK_RICH:
            if not self._rich:
                self.blocked = True
                return 0
            self._add_rich(self._rich.popleft())
            return MARK_BYTES + 1
        if kind in (MARK_BEGUN, MARK_WELL, MARK_UNUSABLE):
            end = MARK_BYTES + 2 + int.from_bytes(self._stdout[MARK_BYTES + 1 : MARK_BYTES + 2], "big")
            if len(self._stdout) < max(MARK_BYTES + 2, end):
                return 0
            if self.cell is not None:
                self.cell.on_mark(bytes(kind), bytes(self._stdout[MARK_BYTES + 2 : end]))
            return end
        start = MARK_BYTES + 3
        end = start + int.from_bytes(self._stdout[MARK_BYTES + 1 : start], "big")
        if len(self._stdout) < max(start, end):
            return 0
        self._add_text("stderr", bytes(self._stdout[start:end]))
        return end

    def _open_mark_bytes(self) -> int:
        """How many bytes at the end may be the start of a mark."""
        tail = bytes(self._stdout[-MARK_BYTES:])
        return next((n for n in range(len(tail), 0, -1) if self.kernel.mark.startswith(tail[-n:])), 0)

    def _take_stdout(self, count: int) -> None:
        if count:
            self._add_text("stdout", bytes(self._stdout[:count]))
            del self._stdout[:count]

    def _add_text(self, name: str, data: bytes) -> None:
        if self.cell is not None and data:
            self.cell.streams[name].add(data)

    def _add_rich(self, message: dict[str, Any]) -> None:
        if self.cell is not None and message["parent_header"].get("msg_id") == self.cell.message_id:
            self.cell.on_rich(message["header"]["msg_type"], message["content"], message["size_bytes"])


class Cell:
    """One execution: it is over when the shell has replied, iopub is idle, pipes are empty and the kernel is well."""

    def __init__(self, guest: "Guest", number: int, code: str) -> None:
        self.guest = guest
        self.id = number
        self.code = code
        self.limits = guest.limits
        self.message_id = ""
        self.fences: set[str] = set()
        """Requests that the kernel answers after the cell."""
        self.begun = self.replied = self.idle = self.asked_exit = self.interrupted = False
        self.next_works: bool | None = None
        """Whether the next cell will work, as the kernel says; None until it does."""
        self.status = "ok"
        self.execution_count: int | None = None
        self.streams = {name: Stream(self, name) for name in ("stdout", "stderr")}
        self.rich_left = self.limits["rich_bytes"]
        self.error_left = MAX_ERRORS_BYTES
        self.rich_omitted = 0
        self.rich_omitted_bytes = 0
        self.spools = 0
        self.begun_ticks = now_in_boot_ticks()
        self.ooms_before = count_ooms()

    def send(self, header: dict[str, Any], payload: bytes) -> None:
        self.guest.host.send(header | {"id": self.id}, payload)

    def on_reply(self, content: dict[str, Any]) -> None:
        self.replied = True
        self.status = "ok" if content.get("status") == "ok" else "error"
        self.execution_count = as_count(content.get("execution_count"))
        payload = content.get("payload")
        parts = [part for part in payload if isinstance(part, dict)] if isinstance(payload, list) else []
        self.asked_exit = any(part.get("source") == "ask_exit" for part in parts)
        for page in (part.get("data") for part in parts if part.get("source") == "page"):
            if isinstance(page, dict):  # what a pager would show, such as the answer to `name?`
                self.streams["stdout"].add(as_text(page.get("text/plain", "")).encode("utf-8", "replace"))

    def on_mark(self, kind: bytes, request_id: bytes) -> None:
        """The kernel begins a request of ours, or has looked after one whether the next will work."""
        if request_id.decode(errors="replace") in {self.message_id, *self.fences}:
            self.begun = True
            if kind != MARK_BEGUN:
                self.next_works = kind == MARK_WELL

    def on_fence(self) -> None:
        """The kernel has gone on to what was asked after the cell."""
        if not self.replied:
            self.replied = True
            self.status = "error"

    def on_iopub(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "status" and content.get("execution_state") == "idle":
            self.idle = True
        elif kind == "stream":
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            self.streams[name].add(as_text(content.get("text", "")).encode("utf-8", "backslashreplace"))

    def on_rich(self, kind: str, content: dict[str, Any], size_bytes: int) -> None:
        if kind == "error" and content.keys() != {OMITTED}:
            self._send_error(content)
        else:
            self._send_rich("execute_result" if kind == "execute_result" else "display_data", content, size_bytes)

    def _send_rich(self, kind: str, content: dict[str, Any], size_bytes: int) -> None:
        if (omitted_bytes := as_count(content.get(OMITTED))) is not None:
            self._omit(1, omitted_bytes)
            return
        header: dict[str, Any] = {"type": kind}
        if kind == "execute_result" and (count := as_count(content.get("execution_count"))) is not None:
            header["execution_count"] = count
        data = as_dict(content.get("data"))
        modest = {str(kind): value for kind, value in data.items() if is_modest(value)}
        if isinstance(text := modest.get("text/plain"), str) and self.rich_left:
            modest["text/plain"], cut = self._cut(text, "result")
            header |= cut
        packed = {kind: pack_json(kind) + b": " + pack_json(value) for kind, value in modest.items()}
        if len(modest) < len(data):  # what was left out is not packed again only to be counted
            known_bytes = sum(map(len, packed.values())) + header.get("omitted_bytes", 0)
            self._omit(0, max(0, size_bytes - known_bytes))
        metadata = as_dict(content.get("metadata"))
        payload = self._pack_bundle(packed, metadata if is_modest(metadata) else {})
        if len(payload) > self.rich_left:
            self._omit(1, len(payload))
            return
        self.rich_left -= len(payload)
        self.send(header, payload)

    def _omit(self, outputs: int, size_bytes: int) -> None:
        """Count what is left out; the numbers may be the kernel's."""
        self.rich_omitted += outputs
        self.rich_omitted_bytes = min(self.rich_omitted_bytes + size_bytes, MAX_COUNT)

    def _pack_bundle(self, packed: dict[str, bytes], metadata: dict[str, Any]) -> bytes:
        """The bundle, without its largest representations where the cell's allowance cannot hold them."""
        left_bytes = sum(map(len, packed.values()))
        by_size = sorted(packed, key=lambda kind: (kind != "text/plain", len(packed[kind])))
        while len(by_size) > 1 and (len(by_size) > MAX_KINDS or left_bytes > self.rich_left):
            dropped_bytes = len(packed.pop(by_size.pop()))
            left_bytes -= dropped_bytes
            self._omit(0, dropped_bytes)
        return b'{"data": {%s}, "metadata": %s}' % (b", ".join(packed.values()), pack_json(metadata))

    def _cut(self, text: str, name: str) -> tuple[str, dict[str, Any]]:
        """A text within the limits of a stream, and what a frame says about what is left out of it."""
        data = text.encode("utf-8", "replace")
        kept, omitted_bytes = cut_text(data, self.limits["stream_head_bytes"], self.limits["stream_tail_bytes"])
        if not omitted_bytes:
            return kept, {}
        spool = self.open_spool(name)
        spool.add(data)
        return kept, {"omitted_bytes": omitted_bytes} | spool.close()

    def _send_error(self, content: dict[str, Any]) -> None:
        lines = content.get("traceback")
        if self.error_left <= 0:
            self._omit(1, 0)
            return
        text = "\n".join(map(as_text, lines if isinstance(lines, list) else [lines or ""]))
        traceback, cut = self._cut(text, "traceback")
        body = {
            "ename": as_text(content.get("ename", ""))[:MAX_NAME_CHARS],
            "evalue": cut_text(as_text(content.get("evalue", "")).encode("utf-8", "replace"), *MESSAGE_ENDS_BYTES)[0],
            "traceback": traceback.split("\n", MAX_TRACEBACK_LINES),
        }
        payload = pack_json(body)
        self.error_left -= len(payload) + FRAME_COST_BYTES
        if len(payload) > MAX_ERROR_BYTES:
            self._omit(1, len(payload))
        else:
            self.send({"type": "error"} | cut, payload)

    def is_owed(self) -> bool:
        """Whether the kernel is to answer without running any of the cell's code."""
        return bool(self.message_id) and (not self.begun or self.idle or self.next_works is not None)

    def open_spool(self, name: str) -> Spool:
        self.spools += 1
        place = f"{self.spools}." if self.spools > 1 else ""
        return self.guest.spools.open(f"cell{self.id}.{place}{name}.txt", self.limits["spool_bytes"])

    def finish(self, status: str, cause: str | None, state_lost: bool) -> None:
        for stream in self.streams.values():
            stream.finish()
        self.guest.host.send(
            {
                "type": "done",
                "id": self.id,
                "status": status,
                "cause": cause,
                "state_lost": state_lost,
                "execution_count": self.execution_count,
                "omitted_outputs": self.rich_omitted,
                "omitted_output_bytes": self.rich_omitted_bytes,
                "oom_kills": count_ooms() - self.ooms_before,
            }
        )


def as_dict(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def as_count(value: Any) -> int | None:
    """A number of the kernel's within the bounds that the host keeps; None where it is no number."""
    return max(0, min(value, MAX_COUNT)) if isinstance(value, int) else None


def as_text(value: Any) -> str:
    """What the kernel gives where a text belongs; nothing for what is too deep or too large to be shown."""
    return str(value) if is_modest(value) else ""


def is_modest(value: Any) -> bool:
    """Whether a JSON value is neither so deep nor of so many parts that to parse it is to be harmed by it."""
    parts, level = 0, [value]
    for _ in range(MAX_JSON_DEPTH):
        parts += len(level)
        if parts > MAX_JSON_PARTS:
            return False
        containers = [part for part in level if isinstance(part, dict | list)]
        level = [part for each in containers for part in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return True
    return False


def cut_text(data: bytes, head_bytes: int, tail_bytes: int) -> tuple[str, int]:
    """UTF-8 text without its middle, cut between characters, and how many bytes were left out."""
    if len(data) <= head_bytes + tail_bytes:
        return data.decode(), 0
    head, tail = head_bytes, len(data) - tail_bytes
    while head and data[head] & 0xC0 == 0x80:
        head -= 1
    while tail < len(data) and data[tail] & 0xC0 == 0x80:
        tail += 1
    note = f"\n[... {tail - head} bytes left out ...]\n"
    return data[:head].decode() + note + data[tail:].decode(), tail - head


def describe_death(wait_status: int, ooms: int) -> str:
    if ooms:
        return "out_of_memory"
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        names = {known.value: known.name for known in signal.Signals}
        return f"signal {names.get(number, number)}"
    return "exit"


# --- files ------------------------------------------------------------------------------------------


class RefusedError(Exception):
    """A request that the guest answers with a reason instead of a result."""


def reason_for(error: Exception) -> str:
    """Why a request was refused, in one line."""
    if not isinstance(error, OSError) or error.strerror is None:
        return (str(error) or type(error).__name__)[:MAX_REASON_CHARS]
    where = "" if error.filename is None else f": {error.filename!r}"
    return f"{error.strerror}{where}"[:MAX_REASON_CHARS]


def workspace_path(name: str) -> str:
    """The path of a workspace file; names that leave the workspace, by `..` or by a link, are refused."""
    if name.count("/") >= MAX_NAME_PARTS:
        raise RefusedError(f"{name[:MAX_NAME_CHARS]!r}... has more than {MAX_NAME_PARTS} parts")
    path = os.path.normpath(os.path.join(WORKSPACE, name))
    folder = os.path.dirname(path)
    if "\0" in name or not path.startswith(WORKSPACE + "/") or os.path.realpath(folder) != folder:
        raise RefusedError(f"{name!r} is not inside {WORKSPACE}")
    return path


class AbandonedError(Exception):
    """Whoever asked for an answer has gone."""


class Work:
    """An answer that may take long: the host hears now and then that it is worked on."""

    def __init__(self, host: Host, request: int) -> None:
        self._host = host
        self._request = request
        self._told_at = time.monotonic()

    def go_on(self) -> None:
        """Raises AbandonedError where the host has asked for something else meanwhile."""
        now = time.monotonic()
        if now - self._told_at < WORKING_S:
            return
        self._told_at = now
        if self._host.is_waiting():
            raise AbandonedError
        self._host.send({"type": "working", "id": self._request})


class Upload:
    """A file on its way in: written beside its final name and renamed when it is whole."""

    def __init__(self, name: str) -> None:
        self.path = workspace_path(name)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.partial = f"{self.path}.{secrets.token_hex(4)}.part"
        self.fd = os.open(self.partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self.size_bytes = 0
        self.digest = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self.digest.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

    def finish(self) -> dict[str, Any]:
        os.replace(self.partial, self.path)
        os.close(self.fd)
        return {"size_bytes": self.size_bytes, "sha256": self.digest.hexdigest()}

    def abandon(self) -> None:
        os.close(self.fd)
        remove_file(self.partial)


def open_regular(path: str) -> int:
    """Open a regular file without following a link at its end and without waiting for a FIFO's writer."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise RefusedError(f"{path!r} is not a regular file")
    return fd


def read_pieces(fd: int, max_bytes: int) -> Iterator[bytes]:
    """A file's bytes up to the size that it has now: one that grows while it is read comes to an end."""
    left = min(os.fstat(fd).st_size, max_bytes)
    while left and (data := os.read(fd, min(left, CHUNK_BYTES))):
        left -= len(data)
        yield data


def data_and_holes(fd: int, max_bytes: int) -> Iterator[bytes | int]:
    """The same, but of a hole only its length."""
    at, end = 0, min(os.fstat(fd).st_size, max_bytes)
    while at < end:
        data_at = min(next_data(fd, at, end), end)
        if data_at > at:
            yield data_at - at
        at = data_at
        hole_at = next_hole(fd, at, end) if at < end else end  # once an extent: it looks at each page up to there
        while at < hole_at:
            data = os.pread(fd, min(hole_at - at, CHUNK_BYTES), at)
            if not data:
                return
            at += len(data)
            yield data


def next_data(fd: int, at: int, end: int) -> int:
    """Where data begins; at once, where the file system does not tell (lseek(2))."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        return end if error.errno == errno.ENXIO else at


def next_hole(fd: int, at: int, end: int) -> int:
    try:
        return max(min(os.lseek(fd, at, os.SEEK_HOLE), end), at + 1)
    except OSError:
        return end


def regular_files(root: str, on_work: Callable[[], None]) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files under a folder, in the order of their names; hidden folders and what vanishes are left out."""
    for folder, folders, names in os.walk(root):
        on_work()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(folder, name)
            with suppress(OSError):
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode):
                    yield path, info


def list_workspace(max_files: int, hashed: bool, on_work: Callable[[], None]) -> list[dict[str, Any]]:
    """The first regular files of the workspace; a name that is not UTF-8 is shown with escapes.

    Calls `on_work` before each piece of work, none of which takes long.
    """
    found: list[dict[str, Any]] = []
    hashes: dict[tuple[int, int], str | None] = {}
    left = MAX_LIST_BYTES
    for path, info in itertools.islice(regular_files(WORKSPACE, on_work), max_files):
        left -= 4 * len(path) + 256
        if left < 0:
            break
        name = os.path.relpath(path, WORKSPACE).encode(errors="surrogateescape").decode(errors="backslashreplace")
        inode = info.st_dev, info.st_ino
        if hashed and inode not in hashes:
            hashes[inode] = hash_file(path, on_work)
        entry = {"size_bytes": info.st_size, "modified_ns": info.st_mtime_ns, "sha256": hashes.get(inode)}
        found.append({"name": name} | entry)
    return found


def hash_file(path: str, on_work: Callable[[], None]) -> str | None:
    """SHA-256 of a file as it is now; None where it cannot be read, or has holes: it may be of any length then."""
    digest = hashlib.sha256()
    try:
        fd = open_regular(path)
    except (OSError, RefusedError):
        return None
    with open(fd, "rb", buffering=0):
        info = os.fstat(fd)  # a cell may have changed what was listed
        if info.st_blocks * 512 < info.st_size:
            return None
        for data in read_pieces(fd, info.st_size):
            on_work()
            digest.update(data)
    return digest.hexdigest()


# --- the guest --------------------------------------------------------------------------------------


class Guest:
    """The poll loop between the host, the zygote and the current kernel."""

    def __init__(self, host: Host, zygote: Zygote) -> None:
        self.host = host
        self.zygote = zygote
        self.children = Children()
        self.spools = Spools()
        self.limits: dict[str, int] = {}
        self.kernel = Kernel(zygote)
        self.merger = Merger(self.kernel)
        self.has_begun = False
        """Whether a kernel has ever come up; until then nothing is worth another try."""
        self.ready = False
        self.unborn = 0
        """How many kernels in a row were replaced before they came up."""
        self.cell: Cell | None = None
        self.upload: Upload | None = None
        self.quiet = Quiet()
        self.probe_id = ""
        self.probe_replied = self.probe_heard = False

    def run(self) -> NoReturn:
        import zmq

        self.poller = zmq.Poller()
        self.handlers: dict[Any, Callable[[], None]] = {}
        self._watch(self.host.read_fd, self._on_host)
        self._watch(self.zygote.control.fileno(), self._on_zygote)
        self._watch(self.children.wake_fd, self._on_orphan)
        self._watch(self.kernel.ready_fd, self._on_kernel_bound)
        while True:
            interrupted = self.cell if self.cell is not None and self.cell.interrupted else None
            events = self.poller.poll(self._patience_ms())
            kernel = self.kernel
            for source, _ in events:
                if self.kernel is not kernel:
                    break  # what is left may be about a descriptor that now means something else
                if source in self.handlers:
                    self.handlers[source]()
            if not events and not self.ready and self.probe_id:
                self._probe()
            elif not events and interrupted:
                self._fence(interrupted)
            self._look_for_quiet()

    def _patience_ms(self) -> int | None:
        """How long to wait for events."""
        if not self.ready:
            return PROBE_AGAIN_MS
        if self.cell is None:
            return None
        return FENCE_AGAIN_MS if self.cell.interrupted else int(QUIET_LOOK_S * 1000) if self.cell.is_owed() else None

    def _watch(self, source: Any, handler: Callable[[], None]) -> None:
        self.poller.register(source, 1)  # POLLIN
        self.handlers[source] = handler

    def _unwatch(self, source: Any) -> None:
        if source in self.handlers:
            self.poller.unregister(source)
            del self.handlers[source]

    # the kernel's life

    def _on_zygote(self) -> None:
        message = self.zygote.receive()
        if not message:
            if not self.has_begun:
                sys.exit("the zygote ended before there was a kernel")
            self._replace_zygote()
        elif "forked" in message:
            self.kernel.pid = message["forked"]
        elif message["died"] == self.kernel.pid:
            self._on_death(message["wait_status"])

    def _on_orphan(self) -> None:
        """Children of the cells end up with an init, and so does a kernel whose zygote was killed."""
        for pid, wait_status in self.children.deaths():
            if pid == self.kernel.pid:
                self._on_death(wait_status)

    def _replace_zygote(self) -> None:
        """A cell has killed the zygote. A kernel that still runs goes on."""
        self._unwatch(self.zygote.control.fileno())
        self.zygote.control.close()
        with suppress(ChildProcessError):
            os.waitpid(self.zygote.pid, 0)  # until then, its children are not ours
        self.zygote = Zygote()
        self._watch(self.zygote.control.fileno(), self._on_zygote)
        self._on_orphan()
        if not boot_ticks_of(self.kernel.pid):  # and the zygote took the report along
            self._on_death(signal.SIGKILL)

    def _on_kernel_bound(self) -> None:
        fd = self.kernel.ready_fd
        self._unwatch(fd)
        bound = os.read(fd, 1)
        os.close(fd)
        self.kernel.ready_fd = -1
        if not bound:
            return  # it died on the way; the zygote reports how
        self.kernel.connect()
        self._watch(self.kernel.shell, self._on_shell)
        self._watch(self.kernel.iopub, self._on_iopub)
        self._watch(self.kernel.stdout_fd, lambda: self._on_pipe("stdout"))
        self._watch(self.kernel.stderr_fd, lambda: self._on_pipe("stderr"))
        self._probe()

    def _probe(self) -> None:
        """Ask until both channels have answered: a subscription may reach the kernel late."""
        self.probe_id = self.kernel.request("kernel_info_request", {})

    def _note_probe(self, channel: str) -> None:
        if channel == "shell":
            self.probe_replied = True
        else:
            self.probe_heard = True
        if self.probe_replied and self.probe_heard and not self.ready:
            self.ready = self.has_begun = True
            self.host.send({"type": "kernel_ready"})
            self._start_cell()

    def _on_death(self, wait_status: int) -> None:
        cause = describe_death(wait_status, count_ooms() - self.kernel.ooms_before)
        if not self.has_begun:
            sys.exit(f"the first kernel died: {cause}")
        self._kill_kernel()
        if self.cell is not None and self.cell.message_id:
            cell, self.cell = self.cell, None
            cell.finish("died", cause, state_lost=True)
        else:
            self.host.send({"type": "kernel_died", "cause": cause})

    def _replace_kernel(self) -> None:
        self.unborn = 0 if self.ready else self.unborn + 1
        if self.unborn > MAX_UNBORN:
            sys.exit("no kernel comes up any more")
        old = self.kernel
        for name in ("shell", "iopub", "stdout_fd", "stderr_fd", "ready_fd"):
            self._unwatch(getattr(old, name, None))
        old.close()
        self.ready = self.probe_replied = self.probe_heard = False
        self.probe_id = ""
        self.kernel = Kernel(self.zygote)
        self.merger = Merger(self.kernel)
        self._watch(self.kernel.ready_fd, self._on_kernel_bound)

    def _kill_kernel(self) -> None:
        """End the kernel and all it started, keep what they have said, and fork a new kernel."""
        kill_all_but({self.zygote.pid})
        self.merger.finish()
        self._replace_kernel()

    def _look_for_quiet(self) -> None:
        """Replace a kernel that owes an answer, which takes it no time, and does nothing for it."""
        if self.cell is None or not self.cell.is_owed() or not self.quiet.lasts(self.kernel.pid):
            return
        if self.cell.begun:
            self._on_unusable(self.cell)
        else:  # it has not begun, and can do so in another kernel
            self.host.send({"type": "kernel_died", "cause": UNUSABLE})
            self.cell = Cell(self, self.cell.id, self.cell.code)
            self._kill_kernel()

    def _on_unusable(self, cell: "Cell") -> None:
        """No later cell would work in this kernel, by what this cell has done."""
        self._kill_kernel()
        self.cell = None
        cell.finish("died", UNUSABLE, state_lost=True)

    def _restart(self) -> None:
        """Replace the kernel; a running cell ends here."""
        self._kill_kernel()
        if self.cell is not None:
            cell, self.cell = self.cell, None
            cell.finish("died", "restart", state_lost=True)

    # a cell's life

    def _start_cell(self) -> None:
        cell = self.cell
        if cell is None or cell.message_id or not self.ready:
            return
        self.merger.finish()  # what was said between two cells belongs to none
        self.merger.cell = cell
        cell.message_id = self.kernel.request("execute_request", CELL | {"code": cell.code})
        self.quiet = Quiet()
        self.host.send({"type": "started", "id": cell.id})

    def _on_shell(self) -> None:
        for message in self.kernel.messages(self.kernel.shell):
            self._note_begun(message)
            parent = message["parent_header"].get("msg_id")
            if self.cell is not None and parent in self.cell.fences:
                self.cell.on_fence()
            elif message["header"]["msg_type"] == "kernel_info_reply":
                self._note_probe("shell")
            elif self._is_current(message) and self.cell is not None:
                self.cell.on_reply(message["content"])
        self._finish_cell()

    def _on_iopub(self) -> None:
        for message in self.kernel.messages(self.kernel.iopub):
            if not self.ready:
                self._note_probe("iopub")
            self._note_begun(message)
            kind = message["header"]["msg_type"]
            if kind in RICH_MESSAGES:
                self.merger.add_rich(message)
                self._follow_stdout()
            elif self._is_current(message) and self.cell is not None:
                self.cell.on_iopub(kind, message["content"])
        self._finish_cell()

    def _note_begun(self, message: dict[str, Any]) -> None:
        """A message about the cell says that it has begun, where its mark is lost."""
        if self.cell is not None and self._is_current(message):
            self.cell.begun = True

    def _is_current(self, message: dict[str, Any]) -> bool:
        parent = message["parent_header"].get("msg_id")
        return self.cell is not None and bool(parent) and parent in {self.cell.message_id, *self.cell.fences}

    def _finish_cell(self) -> None:
        """End a cell where the kernel has said all about it."""
        cell = self.cell
        if cell is None or not cell.idle:
            return
        if cell.next_works is False:
            self._on_unusable(cell)
        elif cell.replied and (cell.next_works or cell.asked_exit):
            self.merger.finish()
            self._follow_stdout()
            self.cell = None
            if cell.interrupted:
                kill_young(cell.begun_ticks, {1, self.zygote.pid, self.kernel.pid})
            if cell.asked_exit:  # the kernel goes by itself in a moment; not under the next cell
                self._kill_kernel()
                cell.finish("died", "exit", state_lost=True)
            else:
                cell.finish(cell.status, None, state_lost=False)

    def _on_pipe(self, name: str) -> None:
        if not self.merger.read(name):
            self._unwatch(self.kernel.stdout_fd if name == "stdout" else self.kernel.stderr_fd)
        elif name == "stdout":
            self._follow_stdout()
            self._finish_cell()

    def _follow_stdout(self) -> None:
        """Watch stdout unless it waits for a rich output: what is not read stays in the pipe."""
        if self.merger.blocked:
            self._unwatch(self.kernel.stdout_fd)
        elif self.kernel.stdout_fd not in self.handlers:
            self._watch(self.kernel.stdout_fd, lambda: self._on_pipe("stdout"))

    # the host's requests

    def _on_host(self) -> None:
        for header, payload in self.host.receive():
            if header["type"] not in ("data", "end"):
                self._abandon_upload()  # its sender gave up
            self._answer(header, payload)

    def _answer(self, header: dict[str, Any], payload: bytes) -> None:
        """Do what a request asks; whatever goes wrong with it is its answer, and never the guest's end."""
        try:
            getattr(self, f"_host_{header['type']}")(header, payload)
        except Exception as error:
            if "id" not in header:  # nobody waits for an answer, and the guest cannot go on
                raise
            self.host.send({"type": "refused", "id": header["id"], "reason": reason_for(error)})

    def _host_configure(self, header: dict[str, Any], payload: bytes) -> None:
        self.limits = header["limits"]

    def _host_execute(self, header: dict[str, Any], payload: bytes) -> None:
        self.cell = Cell(self, header["id"], payload.decode())
        self._start_cell()

    def _host_interrupt(self, header: dict[str, Any], payload: bytes) -> None:
        if self.cell is not None and self.cell.message_id:
            self.cell.interrupted = True
            spared = {1, self.zygote.pid}
            for pid in {self.kernel.pid} | young_pids(self.cell.begun_ticks, spared):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
            self._fence(self.cell)

    def _fence(self, cell: Cell) -> None:
        """Run a cell that is answered when the interrupted one is over, even where the signal has hit its reply.

        A cell that awaits is cancelled by its event loop, which the signal does not wake, but a message does. It is
        asked again and again, for the signal may also have hit the loop while it took a message.
        """
        cell.fences.add(self.kernel.request("execute_request", EMPTY_CELL))

    def _host_ping(self, header: dict[str, Any], payload: bytes) -> None:
        self.host.send({"type": "pong", "id": header["id"]})

    def _host_restart(self, header: dict[str, Any], payload: bytes) -> None:
        self._restart()

    def _host_describe(self, header: dict[str, Any], payload: bytes) -> None:
        import platform
        from importlib.metadata import distributions

        packages = {dist.metadata["Name"]: dist.version for dist in distributions()}
        try:
            distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
        except (OSError, LookupError):
            distribution = ""
        body = {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "platform": platform.platform(),
            "distribution": distribution,
            "packages": dict(sorted(packages.items())),
        }
        self.host.send({"type": "description", "id": header["id"]}, pack_json(body))

    def _host_put(self, header: dict[str, Any], payload: bytes) -> None:
        self.upload = Upload(header["name"])

    def _host_data(self, header: dict[str, Any], payload: bytes) -> None:
        if self.upload is None:
            return  # the upload was refused; what is still on its way is dropped
        try:
            self.upload.add(payload)
        except OSError:
            self._abandon_upload()
            raise

    def _host_end(self, header: dict[str, Any], payload: bytes) -> None:
        if self.upload is None:
            return
        try:
            moved = self.upload.finish()
        except OSError:
            self._abandon_upload()
            raise
        self.upload = None
        self.host.send({"type": "file", "id": header["id"]} | moved)

    def _abandon_upload(self) -> None:
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.abandon()

    def _host_get(self, header: dict[str, Any], payload: bytes) -> None:
        fd = open_regular(workspace_path(header["name"]))
        with open(fd, "rb", buffering=0):
            for piece in data_and_holes(fd, header["max_bytes"]):
                if self.host.is_waiting():
                    return  # for something else: whoever asked for this has gone
                if isinstance(piece, int):
                    self.host.send({"type": "hole", "id": header["id"], "size_bytes": piece})
                else:
                    self.host.send({"type": "data", "id": header["id"]}, piece)
        self.host.send({"type": "whole", "id": header["id"]})

    def _host_list(self, header: dict[str, Any], payload: bytes) -> None:
        work = Work(self.host, header["id"])
        try:
            files = list_workspace(header["max_files"], header["hashed"], work.go_on)
        except AbandonedError:
            return
        self.host.send({"type": "files", "id": header["id"]}, pack_json(files))


def read_available(fd: int) -> bytes | None:
    """What the pipe holds, up to a chunk; empty when it holds nothing, None when no writer is left."""
    try:
        return os.read(fd, CHUNK_BYTES) or None
    except BlockingIOError:
        return b""


def pipe_bytes(fd: int) -> int:
    """The number of bytes that wait in a pipe (FIONREAD, ioctl_tty(2))."""
    waiting = array.array("i", [0])
    try:
        fcntl.ioctl(fd, 0x541B, waiting)
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
    return waiting[0]


def main() -> NoReturn:
    import ipykernel.kernelapp  # noqa: F401 - once, for the guest, the zygote and every kernel

    gc.freeze()
    zygote = Zygote()
    host = Host(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    Guest(host, zygote).run()
