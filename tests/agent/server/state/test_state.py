"""One server at a time uses a state directory, and what it kept is there after it was killed."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.server.state.schema import STEPS
from agent.server.state.state import State, default_directory
from tests.agent.server.state.made import NOW, OWN, container, response

KILLED = """
import os, signal, sys
from pathlib import Path
from agent.server.state.state import State
from tests.agent.server.state.made import container, response
state = State(Path(sys.argv[1]), is_server=True)
state.containers.insert(container())
state.responses.insert(response("resp_1"))
state.responses.insert(response("resp_2", status="in_progress"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_server_kept_is_there(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "state"], check=False, cwd=Path(__file__).parents[4]
    )
    assert ended.returncode == -9
    with State(tmp_path / "state", is_server=True) as state:
        assert state.responses.get(OWN, "resp_1") == response("resp_1")
        assert state.containers.get(OWN, "cntr_1") == container()
        assert state.responses.fail_unfinished("The server was killed.") == 1


def test_two_servers_cannot_use_one_state(tmp_path: Path) -> None:
    with (
        State(tmp_path, is_server=True),
        pytest.raises(UsageError) as raised,
    ):
        State(tmp_path, is_server=True)
    assert str(raised.value) == (
        f"Another server uses the state directory {str(tmp_path)!r}: process {os.getpid()}. "
        "Try: --state DIR, with another one"
    )
    State(tmp_path, is_server=True).close()


def test_a_command_may_add_a_key_while_a_server_runs(tmp_path: Path) -> None:
    with State(tmp_path, is_server=True) as server:
        with State(tmp_path) as command:
            _, secret = command.keys.add("laptop", NOW)
        assert server.keys.find(secret)


def test_nobody_else_can_read_the_state(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.mkdir(mode=0o755)
    with State(place) as state:
        state.responses.insert(response())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    assert modes == {
        "files": 0o700,
        "runs": 0o700,
        "state.sqlite3": 0o600,
        "state.sqlite3-shm": 0o600,
        "state.sqlite3-wal": 0o600,
    }
    with State(tmp_path / "data" / "new"):
        assert stat.S_IMODE((tmp_path / "data" / "new").stat().st_mode) == 0o700


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.database.run("PRAGMA user_version=99")
    with pytest.raises(UsageError) as raised:
        State(tmp_path)
    place = str(tmp_path / "state.sqlite3")
    assert str(raised.value) == (
        f"{place!r} is of a newer Cellblock: its version is 99, and this one knows {len(STEPS)}. "
        "Try: pip install --upgrade cellblock"
    )


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_bytes(b"nonsense" * 1_000)
    with pytest.raises(UsageError, match=r"Cannot use '.*', the state of the server: file is not a database"):
        State(tmp_path)
    assert (tmp_path / "state.sqlite3").read_bytes() == b"nonsense" * 1_000


def test_a_folder_with_files_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with pytest.raises(UsageError, match="holds other files: the state of a server is not kept there"):
        State(tmp_path)
    assert os.listdir(tmp_path) == ["files"]  # noqa: PTH208


def test_a_place_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"Cannot use '.*' for the state of the server: Not a directory"):
        State(tmp_path / "file" / "deep" / "state")


@pytest.mark.parametrize(("name", "made"), [("lock", Path.mkdir), ("files", Path.touch), ("runs", Path.touch)])
def test_a_part_that_cannot_be_used_is_told(name: str, made: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").touch()
    made(tmp_path / name)
    with pytest.raises(UsageError, match=f"Cannot use {str(tmp_path)!r} for the state of the server: "):
        State(tmp_path, is_server=True)


def test_a_statement_that_fails_undoes_its_transaction(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.responses.insert(response())
        with pytest.raises(sqlite3.IntegrityError):
            state.responses.insert(response())
        state.responses.insert(response("resp_2"))
        assert [each.id for each in state.responses.listed(OWN).items] == ["resp_2", "resp_1"]


def test_a_checkpoint_empties_the_log_into_the_file(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.responses.insert(response(body={"output": [], "text": "needle" * 1_000}))
        assert b"needle" not in (tmp_path / "state.sqlite3").read_bytes()
        state.database.checkpoint()
        assert b"needle" in (tmp_path / "state.sqlite3").read_bytes()


def test_the_default_directory_is_that_of_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_directory({"XDG_DATA_HOME": "/data"}) == Path("/data/cellblock/serve")
    assert default_directory({}) == tmp_path / ".local/share/cellblock/serve"
