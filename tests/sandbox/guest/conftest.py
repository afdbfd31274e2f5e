"""Folders in place of those in the container."""

from pathlib import Path

import pytest

from sandbox.guest import spool as spool_module
from sandbox.guest import workspace as workspace_module


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "spools"
    monkeypatch.setattr(spool_module, "SPOOL_DIR", str(folder))
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(workspace_module, "WORKSPACE", str(tmp_path))
    return tmp_path
