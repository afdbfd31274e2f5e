"""Untrusted rich text as HTML that can neither act nor leave its place: code, Markdown, tables that code put out.

What comes out has no script, no style, no address but of links that one may follow, and nothing to be loaded.
"""

import re
from collections.abc import Sequence
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

from agent.export.markdown import MAX_MARKDOWN_CHARS
from agent.pycode import MAX_PARSED_CHARS
from agent.text import encodable, plain, visible

MAX_TAGS = 10_000
MAX_CLONED_TAGS = 200_000
"""Formatting tags times all tags: HTML repeats an open one in each block that follows, as a browser would."""

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


def clean(html: str) -> Markup | None:
    """HTML with what is harmless of it; None where it is too much to be looked through."""
    tags = html.count("<")
    if tags > MAX_TAGS or tags * len(_FORMATTING.findall(html)) > MAX_CLONED_TAGS:
        return None
    cleaned = nh3.clean(
        encodable(html), tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel=_REL, strip_comments=True
    )
    return Markup(cleaned)


def code(source: str) -> Markup:
    """Python as it ran, coloured by classes; escaped alone where it is too long."""
    text = visible(source).rstrip("\n")
    if len(text) > MAX_PARSED_CHARS:
        return Markup.escape(text)
    return Markup(highlight(text, _lexer(), _formatter()).rstrip("\n"))


def markdown(text: str) -> Markup:
    """A model's Markdown. HTML in it is text, pictures are links."""
    if len(text) > MAX_MARKDOWN_CHARS:
        return Markup("<pre>{}</pre>").format(plain(text))
    return Markup(_markdown().render(plain(text)))


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
    return reader


def _fence(text: str, language: str, _attributes: str) -> str:
    is_python = language.lower() in ("python", "py", "python3")
    return str(code(text) if is_python else Markup.escape(text))


def _link(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, environment: Any) -> str:
    tokens[place].attrSet("rel", _REL)
    return self.renderToken(tokens, place, options, environment)


def _aligned(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, environment: Any) -> str:
    """A cell's alignment as a class: the page's policy refuses styles in the text."""
    token = tokens[place]
    if style := token.attrs.pop("style", None):
        token.attrSet("class", str(style).removeprefix("text-align:"))
    return self.renderToken(tokens, place, options, environment)
