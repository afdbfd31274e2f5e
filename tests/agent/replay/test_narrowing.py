"""A record narrows the user's own settings, and widens them only with an option that grants it."""

from pathlib import Path

import pytest

from agent.cli.options import flag_of, policy_options
from agent.errors import UsageError
from agent.limits import Limits
from agent.record.transcript import Transcript, read
from agent.replay.narrowing import FORMER_USER, RULES, narrowed, narrowed_limits
from sandbox import Policy
from tests.golden.scenarios import SCENARIOS
from tests.golden.writing import started
from tests.samples import said

ID = "sha256:" + "ab" * 32
OWN = "cellblock/python:0123456789ab"
LARGER: dict[str, object] = {
    "memory_bytes": 1 << 50,
    "cpus": 4000.0,
    "pids": 1 << 22,
    "open_files": 1 << 20,
    "workspace_bytes": 1 << 50,
    "tmp_bytes": 1 << 50,
    "max_files": 1 << 30,
    "start_timeout_s": 1e9,
    "cell_timeout_s": 1e9,
    "session_timeout_s": 1e9,
    "interrupt_grace_s": 1e9,
    "restart_grace_s": 1e9,
    "stream_head_bytes": 16 << 20,
    "stream_tail_bytes": 16 << 20,
    "spool_bytes": 1 << 50,
    "rich_bytes": 64 << 20,
    "function_calls": 1 << 30,
    "function_calls_at_once": 1024,
    **dict.fromkeys(("function_arguments_bytes", "function_result_bytes"), 16 << 20),
}
SMALLER: dict[str, object] = {
    "memory_bytes": 128 << 20,
    "cpus": 0.5,
    "pids": 16,
    "open_files": 64,
    "workspace_bytes": 1 << 20,
    "tmp_bytes": 1 << 20,
    "max_files": 64,
    **dict.fromkeys(("start_timeout_s", "cell_timeout_s", "session_timeout_s"), 0.5),
    **dict.fromkeys(("interrupt_grace_s", "restart_grace_s"), 0.5),
    **dict.fromkeys(("stream_head_bytes", "stream_tail_bytes", "spool_bytes", "rich_bytes"), 1),
    **dict.fromkeys(("function_calls", "function_calls_at_once"), 1),
    **dict.fromkeys(("function_arguments_bytes", "function_result_bytes"), 1024),
}
FLAGS = {option.field: option.flag for option in policy_options()}


def recorded(tmp_path: Path, policy: dict[str, object] | None = None, *, tag: str = OWN) -> Path:
    """A run with this policy."""
    first = started(SCENARIOS["plain"])
    environment = first.environment.model_copy(update={"policy": Policy.model_validate(policy or {}), "image": tag})
    with Transcript(tmp_path / "run") as transcript:
        transcript.append(said(first.model_copy(update={"environment": environment})))
    return tmp_path / "run"


LOCK = "humanize==4.17.0 --hash=sha256:" + "cd" * 32


def with_packages(tmp_path: Path, packages: list[str], lock: list[str]) -> Path:
    """A run that had added packages."""
    first = started(SCENARIOS["plain"])
    added = {"policy": Policy(packages=tuple(packages)), "image": OWN, "locked": lock}
    with Transcript(tmp_path / "run") as transcript:
        environment = first.environment.model_copy(update=added)
        transcript.append(said(first.model_copy(update={"environment": environment})))
    return tmp_path / "run"


@pytest.mark.parametrize("own", [(), ("humanize==4.*",), ("polars",)])
def test_packages_of_a_record_are_not_added_without_your_word(own: tuple[str, ...], tmp_path: Path) -> None:
    run = with_packages(tmp_path, ["humanize", "polars==1.*"], [LOCK])
    with pytest.raises(UsageError) as caught:
        narrowed(read(run), Policy(packages=own))
    assert str(caught.value) == (
        f"The run {str(run)!r} had added packages: 'humanize', 'polars==1.*'. "
        "Try: the same command with --with humanize --with 'polars==1.*', if you allow them"
    )


def test_allowed_packages_are_those_of_the_lock_or_chosen_anew(tmp_path: Path) -> None:
    recorded_run = read(with_packages(tmp_path, ["humanize"], [LOCK]))
    own = Policy(packages=("Humanize", "polars"))
    assert narrowed(recorded_run, own).policy == Policy(image=OWN, packages=(LOCK,))
    assert narrowed(recorded_run, own, update_image=True).policy == Policy(packages=("humanize",))
    assert narrowed(recorded_run, Policy(packages=(LOCK,))).policy.packages == (LOCK,)


def test_your_packages_are_not_added_to_a_run_that_had_none(tmp_path: Path) -> None:
    assert narrowed(read(recorded(tmp_path)), Policy(packages=("polars",))).policy == Policy(image=OWN)
    assert narrowed(read(with_packages(tmp_path / "lock", [], [LOCK])), Policy()).policy.packages == ()


def test_every_field_of_a_policy_has_a_rule() -> None:
    assert RULES.keys() == Policy.model_fields.keys()
    assert LARGER.keys() == SMALLER.keys() == {name for name, rule in RULES.items() if rule == "least"}


def test_an_honest_record_is_used_without_notes(tmp_path: Path) -> None:
    found = narrowed(read(recorded(tmp_path)), Policy())
    assert found.notes == []
    assert found.policy == Policy(image=OWN)


@pytest.mark.parametrize("name", LARGER)
def test_a_limit_above_yours_is_not_used_and_a_note_names_its_option(name: str, tmp_path: Path) -> None:
    found = narrowed(read(recorded(tmp_path, {name: LARGER[name]})), Policy())
    mine = getattr(Policy(), name)
    assert getattr(found.policy, name) == mine
    assert found.notes == [
        f"The record asks for {name} {LARGER[name]}; {mine} is used ({FLAGS[name]} {LARGER[name]} grants it)."
    ]
    granted = narrowed(read(tmp_path / "run"), Policy.model_validate({name: LARGER[name]}))
    assert (getattr(granted.policy, name), granted.notes) == (LARGER[name], [])


@pytest.mark.parametrize("name", SMALLER)
def test_a_limit_below_yours_is_used(name: str, tmp_path: Path) -> None:
    found = narrowed(read(recorded(tmp_path, {name: SMALLER[name]})), Policy())
    assert (getattr(found.policy, name), found.notes) == (SMALLER[name], [])


@pytest.mark.parametrize(("name", "wish"), [("user", "0:0"), ("user", "33:33"), ("runtime", "runc")])
def test_a_user_and_a_runtime_are_used_only_if_you_name_the_same(name: str, wish: str, tmp_path: Path) -> None:
    run = read(recorded(tmp_path, {name: wish}))
    refused = narrowed(run, Policy())
    assert getattr(refused.policy, name) is None
    assert refused.notes == [f"The record asks for {name} {wish}; none is used ({FLAGS[name]} {wish} grants it)."]
    assert getattr(narrowed(run, Policy.model_validate({name: wish})).policy, name) == wish


def test_your_own_runtime_is_used_if_the_record_names_none(tmp_path: Path) -> None:
    assert narrowed(read(recorded(tmp_path)), Policy(runtime="runsc")).policy.runtime == "runsc"


def test_the_former_default_user_is_not_a_request(tmp_path: Path) -> None:
    found = narrowed(read(recorded(tmp_path, {"user": FORMER_USER})), Policy())
    assert (found.policy.user, found.notes) == (None, [])


@pytest.mark.parametrize(
    ("values", "flag"), [({"network": "bridge"}, "--network bridge"), ({"image": "mine:1"}, "--image mine:1")]
)
def test_a_network_and_a_foreign_image_are_refused_until_you_name_them(
    values: dict[str, object], flag: str, tmp_path: Path
) -> None:
    run = read(recorded(tmp_path, values))
    with pytest.raises(UsageError) as caught:
        narrowed(run, Policy())
    assert flag in caught.value.for_shell
    assert "\n" not in caught.value.for_shell
    own = Policy.model_validate(values)
    [name] = values
    assert getattr(narrowed(run, own).policy, name) == values[name]


def test_an_image_that_you_name_replaces_cellblocks_own(tmp_path: Path) -> None:
    run = read(recorded(tmp_path))
    assert narrowed(run, Policy(image="mine:1")).policy.image == "mine:1"
    assert narrowed(run, Policy(image="mine:1"), update_image=True).policy.image == "mine:1"
    assert narrowed(run, Policy(), update_image=True).policy.image is None


def test_an_image_that_only_claims_to_be_ours_is_not_started(tmp_path: Path) -> None:
    for image in ("private/ci:latest", ID, "cellblock/python:latest", "cellblock/python:0123456789ab@evil"):
        folder = tmp_path / str(len(image))
        folder.mkdir()
        assert narrowed(read(recorded(folder, tag=image)), Policy()).policy.image is None


def test_limits_are_the_smaller_ones_except_those_that_you_set() -> None:
    wished = Limits(max_turns=10**6, max_seconds=5, max_calls=None, max_consecutive_failures=2)
    limits, notes = narrowed_limits(wished, Limits(max_tokens=7))
    assert limits == Limits(max_turns=12, max_seconds=5, max_calls=100, max_consecutive_failures=2, max_tokens=7)
    assert notes == [
        "The record asks for max_calls none; 100 is used (--max-calls none grants it).",
        "The record asks for max_turns 1000000; 12 is used (--max-turns 1000000 grants it).",
    ]
    assert narrowed_limits(wished, Limits(max_turns=10**6, max_calls=None))[0].max_turns == 10**6


def test_notes_name_the_options_of_the_command_line() -> None:
    for name in Limits.model_fields:
        _, notes = narrowed_limits(Limits.model_validate({name: 10**9}), Limits())
        assert all(flag_of(name) in note for note in notes if f" {name} " in note)
