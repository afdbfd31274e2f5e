"""The summary of a batch: its table, rates and errors."""

from decimal import Decimal

from agent.batch.results import TaskResult
from agent.batch.summary import Tally, error_lines, seconds_of, table_rows
from agent.messages import Cost, Usage


def result(name: str, **fields: object) -> TaskResult:
    values = {"outcome": "answered", "answer": "42", "duration_s": 2.0, "turns": 3, "run_directory": name} | fields
    return TaskResult.model_validate({"id": name, "usage": Usage(input_tokens=1000, output_tokens=5), **values})


def tally_of(*results: TaskResult) -> Tally:
    tally = Tally()
    for each in results:
        tally.add(each)
    return tally


def euros(amount: str) -> Cost:
    return Cost(amount=Decimal(amount), currency="EUR")


def test_the_table_has_a_row_for_each_outcome_and_one_for_all() -> None:
    tally = tally_of(
        result("a", match=True, cost=euros("0.1")),
        result("b", match=False, cost=euros("0.2"), duration_s=4.0),
        result("c", outcome="error", answer=None, match=False, turns=0, usage=Usage(), error="It broke.", retries=3),
    )
    assert table_rows(tally, missing=2)[1:] == [
        ("answered", "2", "1 of 2", "6", "0", "2,000", "10", "3.0 (at most 4.0)", "0.3 EUR"),
        ("error", "1", "0 of 1", "0", "3", "0", "0", "2.0 (at most 2.0)", ""),
        ("not finished", "2", "", "", "", "", "", "", ""),
        ("all", "5", "1 of 3 (33 %)", "6", "3", "2,000", "10", "2.0 (at most 4.0)", "0.3 EUR"),
    ]


def test_a_turn_without_a_price_makes_the_cost_unknown() -> None:
    tally = tally_of(result("a", cost=euros("0.1")), result("b"))
    assert tally.all.cost is None


def test_tasks_without_an_expectation_do_not_count_in_the_solve_rate() -> None:
    tally = tally_of(result("a"), result("b", match=True))
    assert (tally.all.solve_rate, tally_of(result("a")).all.solve_rate) == (1.0, None)


def test_without_results_there_are_no_statistics_of_time() -> None:
    assert seconds_of(Tally().all) is None


def test_the_most_frequent_errors_are_listed() -> None:
    errors = [result(f"{kind}{n}", outcome="error", error=f"E{kind}") for kind in range(7) for n in range(kind + 1)]
    lines = error_lines(tally_of(*errors))
    assert (lines[0], lines[-1], len(lines)) == ("7 times: E6", "and 2 others; see the results", 6)
