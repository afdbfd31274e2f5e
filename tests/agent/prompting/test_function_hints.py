"""What the model is told when a cell uses the caller's functions wrongly."""

import pytest

from agent.prompting.function_hints import about_functions
from sandbox import ErrorOutput
from sandbox.calls import HostFunction, Parameter

ID = Parameter("id", False, "int", False, None)
ORDER_NUMBERS = HostFunction("order_numbers", (), "list[int]", "The numbers of all orders.", False)
ORDER = HostFunction("order", (ID,), "dict", "One order.", False)
RATING = HostFunction("rating", (ID,), "float", "A rating.", True)
FUNCTIONS = (ORDER_NUMBERS, ORDER, RATING)

HIDES = "A variable with the name of a function hides the function. Give yours another name than {}."
CASES: dict[str, tuple[str, str, list[str]]] = {
    "a variable in a function": (
        "def f():\n    order_numbers = order_numbers()\nf()",
        "UnboundLocalError: cannot access local variable 'order_numbers'",
        [HIDES.format("order_numbers")],
    ),
    "a variable of a loop": (
        "for order in order_numbers():\n    order['customer']",
        "TypeError: 'int' object is not subscriptable",
        [
            HIDES.format("order"),
            "The functions that the code calls are:\n"
            "- order_numbers() -> list[int]\n    The numbers of all orders.\n- order(id: int) -> dict\n    One order.",
        ],
    ),
    "an import": (
        "from shop import order",
        "ModuleNotFoundError: No module named 'shop'",
        ["Do not import order: the kernel has that already."],
    ),
    "a coroutine in an expression": (
        "print(rating(1) > 4)",
        "TypeError: '>' not supported between instances of 'coroutine' and 'int'",
        ["A coroutine has to be awaited: write await rating(...)."],
    ),
    "another error": ("print(1 / 0)", "ZeroDivisionError: division by zero", []),
    "a mistake elsewhere": ("{}['a']", "KeyError: 'a'", []),
    "code that is no Python": ("for order in", "SyntaxError: invalid syntax", []),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_mistake_that_follows_from_code_and_error_is_told(kind: str) -> None:
    code, failure, told = CASES[kind]
    name, _, value = failure.partition(": ")
    error = ErrorOutput(ename=name, evalue=value, traceback=[failure])
    assert list(about_functions(error, "", code, "", FUNCTIONS)) == told


def test_a_variable_of_an_earlier_cell_hides_a_function_too() -> None:
    error = ErrorOutput(ename="TypeError", evalue="'int' object is not callable", traceback=[])
    assert HIDES.format("order") in about_functions(error, "", "order(1)", "order = 3", FUNCTIONS)


def test_a_coroutine_that_was_printed_is_told() -> None:
    text = "<coroutine object rating at 0x7f>\n"
    told = list(about_functions(None, text, "print(rating(1))", "", FUNCTIONS))
    assert told == ["A coroutine has to be awaited: write await rating(...)."]
    assert not list(about_functions(None, "4.5\n", "print(await rating(1))", "", FUNCTIONS))
