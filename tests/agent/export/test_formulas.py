r"""Mathematics in answers: MathML on the page, between dollars in notebooks and Markdown; what is code stays code."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agent.export import rich_text
from agent.export.formats import exported
from agent.export.formulas import with_dollars
from agent.export.markdown import contained
from agent.export.mathml import mathml
from tests.agent.export.runs import run

DOLLARS = {
    r"so \(a_1 b_1\) is *x*": "so $a_1 b_1$ is *x*",
    r"so \[x^2\] is": "so $$x^2$$ is",
    r"\( x \) and \[ y \]": "$x$ and $$y$$",
    "\\[\nx\n+ y\n= z\n\\]\nafter": "$$\nx\n{}+ y\n= z\n$$\nafter",
    "> \\[\n> a\n> \\]": "> $$\n> a\n> $$",
    "- \\[ x \\]\n- \\(y\\)": "- $$x$$\n- $y$",
    "| a |\n|---|\n| \\(x_1\\) |": "| a |\n|---|\n| $x_1$ |",
    r"# **\(h\)**": "# **$h$**",
    r"\(a<b>c\)": r"$a\lt b>c$",
    r"$a_1$ and $$b_2$$": "$a_1$ and $$b_2$$",
    "costs $5": "costs $5",
    "costs $5 and $10": r"costs \$5 and \$10",
    r"costs $5, so \(x\)": r"costs \$5, so $x$",
    r"costs \$5, so \(x\)": r"costs \$5, so $x$",
    "from $5-$10, US$5 or A$6, $HOME/$USER": r"from \$5-\$10, US\$5 or A\$6, \$HOME/\$USER",
    r"\(\text{cost: } \$5\)": r"$\text{cost: } \$5$",
}
AS_WRITTEN = [
    r"`\(x\)` and ``\[`y`\]`` and `$z$`",
    "```\n\\(x\\)\n```",
    "a\n\n    \\(x\\)\n",
    "```latex\n\\[\nx\n\\]\n$a$ $5\n```",
    r"\\(x\\)",
    r"\(x",
    r"x\)",
    r"\( \)",
    "\\(a\n\nb\\)",
    "f(x) [y]",
    r"C:\dir\(x86)",
]


@pytest.mark.parametrize("text", DOLLARS)
def test_formulas_are_between_dollars_in_markdown_and_notebooks(text: str) -> None:
    shown = DOLLARS[text]
    assert "".join(contained(text)) == shown
    assert f"## Answer\n\n{shown}\n" in exported(run(answer=text), "md")
    sources = [cell["source"] for cell in json.loads(exported(run(answer=text), "ipynb"))["cells"]]
    assert f"## Answer\n\n{shown}" in sources


@pytest.mark.parametrize("text", DOLLARS)
def test_what_is_between_dollars_stays_as_it_is(text: str) -> None:
    assert with_dollars(DOLLARS[text]) == DOLLARS[text]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_code_and_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert with_dollars(text) == text
    assert "<math" not in "".join(rich_text.markdown(text))


def on_the_page(text: str) -> str:
    (answer,) = re.findall(r'<h3 class="label">Answer</h3>\n(.*?)</section>', exported(run(answer=text), "html"), re.S)
    return str(answer).strip()


SHOWN = {
    r"so \(a_1 b_1\)": (
        "<p>so <math><mrow><msub><mi>a</mi><mn>1</mn></msub><msub><mi>b</mi><mn>1</mn></msub></mrow></math></p>"
    ),
    r"\[x\]": '<p><math display="block"><mrow><mi>x</mi></mrow></math></p>',
    "$$\nx\n+ y\n$$": '<p><math display="block"><mrow><mi>x</mi><mo>+</mo><mi>y</mi></mrow></math></p>',
    "$x$ for $5 or $6": "<p><math><mrow><mi>x</mi></mrow></math> for $5 or $6</p>",
    r"a `\(x\)`": r"<p>a <code>\(x\)</code></p>",
    r"\(\unknown_1{x}_2\)": r"<p>\(\unknown_1{x}_2\)</p>",
    r"\(x^\) \(\frac\)": r"<p>\(x^\) \(\frac\)</p>",
    r"\(\text{<b>}\)": "<p><math><mrow><mtext>&lt;b&gt;</mtext></mrow></math></p>",
    r"\(\href{javascript:alert(1)}{x}\)": ("<p><math><mrow><mrow><mrow><mi>x</mi></mrow></mrow></mrow></math></p>"),
}


@pytest.mark.parametrize("text", SHOWN)
def test_the_page_shows_formulas_without_a_script(text: str) -> None:
    assert on_the_page(text) == SHOWN[text]


@pytest.mark.parametrize("name", ["aligned", "align", "align*", "split", "gathered", "cases", "pmatrix"])
def test_lines_of_a_formula_are_a_table(name: str) -> None:
    written = mathml(rf"\begin{{{name}}}a&=b\\[2pt]c&=d\end{{{name}}}", is_block=True)
    assert written
    assert written.count("<mtr>") == 2
    assert "2pt" not in re.sub("<[^>]*>", "", written)


class Seen(HTMLParser):
    """The elements and attributes of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


PARTS = st.sampled_from([
    *("\\(", "\\)", "\\[", "\\]", "$", "$$", "`", "\n", " ", "a", "_", "^", "{", "}", "&", "\\\\", "<", ">", "\\text{"),
    *("<script>", "\\href{javascript:x}", "\\style{x}", "\\class{a}", "\\color{red}", "\\frac", "\\left(", "&lt;b&gt;"),
    *("\\begin{matrix}", "\\end{matrix}", "\\hspace{999em}", "\\rule{9em}{9em}", "&#60;img", "5", "- ", "> ", "|"),
])  # fmt: skip


@given(st.lists(PARTS, max_size=30).map("".join))
def test_no_formula_acts_or_affects_what_is_around_it(text: str) -> None:
    seen = Seen("".join(rich_text.markdown(text)))
    assert not seen.tags & {"script", "img", "style", "b", "annotation-xml", "mglyph", "maction", "foreignobject"}
    assert not seen.attributes & {"style", "href", "id", "onclick", "xlink:href", "src"}
    shown = "".join(contained(text))
    kinds = [token.type for token in MarkdownIt("commonmark").parse(f"{shown}\n\nafter")]
    assert kinds[-3:] == ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (r"\($5 \times 3\)", r"$\$5 \times 3$"),
        (r"\[ a $ b \]", r"$$a \$ b$$"),
        (r"It costs $5, \(x\) costs $6.", r"It costs \$5, $x$ costs \$6."),
    ],
)
def test_a_dollar_between_brackets_belongs_to_the_formula(text: str, written: str) -> None:
    assert with_dollars(text) == with_dollars(written) == written


def test_a_formula_that_is_too_long_is_shown_as_written() -> None:
    assert mathml("x" * 2_001, is_block=False) is None
    assert mathml("{" * 1_000 + "}" * 1_000, is_block=False) is None
