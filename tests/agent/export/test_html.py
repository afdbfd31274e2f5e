"""The source of the page: its policy, and what it keeps of rich output. `test_browser.py` tests how it behaves."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from agent.export import rich_text
from agent.export.formats import exported
from agent.record.events import QuestionFinished, UnaskedFilter
from sandbox import DisplayData, Execution
from tests.agent.export.runs import cell, run
from tests.golden.scenarios import TABLE
from tests.golden.writing import RUNS

PAGES = {run.name: (RUNS / run.name / "export.html").read_text() for run in sorted(RUNS.iterdir())}


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_allows_the_page_s_own_style_and_no_more(name: str) -> None:
    page = PAGES[name]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', page)
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


class Elements(HTMLParser):
    """The elements of a page, and the names of all attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_an_element_or_an_attribute_that_could_act(name: str) -> None:
    found = Elements(PAGES[name])
    assert not {"script", "iframe", "form", "input", "base", "object", "embed", "svg", "template"} & set(found.tags)
    assert (found.tags["style"], found.tags["link"], found.tags["meta"]) == (1, 1, 6)
    assert found.attributes <= {
        *("http-equiv", "content", "name", "charset", "lang", "rel", "href", "src", "alt", "class", "id", "tabindex"),
        *("aria-label", "stretchy"),
    }


def test_a_table_stays_a_table() -> None:
    page = exported(
        run(cell("frame", Execution(status="ok", outputs=[DisplayData(data={"text/html": TABLE})]))), "html"
    )
    assert "<td>bolt</td><td>0.40</td>" in page
    assert "vertical-align: top; }\n</style>" not in page.partition("</head>")[2]


def test_html_that_is_too_large_to_clean_is_shown_as_text() -> None:
    for html in ("<td>" * 10_001, "<b a>" * 100 + "<p>" * 3_000, "&" * 150_000):
        data = {"text/html": html, "text/plain": "short"}
        page = exported(run(cell("1", Execution(status="ok", outputs=[DisplayData(data=data)]))), "html")
        assert '<pre class="output text" tabindex="0"><code>short</code></pre>' in page


def test_html_without_harmless_content_is_shown_as_text() -> None:
    data = {"text/html": "<script>1</script> <!-- a -->", "text/plain": "<Widget>"}
    page = exported(run(cell("1", Execution(status="ok", outputs=[DisplayData(data=data)]))), "html")
    assert "<code>&lt;Widget&gt;</code>" in page


def test_code_has_its_colours_by_class() -> None:
    assert "".join(rich_text.code("def f(): 1 < 2")).startswith('<span class="k">def</span>')
    assert "&lt;" in "".join(rich_text.code("1 < 2"))


def test_code_keeps_its_first_and_inner_lines() -> None:
    assert re.sub("<.*?>", "", "".join(rich_text.code("\n\n  a\n\n\tb\n"))) == "\n\n  a\n\n\tb"


MARKDOWN = {
    "[a](https://b.c)": '<p><a href="https://b.c" rel="noopener noreferrer nofollow">a</a></p>\n',
    "[a](javascript:b)": "<p>[a](javascript:b)</p>\n",
    "[a](//b.c)": "<p>[a](//b.c)</p>\n",
    "[a](JaVaScRiPt&#58;b)": "<p>[a](JaVaScRiPt:b)</p>\n",
    "![a](https://b.c/d.png)": '<p>!<a href="https://b.c/d.png" rel="noopener noreferrer nofollow">a</a></p>\n',
    "<b>a</b>": "<p>&lt;b&gt;a&lt;/b&gt;</p>\n",
    "```py\n1\n```": '<pre><code class="language-py"><span class="mi">1</span></code></pre>\n',
    '```"><x\n<\n```': '<pre><code class="language-&quot;&gt;&lt;x">&lt;\n</code></pre>\n',
    "|a|\n|-:|\n|1|": (
        '<table>\n<thead>\n<tr>\n<th class="right">a</th>\n</tr>\n</thead>\n'
        '<tbody>\n<tr>\n<td class="right">1</td>\n</tr>\n</tbody>\n</table>\n'
    ),
}


@pytest.mark.parametrize("text", MARKDOWN)
def test_markdown_becomes_html_that_has_nothing_of_its_own(text: str) -> None:
    assert "".join(rich_text.markdown(text)) == MARKDOWN[text]


def test_what_programs_chose_rows_by_without_being_asked_to_is_a_remark_of_every_readable_format() -> None:
    *events, end = run(cell("f()", Execution(status="ok")))
    unasked = [UnaskedFilter(value="<Möbel>", column="Gruppe", cell=1)]
    events = [*events, QuestionFinished(outcome="answered", answer="That.", unasked=unasked), end]
    assert "not in the question: &#34;&lt;Möbel&gt;&#34; filters in cell 1" in exported(events, "html")
    assert "filters in cell 1" in exported(events, "md")
