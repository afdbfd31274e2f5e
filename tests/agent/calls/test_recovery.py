"""Calls that leak as text are found exactly, and other text stays text."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agent.calls.recovery import SHAPES, Recovered, Shape, recover
from agent.messages import Reply, ToolCall
from agent.pycode import is_program, parsed, tidy
from agent.tools.run_python import CUT, BadCallError, arguments_of, code_of
from tests.agent.writers import LOSSY, WRITERS, arguments, call, raw_newlines, xml

ALL = WRITERS | LOSSY
CODE = 'import math\nd = {"a": "b"}\nif 2 < 3 and d["a"]:\n    print(math.pi, \'x\')'


def found(text: str, **how: Any) -> Recovered | None:
    return recover(Reply(content=text, finish_reason="stop"), **({"turn": 1, "accept_fences": True} | how))


def codes(text: str, **how: Any) -> list[str] | None:
    recovered = found(text, **how)
    return [code_of(made) for made in recovered.calls] if recovered else None


@pytest.mark.parametrize("shape", ALL)
def test_a_call_is_found_in_every_shape(shape: str) -> None:
    assert codes(ALL[shape](CODE)) == [CODE]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.example)
def test_the_example_of_each_shape_is_found_as_that_shape(shape: Shape) -> None:
    recovered = recover(Reply(content=shape.example), turn=1, accept_fences=True, tool_params={"price_of": ["pieces"]})
    assert recovered is not None
    assert recovered.shape == shape.name


LINES = [
    "x = 1",
    "print(x)",
    "print('it', \"is\")",
    'd = {"a": "b", "c": {"d": [1, 2]}}',
    "print(f\"{d['a']!r}: {x:>3}\")",
    "for i in range(3):\n    if i < 2 > 0:\n        print(i)",
    'def f(a, b="}"):\n    """Adds."""\n    return a + b',
    "# 数据 é 🎉",
    "s = '</code>{}[]()'",
    "",
    "lambda q: (q, )",
    "y = [v for v in (1, 2)]",
    "%matplotlib inline",
]
ESCAPES = [r'print("a\nb\t\\")', r"re.findall(r'\d+\b', s)", r"s = 'it\'s'", "z = 1 \\\n    + 2", "t = '''a\n\\n'''"]
programs = st.lists(st.sampled_from(LINES), min_size=1, max_size=5).map("\n".join)
programs_with_escapes = st.lists(st.sampled_from(LINES + ESCAPES), min_size=1, max_size=5).map("\n".join)
EXACT = [shape for shape in WRITERS if "triple" not in shape and "no language" not in shape]


@given(st.sampled_from(EXACT), programs_with_escapes)
def test_a_program_in_any_lossless_shape_is_returned_unchanged(shape: str, code: str) -> None:
    assume(code.strip() and is_program(code))
    assert codes(WRITERS[shape](code)) == [code]


@given(st.sampled_from(sorted(ALL)), programs)
def test_python_in_any_shape_is_returned_unchanged(shape: str, code: str) -> None:
    assume(is_program(code) and parsed(code) is not None and code == code.strip("\n"))
    if shape == "triple quotes":
        assume('"""' not in code)
    assert codes(ALL[shape](code)) == [code]


JSON_SHAPES = ["tag", "json fence", "bare object", "arguments are json", "openai", "list", "parameters", "lines"]


@given(st.sampled_from(JSON_SHAPES), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@example("tag", "</tool_call>")
@example("json fence", "\n```\n")
@example("bare object", '"}}\n{"')
def test_any_text_in_json_is_returned_tidied_and_otherwise_unchanged(shape: str, code: str) -> None:
    assume(tidy(code).strip())
    assert codes(WRITERS[shape](code)) == [tidy(code)]


KEPT = [
    'print("a\\nb")',
    's = """\n<tool_response>\n"""',
    "x = '&lt;'",
    "%timeit f(1)\nprint(2)",
    "!ls -l",
    'if x:\n\ty = "```"',
]


@pytest.mark.parametrize("code", KEPT)
def test_code_that_may_be_intended_stays_as_it_is(code: str) -> None:
    assert codes(call(code)) == [tidy(code)] == [code]
    assert codes(f"<tool_call>{xml(code)}</tool_call>") == [code]


TWO = {
    "tool_call tag": f"<tool_call>{call('a()')}</tool_call>\n<tool_call>\n{call('b()')}\n</tool_call>",
    "function tag": f"<tool_call>\n{xml('a()')}\n</tool_call>\n<tool_call>\n{xml('b()')}\n</tool_call>",
    "json fence": f"First:\n```json\n{call('a()')}\n```\nThen:\n```json\n{call('b()')}\n```",
    "bare object": f"{call('a()')}\n{call('b()')}",
    "written call": "run_python(code='a()')\nrun_python(code='b()')",
}


@pytest.mark.parametrize(
    "text", [f"```json\n{call('a()')}\n\n{call('b()')}\n```", f"<tool_call>{call('a()')},{call('b()')}"]
)
def test_several_calls_in_one_place_are_several_calls(text: str) -> None:
    assert codes(text) == ["a()", "b()"]


@pytest.mark.parametrize("shape", TWO)
def test_several_calls_are_several_calls(shape: str) -> None:
    recovered = found(TWO[shape])
    assert recovered is not None
    assert (recovered.shape, recovered.cut) == (shape, False)
    assert [(call.id, code_of(call)) for call in recovered.calls] == [("call_1_0", "a()"), ("call_1_1", "b()")]


def test_a_fence_within_a_string_of_a_program_does_not_end_it() -> None:
    code = 'text = """\n```\nx\n```\n"""\nprint(text)'
    assert codes(f"```python\n{code}\n```\nThen:\n```python\nprint(1)\n```") == [f"{code}\nprint(1)"]
    assert codes("```python\nprint(\n```\nThen:\n```python\nprint(1)\n```") == ["print(\nprint(1)"]


FENCE_WITHIN = [
    "text = '''\n```python\nx\n```\n'''\nprint(text)",
    "print('```')",
    'md = """\n```\na\n```\n```\nb\n```\n```\n"""',
]


@pytest.mark.parametrize("code", FENCE_WITHIN)
def test_tildes_hold_a_program_with_any_fences(code: str) -> None:
    assert codes(f"I will.\n~~~python\n{code}\n~~~\nIt prints the text.") == [code]
    assert codes(f"~~~~python\n{code}\n~~~~") == [code]
    assert codes(f"```python\n{code.replace('```', '~~~')}\n```") == [code.replace("```", "~~~")]


def test_tildes_within_a_string_of_a_program_do_not_end_it() -> None:
    code = 'text = """\n~~~\nx\n~~~\n"""\nprint(text)'
    assert codes(f"~~~python\n{code}\n~~~\n") == [code]


def test_tildes_that_strike_out_words_are_no_fence() -> None:
    assert found("It is ~~41~~ 42, ~~~python\nif you like.") is None


TAGS = ["</parameter>", "</function>", "</tool_call>", "<parameter=code>", "<tool_call>", "<function=run_python>"]
WITHIN = [
    "print('{}')\nprint(2)",
    "s = '''\n{}\n'''\nprint(s)",
    "s = 'a {} b {}'\nprint(s)",
    "# {}\nprint(1)",
    "%matplotlib inline\nif x:\n    !ls\nprint('{}')\nprint(2)",
    "x = [\n'<parameter=code>', '{}']\nprint(x)",
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("program", WITHIN)
def test_a_tag_within_a_string_of_a_program_does_not_end_it(program: str, tag: str) -> None:
    code = program.replace("{}", tag)
    tagged = f"<tool_call>\n{xml(code)}\n</tool_call>"
    assert codes(xml(code)) == codes(tagged) == codes(f"I will.\n{tagged}\nDone.") == [code]
    assert codes(f"<tool_call>{call(code)}</tool_call>") == [code]
    assert codes(f"<tool_call>{raw_newlines(code)}</tool_call>") == [code]
    assert codes(f"{tagged}\n{tagged}") == [code, code]


def test_several_python_fences_are_one_cell() -> None:
    text = "Load:\n```python\na = 1\n```\nthen\n```py\nprint(a)\n```\nIt prints:\n```\n1\n```"
    assert codes(text) == ["a = 1\nprint(a)"]


def test_the_prose_before_a_call_is_kept_and_what_follows_is_not() -> None:
    recovered = found(f"Let me see.\n```json\n{call('a()')}\n```\nThe answer is 7.")
    assert recovered is not None
    assert recovered.prose == "Let me see."


AROUND = [f"```xml\n<tool_call>{call('a()')}</tool_call>\n```", "<tool_call>\n```python\na()\n```"]


@pytest.mark.parametrize("text", AROUND)
def test_the_fence_or_the_tag_around_a_call_is_not_part_of_the_prose(text: str) -> None:
    recovered = found(f"```sh\nls\n```\nI will.\n{text}")
    assert recovered is not None
    assert (recovered.prose, codes(text)) == ("```sh\nls\n```\nI will.", ["a()"])


def test_tokens_that_leak_into_the_prose_are_not_kept() -> None:
    recovered = found(f"<tool_response>\nI will.<|im_end|>\n<tool_call>{call('a()')}</tool_call>")
    assert recovered is not None
    assert recovered.prose == "I will."


FENCES = {
    "in a list": "1. Run:\n   ```python\n   if a:\n       b()\n   ```\n2. Read.",
    "before a token": "```python\nif a:\n    b()\n```<|im_end|>",
    "before a tag": "<tool_call>\n```python\nif a:\n    b()\n```</tool_call>",
    "closed on the last line": "```python\nif a:\n    b()```",
    "begun within a line": "Run: ```python\nif a:\n    b()\n```",
    "with windows newlines": "```python\r\nif a:\r\n    b()\r\n```\r\n",
    "with a call in broken quotes": '```python\nrun_python(code="if a:\n    b()")\n```',
}


@pytest.mark.parametrize("kind", FENCES)
def test_a_python_fence_is_found_wherever_it_stands(kind: str) -> None:
    assert codes(FENCES[kind]) == ["if a:\n    b()"]


def test_a_call_after_an_invented_response_is_invented_too() -> None:
    text = f"{call('a()')}\n<tool_response>\n1\n</tool_response>\n{call('b()')}"
    assert codes(text) == ["a()"]


def test_a_stray_response_tag_before_the_call_does_no_harm() -> None:
    assert codes(f"<tool_response>\n<tool_call>{call('a()')}</tool_call>") == ["a()"]


def test_two_xml_calls_of_which_the_first_is_not_closed_are_not_merged() -> None:
    text = f"<function=run_python>\n<parameter=code>\na()\n<tool_call>\n{xml('b()')}\n</tool_call>"
    assert codes(text) == ["a()", "b()"]


PROSE = {
    "an answer": "The answer is 42.",
    "nothing": "",
    "a tag is mentioned": "Write <tool_call> to call a tool.",
    "a call is quoted": f"Models write `<tool_call>{call('a()')}</tool_call>` for that.",
    "a call in a sentence": f"With <tool_call>{call('a()')}</tool_call> a model calls a tool.",
    "words in a tag": "A call stands between <tool_call>these two</tool_call>",
    "a tag with code in a sentence": "With <tool_call>print(1)</tool_call> nothing is called.",
    "an object in a sentence": f"With this: {call('a()')} a model calls a tool.",
    "the tool is mentioned": "I used run_python(code) with code='print(1)' for this.",
    "the tool in a sentence": "I called run_python(code='print(1)') and it printed 1.",
    "a json answer": '{"result": 42}',
    "a json answer in a fence": '```json\n{"answer": 42}\n```',
    "a country": '{"code": "US", "name": "United States"}',
    "a country's code": '{"code": "US"}',
    "a code with a dash": '{"code": "AB-12"}',
    "a status": '{"code": 404}',
    "code with an explanation": '{"code": "print(1)", "explanation": "It prints 1."}',
    "a person": '{"name": "Ada", "age": 36}',
    "a list of people": '[{"name": "Ada"}, {"name": "Bob"}]',
    "another tool": '{"name": "another_tool", "arguments": {"code": "f()"}}',
    "the tool's schema": '{"name": "run_python", "parameters": {"properties": {"code": {"type": "string"}}}}',
    "another format in a fence": (
        'Hermes writes a call so:\n```xml\n<tool_call>\n{"name": "search", "arguments": {"q": "x"}}\n</tool_call>\n```'
    ),
    "another format in a fence of no language": (
        "Coders write a call so:\n```\n<function=search>\n<parameter=q>\nx\n</parameter>\n</function>\n```\nDone."
    ),
    "plain text in a fence": "```\nplain text\n```",
    "an output in a fence": "The output is:\n```\n42\n```",
    "a word in a fence": "```\nTrue\n```",
    "shell": "```bash\npip install x\n```",
    "javascript": "```js\nconsole.log(1)\n```",
    "html": '<html><body onload="f()"><code>x = 1</code></body></html>',
    "xml": '<function><parameter name="code">x = 1</parameter></function>',
    "an empty fence": "```python\n\n```",
    "inline code": "Use ```print(1)``` here.",
    "braces": "{{1: {}}}",
    "latex": "{\\displaystyle x^2}",
    "a set": "{1, 2, 3}",
}


@pytest.mark.parametrize("kind", PROSE)
def test_a_text_that_is_not_a_call_stays_text(kind: str) -> None:
    assert found(PROSE[kind]) is None


OTHERS = {"price_of": ["product", "pieces"]}
PRICE = {"product": "bolt", "pieces": 30}
WRITTEN = {
    "a fence": 'Let me ask.\n```python\nprice_of(product="bolt", pieces=30)\n```',
    "a fence that prints": '```python\nprice = price_of("bolt", 30)\nprint(price)\n```\nThis prints the price.',
    "a fence without a language": '```\nprice_of("bolt", pieces=30)\n```',
    "the last line": 'I need the price.\n\nprice_of(product="bolt", pieces=30)',
    "a tag": '<tool_call>\nprice_of("bolt", pieces=30)\n</tool_call>',
    "the last line in backticks": '`price_of("bolt", 30)`\n',
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_function_of_the_caller_is_called_if_python_calls_nothing_else(kind: str) -> None:
    recovered = found(WRITTEN[kind], tool_params=OTHERS)
    assert recovered is not None
    assert recovered.shape == ("tool_call tag" if kind == "a tag" else "function call")
    assert [(made.name, json.loads(made.arguments)) for made in recovered.calls] == [("price_of", PRICE)]


CUT_SHORT = [
    '<tool_call>{"name": "price_of", "arguments": {"product": "bo',
    '<tool_call>{"name": "price_of", "arguments": {"product": "bolt", "pieces": 3',
    '<tool_call>{"name": "price_of", "arguments": "{\\"product\\": \\"bo',
    "<function=price_of>\n<parameter=product>\nbo",
]


@pytest.mark.parametrize("text", CUT_SHORT)
def test_a_function_of_the_caller_whose_call_is_cut_is_not_called(text: str) -> None:
    recovered = recover(Reply(content=text, finish_reason="length"), turn=1, accept_fences=True, tool_params=OTHERS)
    assert recovered is not None
    assert (recovered.cut, recovered.calls[0].name, answer_to(recovered.calls[0])) == (True, "price_of", CUT)


UNWRITTEN = {
    "a sentence": 'I would call price_of("bolt", 30) for it.',
    "a line before others": 'price_of("bolt", 30)\nreturns 12.0.',
    "a value that is not known": "price_of(product, 30)",
    "a definition": "def price_of(product, pieces):",
}


@pytest.mark.parametrize("kind", UNWRITTEN)
def test_a_function_of_the_caller_that_is_only_mentioned_is_not_called(kind: str) -> None:
    assert found(UNWRITTEN[kind], tool_params=OTHERS) is None


def test_a_program_that_computes_with_a_function_of_the_caller_is_a_program() -> None:
    code = 'print(price_of("bolt", 30) * 1.19)'
    assert codes(f"```python\n{code}\n```", tool_params=OTHERS) == [code]


def test_a_function_shown_in_an_answer_or_by_a_model_that_calls_natively_is_not_called() -> None:
    text = f"{WRITTEN['a fence']}\nThat costs 12 euros."
    assert found(text, tool_params=OTHERS, accept_fences=False) is None
    assert found(text, tool_params=OTHERS, has_succeeded=True) is None


def test_a_fence_keeps_the_statements_that_its_call_of_the_tool_needs() -> None:
    text = "```python\nimport math\n\ndef run_python(code):\n    exec(code)\n\nrun_python('print(math.pi)')\n```"
    assert codes(text) == ["import math\nprint(math.pi)"]


ILLUSTRATIONS = {
    "a fence": f"The answer is 4. In code:\n```python\n{CODE}\n```\n",
    "a call within a program": f"Parse it so:\n```python\nraw = '''\n<tool_call>{call('a()')}</tool_call>\n'''\n```",
    "an object within a program": f"```python\ntests = [\n{call('a()')}\n]\n```",
    "the tool in a fence": "```python\nrun_python(code='print(1)')\n```",
    "bare arguments": f"It was called with {arguments(CODE)}",
}


@pytest.mark.parametrize("kind", ILLUSTRATIONS)
def test_an_illustration_by_a_model_that_calls_natively_stays_text(kind: str) -> None:
    assert found(ILLUSTRATIONS[kind], accept_fences=False) is None


SCHEMA = (
    '{"type": "function", "function": {"name": "run_python", "description": "Run it.", "parameters": '
    '{"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}}}'
)


@pytest.mark.parametrize("echo", [f"<tools>\n{SCHEMA}\n</tools>", f"```json\n{SCHEMA}\n```", SCHEMA])
def test_a_repeated_description_of_the_tool_is_not_a_call_and_hides_none(echo: str) -> None:
    assert found(echo) is None
    assert codes(f"{echo}\n\n```python\nprint(6 * 7)\n```") == ["print(6 * 7)"]


def test_a_fence_within_an_answer_after_code_has_run_stays_text() -> None:
    text = f"It is 4. You can check it:\n```python\n{CODE}\n```\nThis prints 4."
    assert found(text, has_succeeded=True) is None
    assert codes(text, has_succeeded=False) == [CODE]


def test_a_fence_at_the_end_of_a_turn_is_the_next_step() -> None:
    assert codes(f"Now the plot:\n```python\n{CODE}\n```\n", has_succeeded=True, executed_code=["import csv"]) == [CODE]


@pytest.mark.parametrize("shown", [CODE, f"# the program\n{CODE}\n", 'd = {"a": "b"}'])
def test_a_fence_that_repeats_executed_code_stays_text(shown: str) -> None:
    assert found(f"It is 4:\n```python\n{shown}\n```", has_succeeded=True, executed_code=["x = 1", CODE]) is None


def test_json_in_a_fence_that_repeats_executed_code_stays_text() -> None:
    assert found(f"I called:\n```json\n{call(CODE)}\n```", executed_code=[CODE]) is None


def test_a_tagged_call_that_repeats_executed_code_is_a_call() -> None:
    assert codes(f"<tool_call>{call(CODE)}</tool_call>", has_succeeded=True, executed_code=[CODE]) == [CODE]


def test_a_tag_that_names_an_unknown_tool_is_refused_with_a_message_for_the_model() -> None:
    recovered = found('<tool_call>{"name": "search", "arguments": {"q": "x"}}</tool_call>')
    assert recovered is not None
    with pytest.raises(BadCallError, match="There is no tool 'search'"):
        code_of(recovered.calls[0])


def in_thinking(content: str, reasoning: str) -> Recovered | None:
    return recover(Reply(content=content, reasoning=reasoning, finish_reason="stop"), turn=1, accept_fences=True)


def test_a_call_in_the_thinking_counts_if_there_is_no_answer() -> None:
    recovered = in_thinking("\n", f"I should compute.\n<tool_call>\n{call('a()')}\n</tool_call>")
    assert recovered is not None
    assert (recovered.shape, recovered.prose) == ("tool_call tag in thinking", "\n")
    assert [code_of(call) for call in recovered.calls] == ["a()"]


def test_a_call_in_the_thinking_does_not_count_beside_an_answer() -> None:
    assert in_thinking("It is 4.", f"<tool_call>{call('a()')}</tool_call>") is None


def test_a_draft_in_the_thinking_is_not_a_call() -> None:
    assert in_thinking("", f"Perhaps:\n```python\n{CODE}\n```") is None


CLOSED = [shape for shape in ALL if "closed" not in shape and "no " not in shape]


def answer_to(made: ToolCall) -> str:
    """The code of a call, or the arguments of one to another tool, or the message that the model gets instead."""
    try:
        return code_of(made) if made.name not in OTHERS else str(arguments_of(made.arguments))
    except BadCallError as error:
        return str(error)


@pytest.mark.parametrize("finish_reason", ["length", None])
@pytest.mark.parametrize("shape", CLOSED)
def test_a_call_cut_anywhere_never_runs_in_part(shape: str, finish_reason: str | None) -> None:
    text = ALL[shape](CODE)
    for size in range(len(text)):
        recovered = recover(Reply(content=text[:size], finish_reason=finish_reason), turn=1, accept_fences=True)
        if recovered is not None:
            answers = [answer_to(made) for made in recovered.calls]
            assert answers in ([CUT], [CODE])
            assert recovered.cut == (answers == [CUT])


BEGUN = ["<tool_call>", "<tool_call>\n{", '<tool_call>\n{"name": "run_py', "<tool_call>\n<function=run_python>\n<para"]


@pytest.mark.parametrize("text", [*BEGUN, f"```json\n{call(CODE)[:40]}", f"```python\n{CODE[:30]}", call(CODE)[:60]])
def test_a_call_cut_at_the_token_limit_is_reported(text: str) -> None:
    recovered = recover(Reply(content=f"I will.\n{text}", finish_reason="length"), turn=1, accept_fences=True)
    assert recovered is not None
    assert recovered.cut
    with pytest.raises(BadCallError, match="cut off before its end"):
        code_of(recovered.calls[-1])


def test_a_whole_call_before_the_one_that_was_cut_is_run() -> None:
    text = f"<tool_call>{call('a()')}</tool_call>\n<tool_call>{call('b()')[:-5]}"
    recovered = recover(Reply(content=text, finish_reason="length"), turn=1, accept_fences=True)
    assert recovered is not None
    assert code_of(recovered.calls[0]) == "a()"
    with pytest.raises(BadCallError):
        code_of(recovered.calls[1])


def test_prose_cut_at_the_token_limit_is_not_a_call() -> None:
    assert recover(Reply(content="A <tool_call> is what", finish_reason="length"), turn=1, accept_fences=True) is None


PIECES = [
    *(
        "<tool_call>",
        "</tool_call>",
        "<tools>",
        "<function=run_python>",
        "</function>",
        "<parameter=code>",
        "</parameter>",
    ),
    *(
        "```",
        "```json\n",
        "```python\n",
        "\n```\n",
        "```tool_code\n",
        "run_python(",
        "code=",
        ")",
        "<think>",
        "</think>",
    ),
    *(
        '{"name": "run_python", ',
        '"arguments": ',
        '{"code": ',
        '"',
        "'",
        '"""',
        "'''",
        "`",
        "\\",
        "\\n",
        '\\"',
        "\n",
        " ",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "{{",
        "null",
        "1e999",
        "<|im_end|>",
        "<tool_response>",
        "&lt;",
        "\r\n",
        "\ud800",
        "\0",
    ),
    *("print(1)", "x = 1", "def f():\n    return 1", "Some prose."),
    *(
        "The `run_python` tool",
        call("a()"),
        xml("b()"),
        "price_of(",
        'price_of(product="bolt")',
        '{"name": "price_of", ',
    ),
]
pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join)


@st.composite
def damaged_calls(draw: st.DrawFn) -> str:
    """A call in some shape, with a few characters lost, doubled or inserted."""
    text = ALL[draw(st.sampled_from(sorted(ALL)))](draw(programs_with_escapes))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(["", *PIECES])) + text[place + draw(st.integers(0, 3)) :]
    return text


@given(pieces | damaged_calls() | st.text(), st.sampled_from(["stop", "length", None]), st.booleans(), st.booleans())
def test_fuzz_no_text_makes_recovery_raise(
    text: str, finish_reason: str | None, accept_fences: bool, has_succeeded: bool
) -> None:
    for reply in (
        Reply(content=text, finish_reason=finish_reason),
        Reply(reasoning=text, finish_reason=finish_reason),
    ):
        recovered = recover(
            reply,
            turn=1,
            accept_fences=accept_fences,
            has_succeeded=has_succeeded,
            executed_code=["a()"],
            tool_params=OTHERS,
        )
        if recovered is None:
            continue
        assert recovered.calls
        for place, made in enumerate(recovered.calls):
            assert made.id == f"call_1_{place}"
            answer = answer_to(made)
            assert answer.encode().strip()
            assert answer == CUT or not (recovered.cut and place == len(recovered.calls) - 1)


ADVERSARIES: dict[str, Callable[[int], str]] = {
    repr(unit): lambda size, unit=unit: unit * (size // len(unit))  # type: ignore[misc]
    for unit in [
        *("{", "[", "}", '"', "'", "`", "\\", " ", "\n", "```"),
        *("```\n", "```json\n", "```json\n{", "```python\n"),
        *(
            "<tool_call>",
            "<tool_call>{",
            '<tool_call>{"',
            "<tool_call>{'",
            "<tool_call>[",
            "<tool_call>a()",
            "````",
            ": {",
            "<tool_call>\n```json\n{'a': '",
            *("<function = f ", "<parameter=a b", "]]>", "<![CDATA[", "```a b\n", "```{a}"),
        ),
        *(
            "<function=run_python>",
            "<function=run_python><parameter=code>",
            "<parameter=code>",
            "</tool_call>",
            "<think>",
        ),
        *(
            '{"a":',
            "{'a':'",
            '{"code": "',
            "{'code': '",
            '{"code": """',
            '{\n"code": \'',
            "\n{'code': ' ",
            "\n{",
            "{a:[",
        ),
        *(
            "run_python(",
            "\nrun_python('",
            '\nrun_python("',
            "\nrun_python(code='')",
            '"}',
            '","',
            "',",
            "'}",
            '"}\n',
            "\\n",
        ),
        *(
            "'code':'x',",
            "'code':'x y',",
            "'a':'x',",
            '"code":"""x""",',
            "{'code':'x',",
            '{"code":"(',
            'x", "',
            "x', '",
            '"""}',
            "a = ",
            "\t",
            *('"/*', "'#'", '{"a": "//', '"a", b: ', "{/**/", "'a' + "),
            "&lt;",
            "\n<tool_response>",
            "<|im_end|>",
        ),
        *('{"name": "run_python", "arguments": {"code": "'),
        *(f"```json\n{call('(')[:-5]}\n```\n", f"{call('a()')}\n"),
        *(
            f"<tool_call>{call('a()')}</tool_call>",
            f"<tool_call>{call('a(')[:-6]}</tool_call>",
            "- ",
            "not ",
            "lambda:",
        ),
    ]
}


def seconds_for(text: str, finish_reason: str) -> float:
    """Processor seconds, without the time of other processes."""
    begun = time.process_time()
    recover(
        Reply(content=text, finish_reason=finish_reason),
        turn=1,
        accept_fences=True,
        executed_code=["a()"],
        tool_params=OTHERS,
    )
    return time.process_time() - begun


LONG_CHARS, LIMIT_S = 128_000, 5
"""A linear search takes under a second, a quadratic one well over twenty."""


@pytest.mark.parametrize("prefix", ["", "{", '<tool_call>{"name": "run_python", "arguments": {"code": "'])
@pytest.mark.parametrize("family", ADVERSARIES)
def test_time_grows_no_faster_than_the_text(family: str, prefix: str) -> None:
    assert seconds_for(prefix + ADVERSARIES[family](LONG_CHARS), "length") < LIMIT_S


MEMBERS = [
    "'code':",
    "'x',",
    "'code':'x',",
    "'code':'x y',",
    "'name':'run_python',",
    "run_python",
    "\nrun_python({",
    "(",
]
repeated = st.lists(st.sampled_from(PIECES + MEMBERS), max_size=4).map("".join)


@given(repeated, repeated.filter(bool), st.sampled_from(["stop", "length"]))
@example("```", " ", "stop")
@example("```python\nrun_python", "\\", "stop")
@example("```tool_code\n", "\\\"\\'", "stop")
@example("<tool_call>{", "'code':'x',", "stop")
@example("\nrun_python({", "\"code\":'x',", "length")
@example("<function=run_python>", 'x = 1\\"', "stop")
@settings(max_examples=30, deadline=None)
def test_time_grows_no_faster_than_any_repeated_text(prefix: str, unit: str, finish_reason: str) -> None:
    assert seconds_for(prefix + unit * (LONG_CHARS // len(unit)), finish_reason) < LIMIT_S
