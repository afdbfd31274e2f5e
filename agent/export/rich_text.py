"""Turns untrusted rich text (code, Markdown, the HTML of outputs) into inert HTML.

The result has no script and no style, loads nothing, and has no URLs except those of links.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from agent.export import formulas
from agent.export.markdown import MAX_MARKDOWN_CHARS
from agent.export.mathml import mathml
from agent.export.outputs import Text, pieces_in
from agent.pieces import pieces_of
from agent.pycode import MAX_PARSED_CHARS
from agent.text import encodable, plain, visible

MAX_TAGS = 10_000
MAX_CLONED_TAGS = 200_000
"""Formatting tags times all tags: the parser repeats an open formatting tag in each block after it."""
MAX_COPIED_CHARS = 20_000_000_000
"""Ampersands times all characters: nh3 copies the text before each, at 100 characters in a nanosecond."""
MAX_JSON_CHARS = 1 << 20
"""Of a value of type text/html that is not a string."""

_TAGS = {
    *("table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("p", "div", "span", "br", "hr", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li"),
    *("dl", "dt", "dd", "details", "summary", "figure", "figcaption"),
    *("a", "b", "i", "u", "s", "em", "strong", "code", "kbd", "samp", "var", "sub", "sup", "small", "mark"),
}
_ATTRIBUTES = {"a": {"href"}, "th": {"colspan", "rowspan", "scope"}, "td": {"colspan", "rowspan"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
_REL = "noopener noreferrer nofollow"
_FORMATTING = re.compile(r"<(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)\b", re.IGNORECASE)
_LINK = re.compile(r"(?:https?|mailto):", re.IGNORECASE)


def clean(text: Text) -> str | None:
    """The harmless part of the HTML; None if the HTML is too large to be cleaned."""
    html = text if isinstance(text, str) else text.head(MAX_JSON_CHARS + 1)
    if html is not text and len(html) > MAX_JSON_CHARS:
        return None
    tags = html.count("<")
    if tags > MAX_TAGS or tags * len(_FORMATTING.findall(html)) > MAX_CLONED_TAGS:
        return None
    if html.count("&") * len(html) > MAX_COPIED_CHARS:
        return None
    return nh3.clean(
        encodable(html), tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel=_REL, strip_comments=True
    )


def code(source: str) -> Iterator[str]:
    """Python as it ran, with classes for colours unless it is too long. The caller escapes what is not Markup."""
    text = visible(source).rstrip("\n")
    if len(text) > MAX_PARSED_CHARS:
        return pieces_of(text)
    return iter([Markup(highlight(text, _lexer(), _formatter()).rstrip("\n"))])


def markdown(text: Text) -> Iterator[str]:
    """A model's Markdown: HTML in it becomes text, pictures become links. The caller escapes what is not Markup."""
    head = text if isinstance(text, str) else text.head(MAX_MARKDOWN_CHARS + 1)
    if len(head) <= MAX_MARKDOWN_CHARS:
        yield Markup(_markdown().render(plain(head)))
        return
    yield Markup("<pre>")
    yield from pieces_in(plain(text) if isinstance(text, str) else text)
    yield Markup("</pre>")


@cache
def _lexer() -> PythonLexer:
    return PythonLexer(stripnl=False, ensurenl=False)


@cache
def _formatter() -> HtmlFormatter[str]:
    return HtmlFormatter(nowrap=True)


@cache
def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "highlight": _fence}).enable("table").disable("image")
    reader.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    reader.add_render_rule("link_open", _link)
    for tag in ("th_open", "td_open"):
        reader.add_render_rule(tag, _aligned)
    formulas.plugin(reader)
    for kind in ("math_inline", "math_block"):
        reader.add_render_rule(kind, _formula)
    return reader


def _fence(text: str, language: str, _attributes: str) -> str:
    is_python = language.lower() in ("python", "py", "python3")
    return "".join(map(Markup.escape, code(text) if is_python else [text]))


def _link(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, environment: Any) -> str:
    tokens[place].attrSet("rel", _REL)
    return self.renderToken(tokens, place, options, environment)


def _formula(_: RendererHTML, tokens: Sequence[Token], place: int, _options: Any, _environment: Any) -> str:
    """A formula that is not understood is shown as it was written."""
    token = tokens[place]
    shown = mathml(token.content, is_block=token.info == "$$") or Markup.escape(token.markup)
    return f"<p>{shown}</p>\n" if token.block else str(shown)


def _aligned(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, environment: Any) -> str:
    """A cell's alignment as a class: the page's policy refuses styles in the text."""
    token = tokens[place]
    if style := token.attrs.pop("style", None):
        token.attrSet("class", str(style).removeprefix("text-align:"))
    return self.renderToken(tokens, place, options, environment)
