"""Markdown: no text of a run affects the text around it."""

import pytest
from markdown_it import MarkdownIt

from agent.export.formats import exported
from agent.export.markdown import contained, escaped, fenced, in_code
from sandbox import DisplayData, Execution, StreamOutput
from tests.agent.export.runs import cell, run

CODES = ["plain", "a\n```\nb", "````", "`" * 30 + "\n" + "`" * 7, "~~~", "  ```", "```python\nx\n```"]


@pytest.mark.parametrize("text", CODES)
def test_a_fence_holds_whatever_it_is_given(text: str) -> None:
    (token,) = MarkdownIt("commonmark").parse("".join(fenced(text, "python")))
    assert (token.type, token.info, token.content) == ("fence", "python", f"{text}\n")


@pytest.mark.parametrize("text", ["a", "`a`", "a | b", "``", " `", "a\nb"])
def test_text_in_code_holds_whatever_it_is_given(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(f"| a |\n|---|\n| {in_code(text)} |")
    cell = next(
        token for token in tokens[tokens.index(next(t for t in tokens if t.type == "td_open")) :] if token.children
    )
    (only,) = cell.children or []
    assert (only.type, only.content.strip()) == ("code_inline", text.replace("\n", " ").strip())


@pytest.mark.parametrize(
    "text", ["*a* _b_ [c](d) <e> `f` # g ~h~ | $i$", "# a", "- a", "1. a", "---", "    a", "&amp;"]
)
def test_escaped_text_reads_as_it_stands(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse("".join(escaped(text)))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert "".join(child.content for child in tokens[1].children or []) == text.strip()


@pytest.mark.parametrize("text", ["**a**", "1. a\n2. b", "```python\nx\n```", "| a |\n|---|\n| b |", "a `<b>` c"])
def test_markdown_without_effect_on_later_text_is_unchanged(text: str) -> None:
    assert "".join(contained(text)) == text


@pytest.mark.parametrize("text", ["```python\nx", "<!-- a", "a <details> b", "<div>", "~~~\na"])
def test_markdown_that_would_hide_later_text_is_fenced(text: str) -> None:
    assert list(contained(text)) == list(fenced(text))


def test_a_file_is_one_file() -> None:
    png = "iVBORw0KGgo="
    outputs = [
        DisplayData(data={"image/png": f"{png}\n", "text/plain": "<Figure [1]>"}),
        DisplayData(data={"text/latex": "$$\\frac{1}{2}$$", "text/plain": "1/2"}),
        DisplayData(data={"application/json": {"b": 1, "a": [None]}}),
        DisplayData(data={"text/html": "<b>x</b>"}),
        StreamOutput(name="stdout", text="\x1b[31mred\x1b[0m\rnew\n"),
    ]
    text = exported(run(cell("1", Execution(status="ok", outputs=outputs))), "md")
    assert f"![\\<Figure \\[1\\]\\>](data:image/png;base64,{png})" in text
    assert "```math\n\\frac{1}{2}\n```" in text
    assert '```json\n{\n "a": [\n  null\n ],\n "b": 1\n}\n```' in text
    assert "```text\n<b>x</b>\n```" in text
    assert "```text\nnew\n```" in text
