"""Functions of the user's in exports: the notebook and the script answer from the record."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from agent.export.formats import exported
from agent.export.py import is_valid
from agent.record.events import Event, FunctionCalled
from sandbox import Execution
from sandbox.calls import HostFunction, Parameter
from tests.agent.export.notebooks import check_notebook
from tests.agent.export.runs import cell, finished, placed, replied, started
from tests.agent.export.test_py import running

OK = Execution(status="ok")


def function(name: str, *names: str, is_async: bool = False, keywords: Iterable[str] = ()) -> HostFunction:
    parameters = [Parameter(one.rstrip("="), one in keywords, None, one.endswith("="), None) for one in names]
    return HostFunction(name, tuple(parameters), None, "", is_async)


PRICE_OF = function("price_of", "product", "pieces=")
OWNER = function("owner", "id", "deep=", is_async=True, keywords=["deep="])


def called(number: int, name: str, arguments: dict[str, Any], result: Any = None, **fields: Any) -> FunctionCalled:
    return FunctionCalled(
        call_id="call_a", number=number, name=name, arguments=arguments, result=result, duration_s=0.001, **fields
    )


def run_of(*cells: tuple[str, list[FunctionCalled], Execution]) -> list[Event]:
    """A run of these cells, each with its calls."""
    events: list[Event] = [started().model_copy(update={"functions": [PRICE_OF, OWNER]})]
    for code, made, execution in cells:
        turn, ran = cell(code, execution)
        events += [turn, *made, ran]
    return placed([*events, replied("That."), finished("That.")])


KEY = {"error": "screw", "error_type": "KeyError"}
OWN = {"error": "gone", "error_type": "TooLateError"}
RUNS: dict[str, tuple[list[tuple[str, list[FunctionCalled], Execution]], str]] = {
    "by position and by name": (
        [("print(price_of('bolt', 30), price_of(pieces=2, product='nut'))",
          [called(1, "price_of", {"product": "bolt", "pieces": 30}, 12.0),
           called(2, "price_of", {"product": "nut", "pieces": 2}, 0.2)], OK)],
        "12.0 0.2\n",
    ),
    "equal calls in their order": (
        [("a = price_of('bolt')", [called(1, "price_of", {"product": "bolt"}, 1)], OK),
         ("print(a, price_of('bolt'))", [called(1, "price_of", {"product": "bolt"}, 2)], OK)],
        "1 2\n",
    ),
    "errors": (
        [("for n in 'ab':\n    try:\n        price_of(n)\n    except Exception as e:\n        print(repr(e))",
          [called(1, "price_of", {"product": "a"}, **KEY), called(2, "price_of", {"product": "b"}, **OWN)], OK)],
        "KeyError('screw')\nTooLateError('gone')\n",
    ),
    "an error that takes more than a text": (
        [("try:\n    price_of('a')\nexcept Exception as e:\n    print(repr(e))",
          [called(1, "price_of", {"product": "a"}, error="bad", error_type="UnicodeDecodeError")], OK)],
        "UnicodeDecodeError('bad')\n",
    ),
    "cells that take the names of Python's own": (
        [("json = type = map = getattr = hasattr = isinstance = issubclass = builtins = None", [], OK),
         ("try:\n    print(price_of('a'))\n    price_of('b')\nexcept KeyError as e:\n    print(repr(e))",
          [called(1, "price_of", {"product": "a"}, 1), called(2, "price_of", {"product": "b"}, **KEY)], OK)],
        "1\nKeyError('screw')\n",
    ),
    "a coroutine": (
        [("import asyncio\nprint(await asyncio.gather(owner(1), owner(2, deep=True)))",
          [called(2, "owner", {"id": 2, "deep": True}, {"name": '"""\\é\n'}), called(1, "owner", {"id": 1})], OK)],
        "[None, {'name': '\"\"\"\\\\é\\n'}]\n",
    ),
    "coroutines that the code did not wait for": (
        [("import asyncio\ntry:\n    await asyncio.wait_for(owner(1), 0.01)\nexcept TimeoutError:\n    print('late')",
          [called(1, "owner", {"id": 1}, is_stopped=True)], OK)],
        "late\n",
    ),
    "a cell that the script leaves out": (
        [("price_of('bolt')\n1/0", [called(1, "price_of", {"product": "bolt"}, 1)], Execution(status="error")),
         ("print(price_of('bolt'))", [called(1, "price_of", {"product": "bolt"}, 2)], OK)],
        "2\n",
    ),
    "no calls": ([("print(1)", [], OK)], "1\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RUNS)
def test_the_script_runs_alone(tmp_path: Path, kind: str) -> None:
    cells, output = RUNS[kind]
    script = exported(run_of(*cells), "py")
    assert is_valid(script)
    assert running(script, tmp_path) == output


def test_the_notebook_has_the_answers_before_its_cells() -> None:
    notebook = check_notebook(exported(run_of(*RUNS["equal calls in their order"][0]), "ipynb"))
    defining, first, second = (one["source"] for one in notebook.cells if one.cell_type == "code")
    names: dict[str, Any] = {}
    exec(compile("\n".join([defining, first, second.replace("print", "seen = ")]), "<notebook>", "exec"), names)
    assert names["seen"] == (1, 2)


def test_another_call_than_those_of_the_run_is_refused(tmp_path: Path) -> None:
    events = run_of(("try:\n    price_of('x')\nexcept LookupError as e:\n    print(e)", [], OK))
    assert "The run has no such call" in running(exported(events, "py"), tmp_path)


@pytest.mark.parametrize("to", ["md", "html", "ipynb"])
def test_the_first_calls_stand_under_their_cell_and_their_number_if_they_are_many(to: str) -> None:
    made = [called(number, "price_of", {"product": f"p{number}"}, number) for number in range(1, 101)]
    text = exported(run_of(("f()", made, OK)), to)
    shown = text if to != "ipynb" else "".join(one["source"] for one in json.loads(text)["cells"] if "tags" not in one)
    quote = "&#34;" if to == "html" else '"'
    assert f"price_of(product={quote}p1{quote}) returned 1" in shown
    assert f"price_of(product={quote}p6{quote}) returned 6" not in shown
    assert "100 calls in all" in shown


def test_a_run_without_functions_has_nothing_of_them() -> None:
    events = placed([started(), *cell("print(1)", OK), replied("1"), finished("1")])
    assert "recorded_answer" not in exported(events, "py") + exported(events, "ipynb")
