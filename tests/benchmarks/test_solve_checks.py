"""The worth of a check: what is solved with it and without it."""

from agent.messages import Usage
from benchmarks.solve.causes import Cause
from benchmarks.solve.checks import Worth, table
from benchmarks.solve.report import Result
from benchmarks.solve.trace import Trace


def result(cause: Cause) -> Result:
    trace = Trace(ending="answered", answer="", turns=[], usage=Usage(), duration_s=1)
    return Result(task="t", category="c", variant="cellblock", cause=cause, trace=trace)


def test_the_table_sets_what_is_solved_with_a_check_beside_what_is_solved_without_it() -> None:
    worth = Worth("failed", [result("solved"), result("limit")], [result("no call"), result("limit")])
    assert table([worth]).splitlines()[-1] == "| `failed` | 2 | 1 | 0 |"
