"""The shared options make policies and model options, and each bad value is one line that names its option."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Sampling, UsageError
from agent.cli.options import (
    MODEL_OPTIONS,
    ModelOptions,
    policy_options,
    read_model_options,
    read_policy,
    with_model,
    with_policy,
)
from sandbox import Policy


def test_every_field_of_the_policy_has_an_option_with_a_help_text() -> None:
    options = policy_options()
    assert [option.field for option in options] == list(Policy.model_fields)
    assert len({option.flag for option in options}) == len(options)
    assert all(option.help for option in options)


def test_an_option_is_named_like_its_field_without_the_unit() -> None:
    flags = {option.field: (option.flag, option.metavar, option.default) for option in policy_options()}
    assert flags["memory_bytes"] == ("--memory", "SIZE", "2 GiB")
    assert flags["cell_timeout_s"] == ("--cell-timeout", "SECONDS", "60 s")
    assert flags["max_files"] == ("--max-files", "NUMBER", "65536")
    assert flags["environment"] == ("--env", "NAME=VALUE", "")
    assert flags["runtime"] == ("--runtime", "RUNTIME", "")


def test_without_options_the_policy_is_the_default() -> None:
    assert read_policy(dict.fromkeys(Policy.model_fields)) == Policy()


def test_given_options_make_the_policy() -> None:
    given = {
        "memory_bytes": "512m",
        "cpus": "0.5",
        "pids": "64",
        "environment": ["A=b=c", "EMPTY="],
        "runtime": "runsc",
    }
    assert read_policy(given) == Policy(
        memory_bytes=512 << 20, cpus=0.5, pids=64, environment={"A": "b=c", "EMPTY": ""}, runtime="runsc"
    )


def test_a_command_is_called_with_the_policy_and_has_its_options() -> None:
    seen: dict[str, Any] = {}

    @with_policy
    def command(task: str, *, policy: Policy) -> None:
        seen.update(task=task, policy=policy)

    assert list(inspect.signature(command).parameters) == ["task", *Policy.model_fields]
    command(task="x", **(dict.fromkeys(Policy.model_fields) | {"tmp_bytes": "1g"}))
    assert seen == {"task": "x", "policy": Policy(tmp_bytes=1 << 30)}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no size": ({"memory_bytes": "12x"},
        "--memory cannot be '12x': a size is a number of bytes, or one with a unit, like 512MiB or 2g."),
    "a size too small": ({"memory_bytes": "12m"}, "--memory cannot be '12m': it must be at least 128 MiB."),
    "a size too large": ({"rich_bytes": "1g"}, "--rich-output cannot be '1g': it must be at most 64 MiB."),
    "no time": ({"cell_timeout_s": "0"}, "--cell-timeout cannot be '0': it must be more than 0 s."),
    "a seed too large": ({"seed": "4294967296"}, "--seed cannot be '4294967296': it must be at most 4294967295."),
    "no number": ({"pids": "many"},
        "--pids cannot be 'many': input should be a valid integer, unable to parse string as an integer. "
        "Try: --pids NUMBER"),
    "the host's network": ({"network": "host"},
        "--network cannot be 'host': a sandbox shares no network namespace with the host or a container."),
    "a variable of the host": ({"environment": ["HOME"]},
        "--env cannot be 'HOME': nothing is taken from the host. Try: --env HOME=VALUE"),
    "no variable": ({"environment": ["A-B=c"]},
        "--env cannot be 'A-B': the name of a variable is letters, digits and _."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_value_is_one_error_line_with_option_value_and_reason(case: str) -> None:
    given, line = REFUSED[case]
    with pytest.raises(UsageError) as caught:
        read_policy(given)
    assert (str(caught.value), caught.value.exit_code) == (line, 2)


@given(st.sampled_from([name for name in Policy.model_fields if name != "environment"]), st.text(max_size=300))
def test_any_text_for_an_option_is_a_policy_or_one_short_error_line(field: str, text: str) -> None:
    said = ""
    try:
        read_policy({field: text})
    except UsageError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 250


def test_every_field_of_the_sampling_is_an_option() -> None:
    assert set(Sampling.model_fields) <= {*MODEL_OPTIONS, *Policy.model_fields}


def test_without_options_the_model_options_are_empty() -> None:
    nothing = ModelOptions(
        model=None,
        base_url=None,
        provider=None,
        sampling=Sampling(),
        prices=None,
        review="default",
        require_support=False,
    )
    assert read_model_options(dict.fromkeys(MODEL_OPTIONS)) == nothing


def test_a_command_is_called_with_model_options_and_policy() -> None:
    seen: dict[str, Any] = {}

    @with_policy
    @with_model
    def command(task: str, *, asked: ModelOptions, policy: Policy) -> None:
        seen.update(task=task, asked=asked, policy=policy)

    assert list(inspect.signature(command).parameters) == ["task", *MODEL_OPTIONS, *Policy.model_fields]
    given = {
        "model": "m",
        "top_p": 0.5,
        "thinking": False,
        "prices": Path("p.toml"),
        "review": "failed,cut",
        "pids": "64",
    }
    command(task="x", **(dict.fromkeys([*MODEL_OPTIONS, *Policy.model_fields]) | given))
    assert seen == {
        "task": "x",
        "policy": Policy(pids=64),
        "asked": ModelOptions(
            model="m",
            base_url=None,
            provider=None,
            sampling=Sampling(top_p=0.5, thinking=False),
            prices=Path("p.toml"),
            review="failed,cut",
            require_support=False,
        ),
    }


BAD_MODEL_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "too hot": ({"temperature": 3.0}, "--temperature cannot be 3.0: it must be at most 2."),
    "no share": ({"top_p": 0.0}, "--top-p cannot be 0.0: it must be more than 0."),
    "no answer": ({"max_output_tokens": 0}, "--max-output-tokens cannot be 0: it must be at least 1."),
    "no thought": ({"thinking_budget": 0}, "--thinking-budget cannot be 0: it must be at least 1."),
}


@pytest.mark.parametrize("case", BAD_MODEL_OPTIONS)
def test_a_bad_value_of_a_model_option_is_one_error_line(case: str) -> None:
    given, line = BAD_MODEL_OPTIONS[case]
    with pytest.raises(UsageError) as caught:
        read_model_options(dict.fromkeys(MODEL_OPTIONS) | given)
    assert str(caught.value) == line
