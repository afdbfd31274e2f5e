"""The program that removes files in the container. The host sends it, and it runs in the workspace."""

REMOVER = """\
import json, os, sys
from contextlib import suppress
for name in json.load(sys.stdin):
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(name)
sys.stdout.write("removed")
"""
REMOVED = b"removed"
"""What it writes at its end. A file that cannot be removed ends it before."""
REMOVER_TIMEOUT_S = 10.0
