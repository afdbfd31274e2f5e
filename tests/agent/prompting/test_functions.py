"""What the system prompt says of the caller's functions."""

from agent.prompting.functions import told_functions
from sandbox.calls import HostFunction, Parameter

FIND = HostFunction("find", (Parameter("name", False, "str", False, None),), "list[int]", "The numbers.", False)
LOAD = HostFunction("load", (Parameter("number", True, "int", True, 1),), None, "", True)


def test_nothing_is_said_without_functions() -> None:
    assert told_functions([], is_fenced=True) == ""


def test_each_function_is_told_as_code_calls_it() -> None:
    told = told_functions([FIND, LOAD], is_fenced=False)
    assert "\n- find(name: str) -> list[int]\n    The numbers.\n- await load(*, number: int = 1)" in told


def test_a_model_that_is_asked_for_code_blocks_is_also_told_to_write_no_functions() -> None:
    more = "Write the program without functions of your own"
    assert [more in told_functions([FIND], is_fenced=is_fenced) for is_fenced in (True, False)] == [True, False]
