"""The limits that a cell reads inside a sandbox are compared with its policy."""

import json
from typing import Any

import pytest

from sandbox import Check, Execution, Policy, StreamOutput, check_sandbox
from sandbox.checks import judge
from sandbox.policy import MAPPED_IDS, OWN_IDS
from tests.sandbox.fakes import QUICK, FakeLauncher, done, stream

POLICY = Policy(memory_bytes=256 << 20, pids=64)
GOOD = {"memory": str(256 << 20), "pids": "64", "routes": [], "user": f"{OWN_IDS[0]}:{OWN_IDS[0]}"}
SEEN = "took 1 s; inside are 256 MiB of memory, 64 processes, no network, user 2013265920:2013265920"


def look(text: str, policy: Policy = POLICY) -> Check:
    return judge(Execution(status="ok", outputs=[StreamOutput(name="stdout", text=text)]), policy, "took 1 s")


def test_limits_that_hold_are_reported_as_ok() -> None:
    assert look(json.dumps(GOOD)) == Check("sandbox", "ok", SEEN)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "memory without a limit": ({"memory": "max"}, "memory is limited to max and not to 268435456"),
    "memory over the limit": ({"memory": "9223372036854771712"}, "memory is limited to 9223372036854771712 and"),
    "processes without a limit": ({"pids": "max"}, "processes are limited to max and not to 64"),
    "a way out": ({"routes": ["eth0"]}, "routes lead to eth0"),
    "root": ({"user": "0:0"}, "the user is 0:0 and not one for sandboxes"),
    "a user of the image": ({"user": "1000:1000"}, "the user is 1000:1000 and not one for sandboxes"),
    "a group of another": (
        {"user": f"{OWN_IDS[0]}:{OWN_IDS[1]}"},
        "the user is 2013265920:2013265921 and not one for sandboxes",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_limit_that_does_not_hold_fails(case: str) -> None:
    change, words = BROKEN[case]
    check = look(json.dumps(GOOD | change))
    assert (check.level, check.hint) == ("FAIL", "docker info, to see what the engine enforces")
    assert check.detail.startswith(f"inside, {words}")


@pytest.mark.parametrize("user", [MAPPED_IDS[0], MAPPED_IDS[-1], OWN_IDS[-1]])
def test_a_sandbox_must_have_its_own_user(user: int) -> None:
    assert look(json.dumps(GOOD | {"user": f"{user}:{user}"})).level == "ok"


def test_a_named_user_is_the_only_one_accepted() -> None:
    named = POLICY.model_copy(update={"user": "1000:1000"})
    assert look(json.dumps(GOOD | {"user": "1000:1000"}), named).level == "ok"
    assert look(json.dumps(GOOD), named).detail.endswith("and not 1000:1000")


def test_routes_are_expected_if_the_policy_names_a_network() -> None:
    check = look(json.dumps(GOOD | {"routes": ["eth0"]}), POLICY.model_copy(update={"network": "bridge"}))
    assert check.level == "ok"
    assert "network bridge" in check.detail


def test_a_limit_that_cannot_be_read_is_a_warning() -> None:
    check = look(json.dumps(GOOD | {"memory": None}))
    assert (check.level, check.detail) == ("warn", f"{SEEN}; the runtime does not show all of these limits")


@pytest.mark.parametrize("text", ["", "Traceback\nImportError: no json", "[]", '{"memory": 1}'])
def test_a_sandbox_with_an_unknown_answer_fails(text: str) -> None:
    check = look(text)
    assert check.level == "FAIL"
    assert check.detail.startswith("a cell ended with 'ok' and printed ")


async def test_the_time_to_the_first_result_is_reported() -> None:
    answer = stream(1, json.dumps(GOOD).encode()) + done(1)
    policy = QUICK.model_copy(update={"memory_bytes": 256 << 20, "pids": 64})
    check = await check_sandbox(FakeLauncher({"execute": answer}), policy)
    assert check.level == "ok"
    assert check.detail.startswith("the first result came after 0.")


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        (None, "cellblock doctor --start-timeout 300"),
        ("mine:1", "docker run --rm --entrypoint python3 mine:1 -c 'import ipykernel, jupyter_client'"),
    ],
)
async def test_a_sandbox_that_does_not_start_says_what_to_try(image: str | None, hint: str) -> None:
    check = await check_sandbox(FakeLauncher({"start": None}), QUICK.model_copy(update={"image": image}))
    assert (check.level, check.hint) == ("FAIL", hint)
    assert check.detail.startswith("No kernel came up")
