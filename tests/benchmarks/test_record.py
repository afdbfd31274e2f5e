"""The benchmark of the record writes a run that can be read."""

from pathlib import Path

from agent.record.verification import verify
from benchmarks.record import measure


def test_the_measured_run_can_be_read(tmp_path: Path) -> None:
    assert measure(tmp_path, 20).turn_bytes > 0
    assert [problem for problem in verify(tmp_path / "run").problems if "request_sha256" not in problem] == []
