"""The guest's end of one kernel: its pipes, its sockets, and whether it answers."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import zmq
from jupyter_client.session import Session

from sandbox.guest.launch import KEY_BYTES, PORTS, KernelLaunch
from sandbox.guest.marks import SECRET_BYTES
from sandbox.guest.messages import OMITTED, message_limit_bytes
from sandbox.guest.processes import count_ooms
from sandbox.guest.untrusted import count_parts, is_well_formed
from sandbox.guest.zygote import Zygote

MESSAGES_WAITING = 4
"""On a channel in the guest; more of them wait in the kernel, at the cell's own expense."""
MAX_MESSAGES_AT_ONCE = 100
MAX_BYTES_AT_ONCE = 1 << 20
"""Read from one channel before the host and other channels have a turn; the last message may exceed it."""
BYTES_PER_PART = 16
"""A message may have one part for so many bytes of its limit: to parse a part may take a hundred bytes and more."""
MAX_MESSAGE_PARTS = 1 << 21
MAX_HEADERS_BYTES = 1 << 20
"""Everything in a message beside its content."""


class KernelClient:
    """One kernel as the guest sees it: pipes from the start, sockets once the kernel has bound them."""

    def __init__(self, zygote: Zygote) -> None:
        self.address = f"@cellblock-{secrets.token_hex(8)}"  # an abstract socket: no file that a cell could take
        self.key = secrets.token_bytes(KEY_BYTES)
        self.secret = secrets.token_bytes(SECRET_BYTES)
        self.pid = 0
        self.shell: Any = None
        self.iopub: Any = None
        self.is_ready = False
        """True once both channels have answered a probe."""
        self._answered: set[str] = set()
        self.stdout_fd, stdout_write = open_pipe()
        self.stderr_fd, stderr_write = open_pipe()
        self.ready_fd, ready_write = open_pipe()
        self.calls, calls_fd = open_calls()
        self.ooms_before = count_ooms()
        theirs = (stdout_write, stderr_write, ready_write, calls_fd)
        zygote.request_kernel(KernelLaunch(self.address, self.key, self.secret, *theirs))
        for fd in theirs:
            os.close(fd)

    @property
    def is_connected(self) -> bool:
        return self.shell is not None

    def connect(self) -> None:
        """Open the client's sockets; the kernel has bound its own, so no message waits for a reconnect."""
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

    def probe(self) -> None:
        """Ask for an answer on both channels, until both have come: a subscription may reach the kernel late."""
        self.request("kernel_info_request", {})

    def note_answer(self, channel: str) -> bool:
        """Note that a channel has answered a probe. Returns True if the kernel is ready by this."""
        self._answered.add(channel)
        if self.is_ready or self._answered != {"shell", "iopub"}:
            return False
        self.is_ready = True
        return True

    def request(self, kind: str, content: dict[str, Any], metadata: dict[str, Any] | None = None) -> str:
        """Send a request on the shell channel and return the id that its answers carry as their parent."""
        message: Any = self.session.send(self.shell, kind, content, metadata=metadata)
        return str(message["header"]["msg_id"])

    def messages(self, channel: Any) -> Iterator[dict[str, Any]]:
        """The messages that wait on a channel; one that is malformed or not signed with the key is dropped."""
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
        """A message whose signature holds. A content of too many parts is replaced by its size."""
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
        self.calls.close()
        for channel in (self.shell, self.iopub):
            if channel is not None:
                channel.close()


def open_pipe() -> tuple[int, int]:
    """A pipe whose read end never blocks."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(read_fd, False)
    return read_fd, write_fd


def open_calls() -> tuple[socket.socket, int]:
    """Both ends of a socket. The first never blocks, and is told which process has sent each byte (unix(7))."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.setblocking(False)
    return ours, theirs.detach()
