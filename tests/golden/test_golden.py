"""Golden runs: the bytes that the loop records and that each format exports. `make golden` writes them again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.export.formats import FORMATS, export_run
from agent.record import transcript
from agent.record.verification import verify
from tests.golden.scenarios import SCENARIOS
from tests.golden.writing import RUNS, SUFFIXES, record


def test_there_is_a_golden_run_for_each_scenario() -> None:
    assert sorted(run.name for run in RUNS.iterdir()) == sorted(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_code_records_the_golden_run(name: str, tmp_path: Path) -> None:
    await record(SCENARIOS[name], tmp_path / "run")
    recorded, golden = tmp_path / "run" / transcript.FILE_NAME, RUNS / name / transcript.FILE_NAME
    assert recorded.read_text() == golden.read_text(), "if this is meant: make golden"


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_golden_run_holds_what_it_records(name: str, tmp_path: Path) -> None:
    await record(SCENARIOS[name], tmp_path / "run")
    verdict = verify(tmp_path / "run")
    assert verdict.problems == []


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_golden_run_is_exported_to_the_golden_bytes(name: str, to: str) -> None:
    golden = (RUNS / name / f"export.{SUFFIXES[to]}").read_bytes()
    assert export_run(RUNS / name, to).encode() == golden, "if this is meant: make golden"


@pytest.mark.parametrize("to", FORMATS)
def test_neither_place_nor_locale_nor_time_zone_nor_hash_seed_are_in_an_export(to: str, tmp_path: Path) -> None:
    run = tmp_path / "elsewhere" / "run"
    run.mkdir(parents=True)
    (run / transcript.FILE_NAME).write_bytes((RUNS / "files" / transcript.FILE_NAME).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "agent", "export", "run", "--to", to],
        cwd=run.parent,
        env={
            **os.environ,
            "LC_ALL": "C",
            "TZ": "Asia/Tokyo",
            "PYTHONHASHSEED": "5",
            "HOME": "/nowhere",
            "PYTHONUTF8": "0",
        },
        capture_output=True,
        check=True,
    )
    assert done.stdout == (RUNS / "files" / f"export.{SUFFIXES[to]}").read_bytes()
    assert done.stderr == b""
