"""Reads tasks from a file that another program has written."""

from pathlib import Path

import pytest

from agent import BatchTask, UsageError
from agent.batch.input import read_tasks


def read(folder: Path, name: str, data: bytes | str) -> list[BatchTask]:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_tasks(str(path))


def complaint(folder: Path, name: str, data: bytes | str) -> str:
    with pytest.raises(UsageError) as caught:
        read(folder, name, data)
    return str(caught.value).replace(str(folder / name), name)
