"""An ordinary user on a machine where /proc shows each user only its own processes (proc(5), hidepid)."""

import os
import shutil
import subprocess
from pathlib import Path

STRANGER = 12345
ROOT = Path(__file__).parents[3]


def missing_for_hidden_proc() -> bool:
    return os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv"))


def as_stranger(command: list[str], *, hidepid: int) -> "subprocess.CompletedProcess[str]":
    """Run a command as the user STRANGER with its own /proc, in its own mount namespace.

    It may read every file, because Python may be in a folder that only root can read, and use every socket. This
    capability does not change what /proc shows.
    """
    mount = f'mount -t proc -o hidepid={hidepid} proc /proc && exec "$@"'
    become = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    keep = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    program = ["unshare", "--mount", "sh", "-c", mount, "sh", *become, *keep, *command]
    return subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
