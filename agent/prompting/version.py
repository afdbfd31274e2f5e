"""Which prompts a run is made with."""

import hashlib
from importlib.resources import files as package_files

SOURCES = ("fenced.md", "native.md", "words.py")


def prompts_sha256() -> str:
    """The hash of all fixed texts that a model reads from Cellblock."""
    folder = package_files("agent.prompting")
    return hashlib.sha256(b"\0".join(folder.joinpath(name).read_bytes() for name in SOURCES)).hexdigest()
