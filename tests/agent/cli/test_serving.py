"""Keys are made, listed and revoked from the command line, and shown once."""

import re
from pathlib import Path

import pytest

from agent.cli.main import command_line
from agent.server.state.state import State

pytestmark = pytest.mark.usefixtures("clean_environ")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the state is."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "cellblock" / "serve"


def test_a_key_is_printed_once_and_opens(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--sessions", "2", "--requests-per-minute", "30", "--tokens-per-day", "1000"]
    assert command_line(["serve", "key", "add", "laptop", *limits]) == 0
    out, err = capsys.readouterr()
    secret = out.removesuffix("\n")
    assert re.fullmatch(r"cb-[\w-]{43}", secret)
    assert secret not in err
    assert "It is shown this once." in err
    with State(place) as state:
        key = state.keys.find(secret)
    assert key is not None
    assert (key.name, key.max_sessions, key.requests_per_minute, key.tokens_per_day) == ("laptop", 2, 30, 1000)


def test_keys_are_listed_without_what_opens(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command_line(["serve", "key", "add", "laptop", "--sessions", "2", "--tokens-per-day", "1000"])
    command_line(["serve", "key", "add", "phone"])
    secrets = capsys.readouterr().out.split()
    assert command_line(["serve", "key", "ls"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"laptop +\d{4}-\d\d-\d\d  2 sessions, 1000 tokens a day  0 tokens today", first)
    assert re.fullmatch(r"phone +\d{4}-\d\d-\d\d  no limits  0 tokens today", second)
    assert not [secret for secret in secrets if secret in first + second]


def test_a_revoked_key_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = ["--state", str(tmp_path / "state")]
    command_line(["serve", "key", "add", "laptop", *state])
    secret = capsys.readouterr().out.strip()
    assert command_line(["serve", "key", "rm", "laptop", *state]) == 0
    assert capsys.readouterr().out == "laptop\n"
    with State(tmp_path / "state") as opened:
        assert opened.keys.find(secret) is None
    assert command_line(["serve", "key", "rm", "laptop", *state]) == 2
    assert capsys.readouterr().err == "cellblock: There is no key 'laptop'. Try: cellblock serve key ls\n"


@pytest.mark.parametrize("option", ["--sessions", "--requests-per-minute", "--tokens-per-day"])
def test_a_limit_is_at_least_one(option: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["serve", "key", "add", "laptop", option, "0"]) == 2
    assert option in capsys.readouterr().err
    assert not place.exists()
