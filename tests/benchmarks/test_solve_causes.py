"""The cause that a trace gets, and the tables of causes."""

from pathlib import Path

import pytest

from agent.batch.scoring.matching import Number, Pattern
from agent.messages import Usage
from benchmarks.solve.baselines import codes_in_text
from benchmarks.solve.causes import Cause, cause_of
from benchmarks.solve.report import Result, keep, kept, report
from benchmarks.solve.tasks import NO_CODE, Task
from benchmarks.solve.trace import Cell, Ending, Trace, Turn

TASK = Task(id="t", category="c", text="How much is it?", expected=Number(value="42"))
PLOT = TASK.model_copy(update={"artifact": "a.png"})
GREETING = Task(id="g", category=NO_CODE, text="Hello!", expected=Pattern(value="hello"))


def cell(status: str | None = "ok", output: str = "7", code: str | None = "f()") -> Cell:
    return Cell(code=code, status=status, output=output)


def trace(answer: str, *cells: Cell, ending: Ending = "answered", artifacts: tuple[str, ...] = ()) -> Trace:
    turns = [Turn(text="", finish_reason="stop", cells=[one]) for one in cells]
    last = Turn(text=answer, finish_reason="stop")
    return Trace(
        ending=ending, answer=answer, turns=[*turns, last], artifacts=list(artifacts), usage=Usage(), duration_s=1
    )


@pytest.mark.parametrize(
    ("task", "run", "cause"),
    [
        (TASK, trace("It is 42.", cell(output="42")), "solved"),
        (TASK, trace("It is 42."), "solved"),
        (TASK, trace("It is 42.", cell(output="42"), ending="limit"), "solved"),
        (PLOT, trace("It is 42.", cell(output="42"), artifacts=("a.png",)), "solved"),
        (PLOT, trace("It is 42.", cell(output="42"), artifacts=("b.png",)), "no artifact"),
        (TASK, trace("The output is above.", cell(output="42")), "right output, wrong answer"),
        (TASK, trace("It is 7.", cell(output="42"), cell(output="7")), "right output, wrong answer"),
        (TASK, trace("It is 7.", cell("error", output="42 in a traceback")), "code error"),
        (TASK, trace("It is 7.", cell("timeout"), cell("ok")), "wrong code"),
        (TASK, trace("It is 7.", cell("ok"), cell("timeout")), "code error"),
        (TASK, trace("It is 7.", cell("died")), "code error"),
        (TASK, trace("It is 7."), "no call"),
        (TASK, trace("```python\nprint(6 * 7)\n```"), "wrong recovery"),
        (TASK, trace('{"name": "run_python", "arguments": {}}', cell("error")), "wrong recovery"),
        (TASK, trace("It is 7.", cell(None, code=None)), "wrong recovery"),
        (TASK, trace("It is 7.", cell("ok"), ending="limit"), "limit"),
        (TASK, trace("```python\nprint(1)\n```", cell("ok"), ending="limit"), "limit"),
        (TASK, trace("It is 7.", cell("error"), ending="limit"), "code error"),
        (TASK, trace("", cell("ok"), ending="time"), "time"),
        (TASK, trace("", ending="error"), "error"),
        (GREETING, trace("Hello."), "solved"),
        (GREETING, trace("42"), "wrong code"),
    ],
)
def test_a_run_has_the_cause_that_its_trace_shows(task: Task, run: Trace, cause: Cause) -> None:
    assert cause_of(task, run) == cause


@pytest.mark.parametrize(
    ("text", "ran", "cause"),
    [
        ("```python\na = 3\nprint(a)\n```", "a = 3\nprint(a)", "wrong code"),
        ("```python\n# how\na=3\n```\n```python\nprint( a )\n```", "a = 3\nprint(a)", "wrong code"),
        ("```python\nr = run_python('2**9')\ns = sum(r)\nprint(s)\n```", "2**9", "wrong recovery"),
        ("```python\nimport sympy\nrun_python('sympy.prime(9)')\n```", "sympy.prime(9)", "wrong recovery"),
        ("```python\ndef run_python(code):\n    exec(code)\n\nrun_python('f()')\n```", "f()", "wrong code"),
        ("```python\ncode = 'f()'\nout = run_python(code)\nprint(out)\n```", "f()", "wrong code"),
        ("```python\nthis is no Python\n```", "f()", "wrong code"),
    ],
)
def test_a_program_that_ran_in_part_is_a_wrong_recovery(text: str, ran: str, cause: Cause) -> None:
    turn = Turn(text=text, finish_reason="stop", recovered_as="python fence", cells=[cell(code=ran)])
    run = trace("It is 7.").model_copy(update={"turns": [turn]})
    assert cause_of(TASK, run) == cause


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("```python\nprint(1)\n```", ["print(1)\n"]),
        ("```python\na = 1\n```\nthen\n```python\nprint(a)\n```", ["a = 1\n", "print(a)\n"]),
        ('Sure:\n```json\n{"name": "run_python", "arguments": {"code": "print(1)"}}\n```', ["print(1)"]),
        ('{"name": "run_python", "arguments": "print(1)"}', []),
        ("a set {1, 2}", []),
        ("It is 42.", []),
    ],
)
def test_the_baseline_finds_what_two_regular_expressions_find(text: str, codes: list[str]) -> None:
    assert codes_in_text(text) == codes


def test_results_are_read_despite_an_incomplete_line(tmp_path: Path) -> None:
    path = tmp_path / "plain.jsonl"
    result = Result(task="t", category="c", variant="plain", cause="no call", trace=trace("It is 7."))
    keep(path, result)
    with path.open("a") as file:
        file.write('{"task": "u", "cat')
    assert kept(path) == [result]
    keep(path, result)
    assert kept(path) == [result, result]


def test_the_tables_count_by_category_and_cause() -> None:
    good = Result(task="t", category="c", variant="plain", cause="solved", trace=trace("42", cell()))
    bad = Result(task="g", category=NO_CODE, variant="plain", cause="no call", trace=trace("7"))
    table = report([TASK, GREETING], {"plain": [good, bad], "regex": []})
    assert "| c | 1 of 1 |  |\n| no code | 0 of 1 |  |\n| all | 1 of 2 |  |" in table
    assert "| no call: nothing was run, and nothing in the text looks like a call | 1 | 0 |" in table
    assert "| turns | 1.50 |  |" in table
    assert "| t | solved |  |\n| g | no call |  |" in table
