"""Looks at files on the host's Python, as the container would."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.profiler.main import told_of
from sandbox.profiles import FileProfile

Look = Callable[[str, bytes | str], FileProfile]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """What is found in the end of a file with this name and content."""

    def look(name: str, content: bytes | str) -> FileProfile:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [FileProfile.model_validate(told) for told in told_of(str(path))][-1]

    return look
