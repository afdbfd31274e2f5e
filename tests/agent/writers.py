"""Ways in which models write a call, for the tests of recovery: each renders code, exactly or not at all."""

import html
import json
from collections.abc import Callable

CallWriter = Callable[[str], str]


def arguments(code: str) -> str:
    return json.dumps({"code": code})


def call(code: str, key: str = "code") -> str:
    return json.dumps({"name": "run_python", "arguments": {key: code}})


def xml(code: str) -> str:
    return f"<function=run_python>\n<parameter=code>\n{code}\n</parameter>\n</function>"


def raw_newlines(code: str) -> str:
    return call("CODE").replace("CODE", "\n".join(json.dumps(line)[1:-1] for line in code.split("\n")))


WRITERS: dict[str, CallWriter] = {
    "tag": lambda code: f"<tool_call>\n{call(code)}\n</tool_call>",
    "tag, unclosed": lambda code: f"<tool_call>\n{call(code)}",
    "tag, of another parser": lambda code: f"<tools>\n{call(code)}\n</tools>",
    "tag around a fence": lambda code: f"<tool_call>\n```json\n{call(code)}\n```\n</tool_call>",
    "tag around bare arguments": lambda code: f"<tool_call>{arguments(code)}</tool_call>",
    "tag around a list": lambda code: f"<tool_call>[{call(code)}]</tool_call>",
    "xml": lambda code: f"<tool_call>\n{xml(code)}\n</tool_call>",
    "xml, no outer tag": xml,
    "xml, no newlines": lambda code: f"<function=run_python><parameter=code>\n{code}\n</parameter></function>",
    "xml, unclosed": lambda code: f"<tool_call>\n<function=run_python>\n<parameter=code>\n{code}\n</parameter>",
    "xml, closed by the function": lambda code: f"<function=run_python>\n<parameter=code>\n{code}\n</function>",
    "xml, closed by the tag": lambda code: f"<tool_call><function=run_python><parameter=code>\n{code}\n</tool_call>",
    "xml, names as attributes": lambda code: (
        f'<function name="run_python"><parameter name="code">\n{code}\n</parameter></function>'
    ),
    "xml, spaced": lambda code: (
        f'<function = run_python >\n<parameter = code type="string">\n{code}\n</parameter >\n</function >'
    ),
    "xml, names at the ends": lambda code: (
        f"<function=run_python>\n<parameter=code>\n{code}\n</parameter=code>\n</function=run_python>"
    ),
    "xml, as character data": lambda code: xml(f"<![CDATA[\n{code}\n]]>"),
    "json in a function tag": lambda code: f"<function=run_python>{arguments(code)}</function>",
    "json fence": lambda code: f"```json\n{call(code)}\n```",
    "json fence, unclosed": lambda code: f"```json\n{call(code)}",
    "json fence, one line": lambda code: f"```json {call(code)}```",
    "json in a python fence": lambda code: f"```python\n{call(code)}\n```",
    "fence without a language": lambda code: f"```\n{call(code)}\n```",
    "windows fence": lambda code: f"```json\r\n{call(code)}\r\n```\r\n",
    "template braces": lambda code: "```json\n{" + call(code) + "}\n```",
    "bare object": call,
    "bare object, pretty": lambda code: json.dumps(json.loads(call(code)), indent=2, ensure_ascii=False),
    "bare object with a token": lambda code: f"{call(code)}<|im_end|>",
    "bare object after prose": lambda code: f"Let me see.\n{call(code)}",
    "bare object after a colon": lambda code: f"This is the call: {call(code)}",
    "list": lambda code: f"[{call(code)}]",
    "another name": lambda code: call(code, "script"),
    "arguments are the code": lambda code: json.dumps({"name": "run_python", "arguments": code}),
    "arguments are json": lambda code: json.dumps({"name": "run_python", "arguments": arguments(code)}),
    "arguments lie flat": lambda code: json.dumps({"name": "run_python", "code": code}),
    "parameters": lambda code: json.dumps({"name": "run_python", "parameters": {"code": code}}),
    "openai": lambda code: json.dumps(
        {"type": "function", "function": {"name": "run_python", "arguments": arguments(code)}}
    ),
    "openai, listed": lambda code: json.dumps({"tool_calls": [{"function": json.loads(call(code))}]}),
    "openai, legacy": lambda code: json.dumps({"function_call": json.loads(call(code))}),
    "names without quotes": lambda code: f'{{name: "run_python", arguments: {{code: {json.dumps(code)}}}}}',
    "comments": lambda code: (
        f'{{\n  // call\n  "name": "run_python", # "run"\n  "arguments": {{"code": {json.dumps(code)}}} /* "}} */\n}}'
    ),
    "name as key": lambda code: json.dumps({"run_python": {"code": code}}),
    "lines": lambda code: json.dumps({"name": "run_python", "arguments": {"code": code.split("\n")}}),
    "trailing comma": lambda code: f'{{"name": "run_python", "arguments": {{"code": {json.dumps(code)},}},}}',
    "raw newlines": raw_newlines,
    "raw newlines in a tag": lambda code: f"<tool_call>{raw_newlines(code)}</tool_call>",
    "python literal": lambda code: repr({"name": "run_python", "arguments": {"code": code}}),
    "triple quotes": lambda code: f'{{"name": "run_python", "arguments": {{"code": """{code}"""}}}}',
    "triple single quotes": lambda code: f"{{'name': 'run_python', 'arguments': {{'code': '''{code}'''}}}}",
    "bare arguments under another name": lambda code: json.dumps({"language": "python", "python_code": code}),
    "written": lambda code: f"run_python(code={code!r})",
    "written without a name": lambda code: f"I will.\nrun_python({json.dumps(code)})",
    "written and assigned": lambda code: f"result = run_python({code!r})",
    "written with an object": lambda code: f"run_python({arguments(code)})",
    "written in a tag": lambda code: f"<tool_call>\nrun_python(code={code!r})\n</tool_call>",
    "written in a fence with an object": lambda code: f"```python\nrun_python({arguments(code)})\n```",
    "bare arguments in a python fence": lambda code: f"```python\n{arguments(code)}\n```",
    "written in a fence": lambda code: f"```python\nresult = run_python(code={code!r})\nprint(result)\n```",
    "assigned in a fence": lambda code: f"```python\ncode = {code!r}\nrun_python(code)\n```",
    "python fence": lambda code: f"```python\n{code}\n```",
    "py fence": lambda code: f"I will.\n```py\n{code}\n```",
    "python fence with a title": lambda code: f'1. Run:\n   ```python title="run.py"\n{code}\n```',
    "python fence in braces": lambda code: f"```{{python}}\n{code}\n```",
    "python tildes": lambda code: f"~~~python\n{code}\n~~~",
    "python tildes, unclosed": lambda code: f"I will.\n~~~py\n{code}\n",
    "json in tildes": lambda code: f"~~~json\n{call(code)}\n~~~",
    "tildes without a language": lambda code: f"~~~\n{call(code)}\n~~~",
    "tag around tildes": lambda code: f"<tool_call>\n~~~json\n{call(code)}\n~~~\n</tool_call>",
    "camel case": lambda code: f"Let me see.\n{call(code).replace('run_python', 'runPython', 1)}",
    "camel case in a tag": lambda code: f"<tool_call>{call(code).replace('run_python', 'runPython', 1)}</tool_call>",
    "capitals in xml": lambda code: xml(code).replace("run_python", "Run_Python", 1),
    "camel case, written": lambda code: f"runPython(code={code!r})",
    "camel case, written in a fence": lambda code: f"```python\nprint(runPython({code!r}))\n```",
    "camel case as key": lambda code: json.dumps({"runPython": {"code": code}}),
    "fenced arguments": lambda code: json.dumps(
        {"name": "run_python", "arguments": f"```json\n{arguments(code)}\n```"}
    ),
    "listed arguments": lambda code: json.dumps({"name": "run_python", "arguments": [{"code": code}]}),
    "python3 fence": lambda code: f"```python3\n{code}\n```",
    "tool_code fence": lambda code: f"```tool_code\n{code}\n```",
    "python fence, unclosed": lambda code: f"```python\n{code}\n",
    "fence of no language": lambda code: f"```\n{code}\n```",
}
LOSSY: dict[str, CallWriter] = {
    "code in a tag": lambda code: f"<tool_call>\n{code}\n</tool_call>",
    "fence of four": lambda code: f"````python\n{code}\n````",
    "quotes left unescaped": lambda code: f'{{"name": "run_python", "arguments": {{"code": "{code}"}}}}',
    "a sum of strings": lambda code: call("CODE").replace(
        '"CODE"', " + ".join(json.dumps(line, ensure_ascii=False) for line in code.splitlines(keepends=True))
    ),
    "a fence for quotes": lambda code: call("CODE").replace('"CODE"', f"```python\n{code}\n```"),
    "arguments in quotes left unescaped": lambda code: f'{{"name": "run_python", "arguments": "{arguments(code)}"}}',
    "no closing quote": lambda code: call(code).removesuffix('"}}') + "}}",
    "no closing braces": lambda code: call(code).removesuffix("}}"),
    "nothing closed": lambda code: call(code).removesuffix('"}}'),
    "escaped twice": lambda code: call(code.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')),
    "fenced inside": lambda code: call(f"```python\n{code}\n```"),
    "fenced inside, unclosed": lambda code: call(f"```python\n{code}"),
    "indented": lambda code: call("\n".join(f"    {line}" for line in code.split("\n"))),
    "entities": lambda code: f"<tool_call>{xml(html.escape(code))}</tool_call>",
    "windows newlines": lambda code: call(code.replace("\n", "\r\n")),
    "a response inside": lambda code: call(f"{code}\n<tool_response>\n42\n</tool_response>"),
    "a token inside": lambda code: call(f"{code}\n<|im_end|>"),
    "an invented response": lambda code: (
        f"<tool_call>{call(code)}</tool_call>\n<tool_response>42</tool_response>\n<tool_call>{call('x')}</tool_call>"
    ),
    "an invented dialogue": lambda code: f"{call(code)}<|im_end|>\n<|im_start|>user\n{call('x')}",
}
"""Readable, but only by what Python is: they lose what the code was where the code is no Python."""
