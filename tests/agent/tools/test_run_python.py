"""A native call gives its code, or a message for the model."""

import json
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import ToolCall
from agent.pycode import tidy
from agent.tools.run_python import BadCallError, canonical, check_definitions, code_of

CODE = "a = 1\nprint(a)"


def native(arguments: str, name: str = "run_python") -> ToolCall:
    return ToolCall(id="a", name=name, arguments=arguments)


TAKEN = {
    "as specified": json.dumps({"code": CODE}),
    "raw newlines": '{"code": "a = 1\nprint(a)"}',
    "another name": json.dumps({"script": CODE}),
    "an unknown name": json.dumps({"snippet": CODE}),
    "more arguments": json.dumps({"code": CODE, "timeout": 5, "language": "python"}),
    "lines": json.dumps({"code": CODE.split("\n")}),
    "the code alone": json.dumps(CODE),
    "json in json": json.dumps(json.dumps({"code": CODE})),
    "the call once more": json.dumps({"name": "run_python", "arguments": {"code": CODE}}),
    "python": repr({"code": CODE}),
    "triple quotes": f'{{"code": """{CODE}"""}}',
    "a trailing comma": f'{{"code": {json.dumps(CODE)},}}',
    "a list": f"[ {json.dumps({'code': CODE})} ]",
    "a list with the call": json.dumps([{"name": "run_python", "arguments": {"code": CODE}}]),
    "fenced json": f"```json\n{json.dumps({'code': CODE})}\n```",
    "fenced json, unclosed": f"```\n{json.dumps({'code': CODE})}",
    "json in tildes": f"~~~json\n{json.dumps({'code': CODE})}\n~~~",
    "a fenced list": f"```json\n[{json.dumps({'code': CODE})}]\n```",
    "fenced json in json": json.dumps(f"```json\n{json.dumps({'code': CODE})}\n```"),
    "a fenced program": f"```python\n{CODE}\n```",
    "a program in tildes in json": json.dumps({"code": f"~~~python\n{CODE}\n~~~"}),
    "an empty object before": f"{{}}{json.dumps({'code': CODE})}",
    "null before": f"null {json.dumps({'code': CODE})}",
    "an empty object behind": f"{json.dumps({'code': CODE})}{{}}",
    "longer and longer": f"{json.dumps({'code': CODE[:5]})}{json.dumps({'code': CODE})}",
    "twice": json.dumps({"code": CODE}) * 2,
    "a fence": json.dumps({"code": f"```python\n{CODE}\n```"}),
    "windows newlines": json.dumps({"code": CODE.replace("\n", "\r\n")}),
    "a lone surrogate": '{"code": "a = 1\\nprint(a)#\\ud800"}',
}


@pytest.mark.parametrize("kind", TAKEN)
def test_code_is_found_where_models_put_it(kind: str) -> None:
    assert code_of(native(TAKEN[kind])).removesuffix("#?") == CODE


NAMES = ["run_python", "functions.run_python", " run_python\n", "", "runPython", "Run_Python", "RUN_PYTHON"]
NAMES += ["RunPython", "run-python", "run python", "functions.run_python:0", "default_api/runPython", "run_python()"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_means_the_tool_is_accepted(name: str) -> None:
    assert code_of(native('{"code": "1"}', name)) == "1"


HOW = 'Call run_python with {"code": "..."}.'
CUT = (
    "The call was cut off before its end, most likely at the limit on output tokens, so nothing was run. "
    "Call run_python again with less code, in several steps."
)
NOT_JSON = f"The arguments are not JSON, so nothing was run. {HOW} Escape quotes and newlines inside the code."
NO_CODE = f'The argument "code" is missing, so nothing was run. {HOW}'
EMPTY = f"The code is empty, so nothing was run. {HOW}"
BAD = {
    "another tool": (
        native("{}", "search"),
        "There is no tool 'search'. The only tool is run_python, with one argument: code.",
    ),
    "prose": (native("print the sum"), NOT_JSON),
    "code, which may be half of it": (native("print(1)"), NOT_JSON),
    "broken": (native('{"code": ?}'), NOT_JSON),
    "a number": (native("3"), NOT_JSON),
    "cut in the code": (native('{"code": "a = 1\\nprint('), CUT),
    "cut behind the code": (native('{"code": "a = 1"'), CUT),
    "cut in a text": (native('"a = 1\\nprint('), CUT),
    "nothing": (native(""), NO_CODE),
    "no argument": (native("{}"), NO_CODE),
    "null": (native("null"), NO_CODE),
    "another argument": (native('{"x": 1}'), NO_CODE),
    "a word": (native('{"x": "yes"}'), NO_CODE),
    "a list of two": (native('[{"code": "1"}, {"code": "2"}]'), NO_CODE),
    "an open list": (native('[{"code": "1"}'), CUT),
    "cut in a fence": (native('```json\n{"code": "a = 1'), CUT),
    "code in an open fence": (native("```python\nprint(1)"), NOT_JSON),
    "cut behind an empty object": (native('{}{"code": "a = 1'), CUT),
    "cut behind a shorter one": (native('{"code": "a ="}{"code": "a = 1'), CUT),
    "cut in json in json": (native(json.dumps('{"code": "a = 1')), NO_CODE),
    "empty": (native('{"code": " \\n"}'), EMPTY),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_call_that_cannot_be_run_says_why_and_what_to_do(kind: str) -> None:
    call, words = BAD[kind]
    with pytest.raises(BadCallError) as caught:
        code_of(call)
    assert str(caught.value) == words


@pytest.mark.parametrize("kind", BAD)
def test_the_history_never_repeats_arguments_that_are_not_json(kind: str) -> None:
    assert json.loads(canonical(BAD[kind][0]).arguments) == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_history_repeats_our_name_in_our_spelling(name: str) -> None:
    assert canonical(native('{"code": "1"}', name)).name == "run_python"


@pytest.mark.parametrize("name", ["python", "run", "rerun_python", "run_pythons", "search:3", "run_python.search"])
def test_another_name_is_another_tool(name: str) -> None:
    with pytest.raises(BadCallError, match="There is no tool"):
        code_of(native('{"code": "1"}', name))


def test_the_history_repeats_the_executed_code() -> None:
    call = native(f"{{'script': {CODE!r}}}")
    assert canonical(call) == native(json.dumps({"code": CODE}))
    assert canonical(native("{}", "search")).name == "search"


@pytest.mark.parametrize("name", ["", "run python!", "x" * 100])
def test_the_history_never_repeats_a_name_that_endpoints_refuse(name: str) -> None:
    assert canonical(native("{}", name)).name == "run_python"


def test_a_long_name_is_cut() -> None:
    with pytest.raises(BadCallError, match=f"'{'x' * 80}'"):
        code_of(native("{}", "x" * 10_000))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_code_is_returned_unchanged(code: str) -> None:
    if tidy(code).strip():
        assert code_of(native(json.dumps({"code": code}))) == tidy(code)


@given(st.text() | st.lists(st.sampled_from('{}[]"\\,:') | st.sampled_from(["code", "x", "\n"])).map("".join))
def test_fuzz_arguments_raise_no_other_error(arguments: str) -> None:
    repeated = canonical(native(arguments)).arguments
    try:
        assert json.loads(repeated) == {"code": code_of(native(arguments))}
    except BadCallError:
        assert repeated == "{}"


@pytest.mark.parametrize("size", range(len(TAKEN["as specified"])))
def test_arguments_cut_anywhere_never_run_in_part(size: int) -> None:
    with pytest.raises(BadCallError):
        code_of(native(TAKEN["as specified"][:size]))


@pytest.mark.parametrize(
    ("code", "is_refused"),
    [
        ("def order(n):\n    return {}\nprint(order(1))", True),
        ("async def order(n):\n    return {}", True),
        ("def price(n):\n    return order(n)['euros']\nprint(price(1))", False),
        ("class Shop:\n    def order(self):\n        return 1", False),
        ("order = order(1)\nprint(order)", False),
        ("def order(", False),
    ],
)
def test_code_that_defines_a_function_of_the_caller_s_anew_is_not_run(code: str, is_refused: bool) -> None:
    context = pytest.raises(BadCallError, match="order exist already") if is_refused else nullcontext()
    with context:
        check_definitions(code, ["order", "orders"])
