"""Every export format shows a cell exactly as it ran."""

import ast
import html
import json
import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from agent.export.formats import FORMATS, exported
from agent.messages import ToolCall
from agent.record.events import Event, ToolRan
from agent.text import has_control_characters, has_hidden_characters, visible
from sandbox import DisplayData, ErrorOutput, Execution, StreamOutput
from tests.agent.cli.test_view import ARGUMENTS, CODES
from tests.agent.export.runs import cell, replied, run
from tests.agent.export.test_py import running
from tests.agent.test_text import HONEST, HOSTILE, as_it_ran
from tests.samples import said

FAILED = Execution(status="error", outputs=[ErrorOutput(ename="E", evalue="e", traceback=["E: e"])])
IN_FILES = {name: code for name, code in CODES.items() if name != "in surrogates"}
"""A record, which is JSON in UTF-8, holds no lone surrogate."""
BAD = "a\x1b]0;owned\x07\x9b2J\x9d0;\x9c\u202eb\u200b"


def in_md(events: list[Event], language: str = "python") -> str:
    tokens = MarkdownIt("commonmark").parse(exported(events, "md"))
    (fence,) = [token for token in tokens if token.type == "fence" and token.info == language]
    return fence.content


def in_html(events: list[Event]) -> str:
    (source,) = re.findall(r'<pre class="source" tabindex="0"><code>(.*?)</code></pre>', exported(events, "html"), re.S)
    return html.unescape(re.sub(r"<[^>]*>", "", source))


def in_py(events: list[Event]) -> str:
    """The comment that a failed cell becomes."""
    _, _, rest = exported(events, "py").partition("failed: E: e\n")
    lines = rest.partition("\n\n")[0].split("\n")
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)


def in_ipynb(events: list[Event]) -> str:
    (source,) = [
        cell["source"] for cell in json.loads(exported(events, "ipynb"))["cells"] if cell["cell_type"] == "code"
    ]
    return str(source)


def in_responses(events: list[Event]) -> str:
    (call,) = [item for item in json.loads(exported(events, "responses")) if item["type"] == "code_interpreter_call"]
    return str(call["code"])


@pytest.mark.parametrize("case", CODES)
def test_code_on_a_page_and_in_markdown_is_what_ran(case: str) -> None:
    code, events = CODES[case], run(cell(CODES[case], FAILED))
    assert as_it_ran(in_md(events)) in (code, code + "\n")
    assert as_it_ran(in_html(events)) == code.rstrip("\n")


@given(HOSTILE)
def test_whatever_ran_is_shown(code: str) -> None:
    events = run(cell(code, FAILED))
    assert in_md(events) in (visible(code), visible(code) + "\n")
    assert in_html(events) == visible(code).rstrip("\n")


@pytest.mark.parametrize("case", CODES)
def test_the_whole_code_of_a_failed_cell_is_a_comment_in_a_script(case: str) -> None:
    code, events = CODES[case], run(cell(CODES[case], FAILED))
    assert as_it_ran(in_py(events)).rstrip("\n") == code.rstrip("\n")


@pytest.mark.parametrize("case", IN_FILES)
def test_notebooks_and_api_items_hold_the_code_itself(case: str) -> None:
    code, events = CODES[case], run(cell(CODES[case], FAILED))
    assert in_ipynb(events) == code
    assert in_responses(events) == code


def test_a_notebook_names_what_its_editor_would_not_show() -> None:
    code = "# harmless\rimport os"
    first, second = [cell["source"] for cell in json.loads(exported(run(cell(code, FAILED)), "ipynb"))["cells"]][1:3]
    assert first == (
        "The next cell holds characters that are not seen, named here:\n\n```python\n# harmless<U+000D>\nimport os\n```"
    )
    assert second == code


def test_a_script_runs_invisible_characters_from_a_string_that_escapes_them() -> None:
    code = "x = '\u202eb'  # \rprint(len(x))"
    script = exported(run(cell(code, Execution(status="ok", outputs=[]))), "py")
    assert "run_cell(\"x = '\\u202eb'  # \\rprint(len(x))\\n\")\n" in script


def test_such_a_script_does_what_the_cell_did(tmp_path: Path) -> None:
    code = "x = '\u202eb'  # \rprint(len(x))\n!touch made\u200b"
    script = exported(run(cell(code, Execution(status="ok", outputs=[]))), "py")
    assert running(script, tmp_path) == "2\n"
    assert (tmp_path / "made\u200b").exists()


def test_windows_line_ends_are_unchanged_in_a_script() -> None:
    script = exported(run(cell("x = 1\r\nprint(x)\r\n", Execution(status="ok", outputs=[]))), "py")
    assert "\nx = 1\nprint(x)\n" in script


def called(arguments: str, tool: str = "f", returned: str = "x") -> list[Event]:
    call = ToolCall(id="call_a", name=tool, arguments=arguments)
    ran = ToolRan(call_id="call_a", tool=tool, arguments=arguments, code=None, execution=None, observation=returned)
    return run([replied("", call), said(ran)])


def test_arguments_are_shown_as_they_were_given() -> None:
    events = called(ARGUMENTS)
    assert as_it_ran(in_md(events, "json")) == ARGUMENTS + "\n"
    assert as_it_ran(in_html(events)) == ARGUMENTS
    notebook = json.loads(exported(events, "ipynb"))
    (told,) = [cell["source"] for cell in notebook["cells"] if "a function of the user's" in cell["source"]]
    assert f"```json\n{visible(ARGUMENTS)}\n```" in told


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_has_no_terminal_controls_and_reverses_no_text(to: str) -> None:
    bundles = [
        {"text/html": f"<p>{BAD}&#x202e;&rlm;</p>", "text/plain": BAD},
        {"text/markdown": f"{BAD} &#x202e; &rlm;"},
        {"text/latex": BAD},
        {"application/json": {BAD: BAD}},
        {BAD: BAD},
        {"image/svg+xml": f"<svg>{BAD}</svg>", "text/plain": BAD},
    ]
    outputs = [StreamOutput(name="stdout", text=BAD), *(DisplayData(data=bundle) for bundle in bundles)]
    turns = [cell(f"# {BAD}", Execution(status=status, outputs=outputs, cause=BAD)) for status in ("ok", "died")]
    thought: list[Event] = [replied(f"{BAD} &#x202e; &rlm;", reasoning=BAD)]
    text = exported(run(*turns, thought, *[called(BAD, BAD, BAD)[1:3]], task=BAD, answer=f"{BAD} &rlm;"), to)
    assert not has_control_characters(text)
    assert not has_control_characters(html.unescape(text)) or to != "html"


def test_markdown_whose_references_would_turn_the_text_is_shown_as_it_is() -> None:
    for answer in ("a &#x202e;b", "a &rlm;b", "[a&#8238;](https://b.c)"):
        assert f"```text\n{answer}\n```" in exported(run(answer=answer), "md")


@pytest.mark.parametrize("case", HONEST)
def test_harmless_text_in_any_writing_system_is_unchanged(case: str) -> None:
    for to in ("md", "html"):
        assert HONEST[case] in exported(run(answer=HONEST[case]), to)


UNSEEN = {
    "a name that is blank": "\u3164 = 1\nprint(\u3164)",
    "a blank in a text": "print('a\u2800b')",
    "a flood of marks": "print('a" + "\u0301" * 9 + "')",
    "a variation in a comment": "print(1)  # \ufe0f",
    "a space of no width": "print('a\u200bb')",
    "a joiner": "print('a\u200db')",
    "a filler in a comment": "print(1)  # \u115f\u1160",
    "a space that does not break": "print('a\xa0b')",
    "private use": "print('\ue000')",
}


@pytest.mark.parametrize("case", UNSEEN)
def test_no_script_has_raw_invisible_characters_and_a_notebook_names_them_beside_the_cell(case: str) -> None:
    code = UNSEEN[case]
    events = run(cell(code, Execution(status="ok", outputs=[])))
    script = exported(events, "py")
    assert not has_hidden_characters(script)
    (call,) = re.findall(r"^run_cell\((.*)\)$", script, re.MULTILINE)
    assert ast.literal_eval(call) == code + "\n"
    named, source = [
        cell["source"]
        for cell in json.loads(exported(events, "ipynb"))["cells"]
        if code in cell["source"] or visible(code) in cell["source"]
    ]
    assert visible(code) in named
    assert "characters that are not seen" in named
    assert source == code


@given(HOSTILE)
def test_no_script_hides_anything(code: str) -> None:
    assert not has_hidden_characters(exported(run(cell(code, Execution(status="ok", outputs=[]))), "py"))


@pytest.mark.parametrize("code", ["print(1)\r\nprint('<U+001B>')", "print('\u4e2d\u6587 \u05e9 e\u0301')"])
def test_code_without_invisible_characters_is_unchanged(code: str) -> None:
    events = run(cell(code, Execution(status="ok", outputs=[])))
    assert code.replace("\r\n", "\n") in exported(events, "py")
    assert "not seen" not in exported(events, "ipynb")


@pytest.mark.parametrize("status", ["ok", "error"])
@pytest.mark.parametrize("to", ["md", "html", "ipynb"])
def test_a_cell_of_invisible_characters_alone_is_cut_where_it_is_shown(to: str, status: Literal["ok", "error"]) -> None:
    code = "# " + "\x01" * 2_000_000
    text = exported(run(cell(code, Execution(status=status, outputs=[]))), to)
    assert "characters are left out here; the record of the run has them all" in html.unescape(text)
    assert len(text) < 6_000_000


def test_a_cell_of_invisible_characters_alone_stays_runnable_in_a_script() -> None:
    code = "# " + "\x01" * 2_000_000 + "\nanswer = 42"
    script = exported(run(cell(code, Execution(status="ok", outputs=[]))), "py")
    (call,) = re.findall(r"^run_cell\((.*)\)$", script, re.MULTILINE)
    assert ast.literal_eval(call) == code + "\n"
