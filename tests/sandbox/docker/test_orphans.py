"""Containers without an owner are found, and no others."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, cast

import docker
import pytest

from sandbox import EngineError
from sandbox.docker import find_orphans
from sandbox.docker.orphans import LABEL, OWNER, START_LIMIT, UNKNOWN_START_LIMIT_S, dead_owner_pid, own_label
from tests.sandbox.docker.hidden import STRANGER, as_stranger, missing_for_hidden_proc

PRINT_LABEL = "from sandbox.docker.orphans import own_label; print(own_label())"
NOW_S = 1_000_000_000
"""By the engine's clock, which is decades behind."""


def label_of_another() -> str:
    return subprocess.run(
        [sys.executable, "-c", PRINT_LABEL], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_living_owner_is_not_gone() -> None:
    assert dead_owner_pid(own_label()) is None


def test_a_dead_owner_is_gone() -> None:
    label = label_of_another()
    assert dead_owner_pid(label) == int(label.split("/")[-2])


def test_a_label_without_a_uid_is_valid_too() -> None:
    label = label_of_another()
    assert dead_owner_pid(label.partition("@")[2]) == int(label.split("/")[-2])
    assert dead_owner_pid(own_label().partition("@")[2]) is None


def test_a_process_that_took_over_the_number_is_not_the_owner() -> None:
    machine, pid, ticks = own_label().rsplit("/", 2)
    assert int(pid) == os.getpid()
    assert dead_owner_pid(f"{machine}/{pid}/{int(ticks) - 1}") == os.getpid()


@pytest.mark.parametrize(
    "owner", ["", "elsewhere/1/1", "0@elsewhere/1/1", f"{'9' * 5000}@x/1/1", "x/" + "9" * 10 + "/1"]
)
def test_an_owner_on_another_machine_is_left_alone(owner: str) -> None:
    assert dead_owner_pid(owner) is None


class Answer:
    def __init__(self, found: list[dict[str, Any]], date: str | None) -> None:
        self.found = found
        self.headers = {} if date is None else {"Date": date}


class Api:
    """An engine that lists one container and sends its time as engines do."""

    base_url, api_version = "http://engine", "1.41"

    def __init__(self, container: dict[str, Any], date: str | None) -> None:
        self._container, self._date = container, date

    def get(self, url: str, *, params: dict[str, str]) -> Answer:
        assert (url, json.loads(params["filters"])) == ("http://engine/v1.41/containers/json", {"label": [LABEL]})
        return Answer([self._container], self._date)

    def _result(self, answer: Answer, _: bool) -> list[dict[str, Any]]:
        return answer.found


class Client:
    def __init__(self, api: Any) -> None:
        self.api = api


ENGINE_DATE = format_datetime(datetime.fromtimestamp(NOW_S, UTC), usegmt=True)


def is_orphan(age_s: float, *, state: str = "created", date: str | None = ENGINE_DATE, **labels: str) -> bool:
    container = {
        "Id": "1",
        "Image": "i",
        "State": state,
        "Created": int(NOW_S - age_s),
        "Labels": {LABEL: "1", **labels},
    }
    return bool(find_orphans(cast(docker.DockerClient, Client(Api(container, date)))))


LIMITS = {"30.0": 30, "0.5": 0.5, "1e3": 1000, "": 600, "soon": 600, "nan": 600, "inf": 600, "-1": 600}


@pytest.mark.parametrize("label", LIMITS)
def test_a_container_not_started_within_its_limit_is_an_orphan_by_the_engines_clock(label: str) -> None:
    living = {OWNER: own_label(), START_LIMIT: label}
    assert not is_orphan(LIMITS[label], **living)
    assert is_orphan(LIMITS[label] + 5, **living)


def test_a_container_without_a_start_limit_gets_a_long_one() -> None:
    assert not is_orphan(UNKNOWN_START_LIMIT_S)
    assert is_orphan(UNKNOWN_START_LIMIT_S + 5)


@pytest.mark.parametrize("state", ["running", "paused", "exited", "restarting", "removing"])
def test_a_started_container_is_no_orphan_while_its_owner_may_live(state: str) -> None:
    assert not is_orphan(1e6, state=state, **{OWNER: "elsewhere/1/1", START_LIMIT: "1"})
    assert is_orphan(0, state=state, **{OWNER: label_of_another()})


def test_a_created_container_of_a_dead_owner_is_an_orphan_at_once() -> None:
    assert is_orphan(0, **{OWNER: label_of_another(), START_LIMIT: "60"})


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_without_the_engines_time_no_container_is_overdue(date: str | None) -> None:
    assert not is_orphan(1e6, date=date, **{START_LIMIT: "1"})


def test_a_refusal_of_the_engine_is_raised() -> None:
    class Refusing(Api):
        def _result(self, answer: Answer, _: bool) -> list[dict[str, Any]]:
            raise docker.errors.APIError("500 Server Error", explanation="scripted")

    with pytest.raises(EngineError, match="could not list its containers: scripted"):
        find_orphans(cast(docker.DockerClient, Client(Refusing({}, None))))


ASK = (
    "import sys; from sandbox.docker.orphans import dead_owner_pid; "
    "print([dead_owner_pid(label) for label in sys.argv[1:]])"
)


@pytest.mark.skipif(missing_for_hidden_proc(), reason="needs root, unshare and setpriv")
@pytest.mark.parametrize("hidepid", [1, 2, 4])
def test_an_owner_that_proc_hides_is_not_gone(hidepid: int) -> None:
    place, pid, _ = own_label().rsplit("/", 2)
    machine = place.partition("@")[2]
    dead = label_of_another()
    labels = {
        own_label(): None,
        own_label().partition("@")[2]: None,
        f"1@{machine}/{pid}/1": None,
        f"{STRANGER}@{machine}/{pid}/1": int(pid),  # it was ours, and its number is another user's now
        dead: int(dead.split("/")[-2]),
    }
    ask = as_stranger([sys.executable, "-c", ASK, *labels], hidepid=hidepid)
    assert ask.returncode == 0, ask.stderr
    assert json.loads(ask.stdout.replace("None", "null")) == list(labels.values())
