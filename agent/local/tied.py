"""Run a Python program that ends together with the process that started it, even after `kill -9`.

    python -P tied.py (FILE.py | MODULE) ARGUMENTS…

Standard input is a pipe that the parent holds open and never writes to: it ends with the parent. This file runs by path
and imports nothing of this package, so that the working directory cannot shadow a module.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


def _tie_to_parent() -> None:
    # The parent handles an interrupt at the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # works even while C code holds the interpreter lock
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


def main() -> None:
    """Tie this process to its parent, then become the program named by the first argument."""
    _tie_to_parent()
    program = sys.argv[1]
    sys.argv = sys.argv[1:]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
