"""How a limit is counted, and how the command line sets one."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from agent import Budget, Endpoint, Sampling, UsageError
from agent.cli.limit_options import read_limits
from agent.limits import LimitName, Limits, Meter
from agent.messages import Cost, Usage
from sandbox import SettingsError

OFF = Limits(max_turns=None, max_calls=None, max_consecutive_failures=None)


def spent(limits: Limits, *, turns: int = 1, tokens: int = 10, calls: int = 0, failures: int = 0) -> LimitName | None:
    meter = Meter(limits)
    for _ in range(turns):
        meter.count_turn(Usage(input_tokens=tokens), Cost(amount=Decimal(tokens) / 100, currency="USD"))
    for _ in range(calls):
        meter.count_call()
    for _ in range(failures):
        meter.count_attempt(failed=True)
    return meter.reached()


def test_without_limits_nothing_is_reached() -> None:
    assert spent(OFF, turns=1000, calls=1000, failures=1000) is None


@pytest.mark.parametrize(
    ("limits", "below", "at"),
    [
        (Limits(max_turns=3), {"turns": 2}, {"turns": 3}),
        (Limits(max_calls=2), {"calls": 1}, {"calls": 2}),
        (Limits(max_tokens=30), {"tokens": 29}, {"tokens": 30}),
        (Limits(max_cost=0.5), {"tokens": 49}, {"tokens": 50}),
        (Limits(max_consecutive_failures=2), {"failures": 1}, {"failures": 2}),
    ],
    ids=["turns", "calls", "tokens", "cost", "failures"],
)
def test_a_limit_is_reached_when_that_much_is_used(limits: Limits, below: dict[str, int], at: dict[str, int]) -> None:
    assert spent(limits, **below) is None
    assert spent(limits, **at) is not None


def test_a_success_ends_the_row_of_failures() -> None:
    meter = Meter(Limits(max_consecutive_failures=2))
    for failed in (True, False, True):
        meter.count_attempt(failed=failed)
    assert meter.reached() is None


def test_an_unknown_cost_reaches_no_limit() -> None:
    meter = Meter(Limits(max_cost=1))
    meter.count_turn(Usage(), Cost(amount=Decimal(10), currency="USD"))
    meter.count_turn(Usage(), None)
    assert (meter.reached(), meter.cost) == (None, None)


def test_the_options_are_the_fields() -> None:
    texts = {
        "max_turns": "none",
        "max_calls": "7",
        "max_tokens": "500",
        "max_cost": "0.25",
        "max_seconds": "1.5",
        "max_consecutive_failures": "2",
    }
    limits = Limits(
        max_turns=None, max_calls=7, max_tokens=500, max_cost=0.25, max_seconds=1.5, max_consecutive_failures=2
    )
    assert read_limits(texts) == limits
    assert read_limits(dict.fromkeys(texts)) == Limits()


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("max_turns", "0", "--max-turns cannot be '0': it must be at least 1."),
        ("max_cost", "0", "--max-cost cannot be '0': it must be more than 0."),
        ("max_consecutive_failures", "0", "--max-failures cannot be '0': it must be at least 1."),
    ],
)
def test_a_bad_option_is_one_line(field: str, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_limits({field: text})
    assert str(caught.value) == words


def test_limits_are_frozen() -> None:
    with pytest.raises(SettingsError, match="Limits is frozen: its max_turns cannot be changed"):
        Limits().max_turns = 3  # type: ignore[misc]


REFUSED_IN_A_PROGRAM: dict[str, tuple[Callable[[], object], str]] = {
    "a limit": (lambda: Limits(max_turns=0), "Limits: max_turns cannot be 0: it must be at least 1."),
    "a limit's name": (
        lambda: Limits(max_turn=3),  # type: ignore[call-arg]
        "Limits has no field 'max_turn'. Try: Limits(max_turns=...)",
    ),
    "a temperature": (lambda: Sampling(temperature=5), "Sampling: temperature cannot be 5: it must be at most 2."),
    "a text": (
        lambda: Sampling(top_p="many"),
        "Sampling: top_p cannot be 'many': input should be a valid number, unable to parse string as a number.",
    ),
    "a budget": (lambda: Budget(tokens=0), "Budget: tokens cannot be 0: it must be at least 1."),
    "an endpoint without a model": (
        lambda: Endpoint(base_url="http://h/v1"),  # type: ignore[call-arg]
        "Endpoint needs a value for 'model'. Try: Endpoint(model=...)",
    ),
    "a key": (
        lambda: Endpoint(base_url="http://h/v1", model="m", api_key=4711),
        "Endpoint: api_key cannot be that: input should be a valid string.",
    ),
}


@pytest.mark.parametrize("case", REFUSED_IN_A_PROGRAM)
def test_a_bad_value_in_a_program_is_one_line(case: str) -> None:
    make, line = REFUSED_IN_A_PROGRAM[case]
    with pytest.raises(SettingsError) as caught:
        make()
    assert str(caught.value) == line
