"""Every reader gets a few mutated runs; `make fuzz` makes ten thousand."""

from pathlib import Path

import pytest

from agent.record.reading import read
from tests.agent.record.fuzz.readers import READERS
from tests.agent.record.fuzz.running import fuzz, make_bases
from tests.golden.writing import SETTINGS

SEEDS = range(12)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Honest runs of every kind."""
    folder = tmp_path_factory.mktemp("bases")
    return make_bases(folder)


@pytest.mark.parametrize("reader", READERS)
def test_a_mutated_run_is_read_or_refused_in_one_line(
    reader: str, bases: list[Path], tmp_path: Path, clean_environ: pytest.MonkeyPatch
) -> None:
    clean_environ.setenv("CELLBLOCK_MODEL", "m")
    clean_environ.setenv("CELLBLOCK_BASE_URL", SETTINGS.base_url)
    tally = fuzz([reader], SEEDS, bases, tmp_path)[reader]
    assert tally.failures == []
    assert sum(tally.outcomes.values()) == len(SEEDS)


def test_an_honest_run_is_read(bases: list[Path]) -> None:
    assert all(read(base).events for base in bases)
