"""What the doctor says of this machine's own memory and disk."""

import pytest

from agent import Endpoint, LocalModel, doctor
from agent.doctor import _disk, _memory
from agent.local import MODELS
from agent.options import read_policy
from sandbox import Policy

REMOTE = Endpoint(base_url="http://h/v1", model="m")


@pytest.mark.parametrize(
    ("model", "mend"),
    [
        (REMOTE, "cellblock run --memory 512MiB TASK"),
        (LocalModel(), "cellblock run --memory 512MiB --model qwen2.5-coder-0.5b TASK"),
    ],
)
def test_too_little_memory_is_mended_by_a_command_that_takes_less(
    model: Endpoint | LocalModel, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "available_memory_bytes", lambda: 1 << 30)
    check = _memory(model, Policy())
    assert (check.level, check.mend) == ("FAIL", mend)
    words = mend.split()
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
