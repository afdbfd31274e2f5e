"""The guest's program. It forks the zygote, and only then imports what the zygote does not need."""

import gc
import os
from typing import NoReturn

from sandbox.guest.zygote import Zygote


def main() -> NoReturn:
    """Run the guest until the host ends its stream."""
    gc.freeze()
    zygote = Zygote()
    read_fd, write_fd = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    from sandbox.guest.client import KernelClient  # the first kernel starts while the guest imports the rest

    kernel = KernelClient(zygote)
    from sandbox.guest.guest import Guest
    from sandbox.guest.wire import Host

    gc.enable()
    Guest(Host(read_fd, write_fd), zygote, kernel).run()
