"""Identifies the Cellblock that made a record by its source, whatever version number it states."""

import hashlib
from pathlib import Path

PACKAGES = ("agent", "sandbox")


def source_sha256() -> str:
    """Hash the names and contents of Cellblock's own source files."""
    root = Path(__file__).parents[2]
    files = [
        path for package in PACKAGES for path in (root / package).rglob("*") if path.suffix in (".py", ".md", ".toml")
    ]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(
            f"{path.relative_to(root).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return digest.hexdigest()
