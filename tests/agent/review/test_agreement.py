"""Which values of a first run a second one does not have."""

import pytest

from agent.record.events import Event, FileRecord, ToolRan
from agent.review.agreement import Found, agreement
from sandbox.testing import printed
from tests.samples import STARTED


def found(output: str, answer: str = "", *heads: str, task: str = "What is the sum of 2024?") -> Found:
    events: list[Event] = [
        STARTED.model_copy(update={"task": task}),
        ToolRan(call_id="a", arguments="", code="...", execution=printed(output), observation=output),
    ]
    files = [
        FileRecord(name=f"{place}.csv", size_bytes=1, sha256="0" * 64, head=head) for place, head in enumerate(heads)
    ]
    return Found(events, answer, files)


@pytest.mark.parametrize(
    ("first", "second", "missing"),
    [
        (found("111674.99", "The sum is 111,674.99."), found("36739.23"), ["111,674.99"]),
        (found("111674.99", "The sum is 111,674.99."), found("111674.989999"), []),
        (found("111674.99", "The sum is 111,674.99."), found("36739.23", "Others say 111,674.99."), ["111,674.99"]),
        (found("36739.23", "Die Summe ist 36.739,23 €."), found("sum    36739.23"), []),
        (found("36739.23", "In 2024 it was 36739.23."), found("36739.2341"), []),
        (found("Ann 3\nBob 9", "The first is 'Bob' with 9."), found("Bob 9\nAnn 3"), []),
        (found("Bob 9", "The first is 'Bob' with 9."), found("Ann 7"), ["Bob", "9"]),
        (found("2024-03-01", "It was on 1 March 2024."), found("2024-03-02"), ["1 March 2024"]),
        (found("done", "See sums.csv.", "city,sum\nUlm,99.5"), found("done", "", "city,sum\nUlm,99.5"), []),
        (found("done", "See sums.csv.", "city,sum\nUlm,99.5"), found("Ulm 99.50"), []),
        (found("done", "See sums.csv.", "city,sum\nUlm,99.5"), found("done", "", "city,sum\nUlm,42.25"), ["99.5"]),
        (found("3", "It is 77."), found("3"), []),
        (found("ok", "It rained."), found("nothing"), []),
    ],
)  # fmt: skip
def test_a_value_that_the_second_run_has_nowhere_is_missing(first: Found, second: Found, missing: list[str]) -> None:
    assert agreement(first, second).missing == missing


@pytest.mark.parametrize(
    ("answer", "compared"), [("It was May.", []), ("It is 77.", ["77"]), ("In 2024 it was 77.", ["77"])]
)
def test_only_what_a_cell_of_the_first_run_has_is_compared(answer: str, compared: list[str]) -> None:
    assert agreement(found("77", answer), found("78")).compared == compared
