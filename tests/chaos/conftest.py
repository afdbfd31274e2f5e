"""Fixtures of the chaos tests. Chance has a printed seed: CELLBLOCK_CHAOS_SEED runs it again."""

import os
import random
import sys
from collections.abc import Iterator

import pytest

from tests.chaos.harness import PrivateEngine, own_containers, private_engine, wait_for


@pytest.fixture
def dice() -> random.Random:
    """Chance, with a seed that a failing test prints."""
    seed = int(os.environ.get("CELLBLOCK_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    sys.stdout.write(f"CELLBLOCK_CHAOS_SEED={seed}\n")
    return random.Random(seed)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """This process owns no container when the test ends."""
    yield
    wait_for(lambda: not own_containers(), "the removal of every container")


@pytest.fixture(scope="session")
def stored_engine() -> Iterator[PrivateEngine]:
    """The private engine of all tests; loading the image into it takes seconds."""
    with private_engine() as engine:
        yield engine


@pytest.fixture
def engine(stored_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateEngine]:
    """A private engine that runs, is where DOCKER_HOST points, and has no container, before the test and after."""
    monkeypatch.setenv("DOCKER_HOST", stored_engine.host)
    stored_engine.start()
    yield stored_engine
    stored_engine.start()
    try:
        wait_for(lambda: not stored_engine.containers(), "the removal of every container")
    finally:
        stored_engine.clear()
        stored_engine.sweep()
