"""A program that calls a tool as if it were a function is reduced to the cell or the calls that it means."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.calls.wrapped import function_calls, unwrapped

OWN = "def run_python(code):\n    exec(code)\n"
MEANT = {
    "the imports before it are kept": ('import math\nrun_python("print(math.pi)")', "import math\nprint(math.pi)"),
    "a function of that name goes": (f'{OWN}\nrun_python("print(1)")', "print(1)"),
    "so does the text that it passes": (
        'code = "print(1)"\nx = 2\nrun_python(code)\nprint(x)',
        "x = 2\nprint(1)\nprint(x)",
    ),
    "and what reads its result": ('a = run_python("f()")\nb = a + 1\nprint(b)\nprint("done")', "f()\nprint('done')"),
    "whatever is around the call": ('def main():\n    run_python(code="f()")\nx = 1\nmain()', "f()\nx = 1"),
    "several calls are one cell": ('run_python("a = 1")\nprint(run_python("print(a)"))', "a = 1\nprint(a)"),
    "the code may be in an object": ('run_python({"code": "print(1)"})', "print(1)"),
}
KEPT = {
    "the work is done by its own function": "def run_python(code):\n    return len(code)\nprint(run_python('abc'))",
    "the code is not known": "run_python(open('x').read())",
    "the name is only mentioned": "print('run_python(1)')",
    "it is not Python": "run_python('print(1)') then",
    "it is too deep": f"run_python('print(1)')\n{'+'.join(['1'] * 9000)}",
}


@pytest.mark.parametrize("kind", MEANT)
def test_the_cell_is_found_among_the_statements_around_it(kind: str) -> None:
    program, cell = MEANT[kind]
    assert unwrapped(program) == cell


@pytest.mark.parametrize("kind", KEPT)
def test_a_program_that_passes_the_tool_no_code_is_not_a_call(kind: str) -> None:
    assert unwrapped(KEPT[kind]) is None


TOOLS = {"price_of": ["product", "pieces"]}
BOLTS = ("price_of", {"product": "bolt", "pieces": 30})
CALLS = {
    'price_of(product="bolt", pieces=30)': [BOLTS],
    'price_of("bolt", 30)': [BOLTS],
    'p = price_of("bolt", pieces=30)\nprint("It costs", p)': [BOLTS],
    'print(price_of("bolt", 30))  # euros': [BOLTS],
    'price_of("bolt", 30)\nprice_of(product=None)': [BOLTS, ("price_of", {"product": None})],
}
NONE = [
    'price_of("bolt", 30) * 1.19',
    'p = price_of("bolt", 30)\nprint(p * tax)',
    "price_of(product)",
    'price_of("bolt", 30, 7)',
    'price_of(**{"product": "bolt"})',
    "price_of(*products)",
    "price_of(b'bolt')",
    'import os\nprice_of("bolt")',
    'for p in products:\n    price_of("bolt")',
    'def price_of(product):\n    return 1\nprice_of("bolt")',
    "print(1)",
    "price_of costs",
    "",
]


@pytest.mark.parametrize("code", CALLS)
def test_calls_with_constants_alone_are_calls(code: str) -> None:
    assert function_calls(code, TOOLS) == CALLS[code]


@pytest.mark.parametrize("code", NONE)
def test_a_call_with_a_computed_value_is_not_a_call(code: str) -> None:
    assert function_calls(code, TOOLS) == []


pieces = st.sampled_from(
    [
        "run_python(",
        "price_of(",
        "'print(1)'",
        '"x"',
        ")",
        "\n",
        "def ",
        "run_python",
        "code",
        "=",
        ":",
        "    ",
        "1",
        "+",
        ",",
    ]
)


@given(st.lists(pieces, max_size=30).map("".join))
@example("price_of(" * 300)
@example("run_python('a')\n" + "-" * 5000 + "1")
def test_fuzz_no_program_raises(code: str) -> None:
    readers: list[Callable[[], object]] = [lambda: unwrapped(code), lambda: json.dumps(function_calls(code, TOOLS))]
    for read in readers:
        read()
