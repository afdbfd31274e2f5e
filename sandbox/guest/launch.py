"""What a kernel is launched with, and how it gets from the guest to the zygote."""

import errno
import socket
import time
from contextlib import suppress
from typing import NamedTuple

from sandbox.guest.marks import SECRET_BYTES

WORKSPACE = "/workspace"
"""The folder in which a kernel begins, and the only one whose files are kept."""
KEY_BYTES = 32
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
PATIENCE_S = 2.0
"""The resources of killed processes, such as process numbers and descriptors in flight, are free by then."""


class KernelLaunch(NamedTuple):
    """The address and the key of a kernel's sockets, the secret of its marks, and its descriptors."""

    address: str
    key: bytes
    secret: bytes
    stdout_fd: int
    stderr_fd: int
    ready_fd: int
    """The kernel writes a byte here when it has bound its sockets."""
    calls_fd: int
    """The kernel's end of the socket for calls of the host's functions."""

    @property
    def fds(self) -> tuple[int, ...]:
        return self[3:]


def send_launch(control: socket.socket, launch: KernelLaunch) -> None:
    """Send a launch with its descriptors. It is lost if the zygote has ended, which the guest is about to notice."""
    data = launch.key + launch.secret + launch.address.encode()
    with suppress(ConnectionError):
        _send_patiently(control, data, list(launch.fds))


def _send_patiently(control: socket.socket, data: bytes, fds: list[int]) -> None:
    """Send descriptors; those that a killed cell has put in flight may still count for a moment (unix(7))."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.send_fds(control, [data], fds)
            return
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def receive_launch(control: socket.socket) -> KernelLaunch | None:
    """The next launch, or None if the guest has ended."""
    data, fds, _, _ = socket.recv_fds(control, 4096, 4)
    if not data:
        return None
    secret_end = KEY_BYTES + SECRET_BYTES
    return KernelLaunch(data[secret_end:].decode(), data[:KEY_BYTES], data[KEY_BYTES:secret_end], *fds)
