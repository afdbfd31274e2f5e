"""The zygote: a fork of the guest that forks a kernel for each request."""

import json
import os
import select
import signal
import socket
import time
import warnings
from typing import NoReturn

from sandbox.guest.kernel import become_kernel
from sandbox.guest.launch import PATIENCE_S, KernelLaunch, receive_launch, send_launch
from sandbox.guest.processes import Children
from sandbox.guest.start import forget_package, set_dumpable


class Zygote:
    """The guest's handle on the zygote process: a fork that has the modules which the guest has imported until then."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with warnings.catch_warnings(action="ignore"):  # the threads are libzmq's, and hold no lock of ours
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

    def request_kernel(self, launch: KernelLaunch) -> None:
        send_launch(self.control, launch)

    def receive(self) -> dict[str, int]:
        """The zygote's next report; empty if it has ended."""
        try:
            data = self.control.recv(4096)
        except ConnectionError:
            data = b""
        message: dict[str, int] = json.loads(data or b"{}")
        return message


def run_zygote(control: socket.socket) -> NoReturn:
    """Fork a kernel for each request and report each death, until the guest ends."""
    set_dumpable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children = Children()
    while True:
        ready, _, _ = select.select([control.fileno(), children.wake_fd], [], [])
        if children.wake_fd in ready:
            for pid, status in children.deaths():
                control.send(json.dumps({"died": pid, "wait_status": status}).encode())
        if control.fileno() in ready:
            launch = receive_launch(control)
            if launch is None:
                os._exit(0)
            pid = fork_patiently()
            if pid == 0:
                control.close()
                os.close(children.wake_fd)
                become_kernel(launch)
            for fd in launch.fds:
                os.close(fd)
            control.send(json.dumps({"forked": pid}).encode())


def fork_patiently() -> int:
    """Fork; the killed processes of a cell that has filled the table may still be in it for a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
