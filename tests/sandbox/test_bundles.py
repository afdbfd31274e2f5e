"""What a reader of text sees of a rich output: its content, and not the name of its type."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bundles import bundle_text, text_of_html

DISPLAYED = "<IPython.core.display.Markdown object>"
STYLED = "<pandas.io.formats.style.Styler at 0x7f3a5c>"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text/plain": "42"}, "42"),
        ({"text/plain": "   a\n0  1", "text/html": "<table></table>"}, "   a\n0  1"),
        ({"text/plain": "x**2", "text/latex": "$x^2$"}, "x**2"),
        ({"text/plain": DISPLAYED, "text/markdown": "# Sales"}, "# Sales"),
        ({"text/plain": "<IPython.core.display.Latex object>", "text/latex": "$x^2$"}, "$x^2$"),
        ({"text/plain": "<IPython.core.display.JSON object>", "application/json": {"é": [1]}}, '{"é": [1]}'),
        ({"text/plain": "<IPython.core.display.HTML object>", "text/html": "<b>1</b> &lt; 2"}, "1 < 2"),
        ({"text/plain": STYLED, "text/html": "<table><tr><td>1</td></tr></table>"}, "1"),
        ({"text/plain": "<__main__.Widget object at 0x7f>"}, "<__main__.Widget object at 0x7f>"),
        ({"text/plain": "<Widget>", "text/html": "<i>1</i>"}, "<Widget>"),
        ({"text/html": "<i>only</i> HTML"}, "only HTML"),
        ({"text/markdown": ["# a\n", "b"]}, "# a\nb"),
        (
            {"text/plain": "<IPython.core.display.HTML object>", "text/html": "<script>1</script>"},
            DISPLAYED.replace("Markdown", "HTML"),
        ),
        ({"text/x-own": "mine"}, "mine"),
        ({"application/x-own": {"a": 1}}, '{"application/x-own": "..."}'),
        ({}, "{}"),
    ],
)
def test_the_plainest_text_that_has_content_is_read(data: dict[str, Any], text: str) -> None:
    assert bundle_text(data) == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<style>td {color: red}</style><p>a</p>\n<p>b</p>", "a\nb"),
        (
            "<table><thead><tr><th>city</th><th>n</th></tr></thead><tr><td>Köln</td><td>3</td></tr></table>",
            "city | n\nKöln | 3",
        ),
        ("<tr><td></td><td>2</td></tr>", "2"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("1 < 2 &amp;&amp; 3 > 2", "1 < 2 && 3 > 2"),
        ("a <!-- <b>unseen</b> --> b", "a b"),
        ("a <!-- never closed", "a"),
        ("<script>if (a < b) {</script>shown", "shown"),
        ("<SCRIPT>x</SCRIPT>y", "y"),
        ("line\nwrapped   here", "line wrapped here"),
    ],
)
def test_a_page_is_read_as_its_text(page: str, text: str) -> None:
    assert text_of_html(page) == text


@given(
    st.lists(
        st.sampled_from(["<", ">", "<!--", "-->", "<td>", "</td>", "<script>", "</script>", "a", "\n", "&lt;"])
    ).map("".join)
)
def test_any_page_gives_a_text_without_blank_lines(page: str) -> None:
    assert all(line.strip() for line in text_of_html(page).split("\n") if text_of_html(page))


@pytest.mark.parametrize("piece", ["<", "<!--", "<script>", "<a ", "</", "&", "<td>"])
def test_a_hostile_page_takes_linear_time(piece: str) -> None:
    text_of_html(piece * 1_000_000)
