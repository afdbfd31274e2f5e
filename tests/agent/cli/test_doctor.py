"""The doctor's checks of memory, disk and model."""

import pytest

from agent import Endpoint, LocalModel, Sampling
from agent.cli import doctor
from agent.cli.doctor import _disk, _memory, _model, check_all
from agent.cli.options import read_policy
from agent.local import MODELS
from sandbox import Policy
from tests.agent.endpoint.raw import raw_endpoint

REMOTE = Endpoint(base_url="http://h/v1", model="m")


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        (REMOTE, "cellblock run --memory 512MiB TASK"),
        (LocalModel(), "cellblock run --memory 512MiB --model qwen2.5-coder-0.5b TASK"),
    ],
)
def test_the_hint_for_too_little_memory_is_a_command_that_takes_less(
    model: Endpoint | LocalModel, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "available_memory_bytes", lambda: 1 << 30)
    check = _memory(model, Policy())
    assert (check.level, check.hint) == ("FAIL", hint)
    words = hint.split()
    assert _memory(REMOTE, read_policy({"memory_bytes": words[words.index("--memory") + 1]})).level == "ok"
    assert "--model" not in words or words[words.index("--model") + 1] in MODELS


def test_the_memory_of_a_built_in_model_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_memory_bytes", lambda: 3 << 30)
    assert _memory(REMOTE, Policy()).level == "ok"
    assert _memory(LocalModel(), Policy()).level == "FAIL"


def test_a_full_disk_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _disk().level == "ok"
    monkeypatch.setattr(doctor, "MIN_DISK_BYTES", 1 << 62)
    assert _disk().level == "FAIL"


async def test_a_model_that_the_endpoint_does_not_list_is_pointed_out() -> None:
    listed = b'{"data": [{"id": "qwen3-coder-plus"}, {"id": "qwen3-max"}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    async with raw_endpoint([head + listed]) as endpoint:
        check = await _model(Endpoint(base_url=endpoint.base_url, model="qwen3-codr"), Sampling())
    assert (check.level, check.hint) == ("warn", "cellblock run --model qwen3-coder-plus TASK")
    assert check.detail == (
        f"qwen3-codr at {endpoint.base_url}, provider generic, which lists only: qwen3-coder-plus, qwen3-max"
    )


async def test_the_doctor_does_not_send_to_the_doctor(clean_environ: pytest.MonkeyPatch) -> None:
    clean_environ.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    model = Endpoint(base_url="http://127.0.0.1:9/v1", model="m")
    checks = await check_all(model, Policy(), Sampling())
    assert "cellblock doctor" not in [check.hint for check in checks]
    (found,) = [check.hint for check in checks if check.name == "model"]
    assert found == "start that server, or name the right one with --base-url URL or CELLBLOCK_BASE_URL"
