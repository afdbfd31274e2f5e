"""The state of a server in a folder of its own, with ids that the tests know."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.server.state.state import State
from tests.agent.server.counting import counting


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state", make_id=counting(), max_file_bytes=1_000, max_files_bytes=2_500) as opened:
        yield opened
