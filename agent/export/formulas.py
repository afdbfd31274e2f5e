r"""Mathematics in Markdown: `\( … \)`, `\[ … \]`, `$ … $` and `$$ … $$`, but no `$` of money.

`plugin` makes markdown-it read them, and `with_dollars` writes them all in the form that notebooks and viewers of
Markdown read.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_TEXT = r"(?:[^\\$\n]|\\[^()\[\]\n]|\n(?![ \t>]*(?:\n|\Z)))"
"""A character of a formula; no line of it is blank."""
_FORMULA = rf"""
    \\\((?P<round>(?:{_TEXT}|\$)++)\\\)
    |\\\[(?P<square>(?:{_TEXT}|\$)++)\\\]
    |(?<![\\$])\$\$(?P<double>{_TEXT}++)\$\$(?!\$)
    |(?<![\w$\\])\$(?!\s)(?P<single>{_TEXT}++)(?<!\s)\$(?![\w$])
"""
_INLINE = re.compile(_FORMULA, re.VERBOSE)
_CODE = r"(?<!`)(?P<ticks>`++).*?(?<!`)(?P=ticks)(?!`)|<[^<>\s]++>"
_WRITTEN = re.compile(rf"{_CODE}|{_FORMULA}|\\.|(?P<money>\$)", re.VERBOSE | re.DOTALL)
_CLOSING = {"\\[": "\\]", "$$": "$$"}
_MAX_LINES = 100
_DOLLAR = re.compile(r"(\\.)|\$", re.DOTALL)
_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_LINE_OF_BLOCK = re.compile(r"(?<=\n)(?P<before>[ \t>]*)(?=[-+*#]|=+[ \t]*\n|\d+[.)])")
_MARKS = {"round": "$", "single": "$", "square": "$$", "double": "$$"}


def plugin(reader: MarkdownIt) -> None:
    """Formulas as tokens `math_inline` and `math_block`.

    The `markup` of a token is the formula as it was written, and its `info` the dollars for it.
    """
    reader.inline.ruler.before("escape", "math_inline", _inline)
    reader.block.ruler.before("fence", "math_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def with_dollars(text: str) -> str:
    """The Markdown with its formulas between dollars. A dollar of money is escaped if another could pair with it."""
    if "$" not in text and "\\" not in text:
        return text
    tokens = MarkdownIt("commonmark").enable("table").use(plugin).parse(text)
    lines = text.split("\n")
    escape = r"\$" if text.count("$") > 1 or "\\(" in text or "\\[" in text else "$"
    for token in tokens:
        if token.map and token.type in ("inline", "tr_open", "math_block"):
            begin, end = token.map
            written = "\n".join(lines[begin:end])
            lines[begin:end] = _WRITTEN.sub(lambda match: _between_dollars(match, escape), written).split("\n")
    return "\n".join(lines)


def _between_dollars(match: re.Match[str], money: str) -> str:
    kind = match.lastgroup
    if kind == "money":
        return money
    if kind not in _MARKS or match[kind].isspace():
        return match[0]
    text = match[kind] if "\n" in match[kind] else match[kind].strip()
    text = _LINE_OF_BLOCK.sub(r"\g<before>{}", _TAG.sub(r"\\lt ", _content(text)))
    return f"{_MARKS[kind]}{text}{_MARKS[kind]}"


def _content(formula: str) -> str:
    """A formula with each dollar escaped: between brackets it needs no backslash."""
    return _DOLLAR.sub(lambda found: found[1] or r"\$", formula)


def _inline(state: StateInline, silent: bool) -> bool:
    match = _INLINE.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.content, token.markup, token.info = (
            _content(match[match.lastgroup or 0]),
            match[0],
            _MARKS[match.lastgroup or ""],
        )
    state.pos = match.end()
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula that begins and ends a line: no line of it is a list or a heading."""
    begin = state.bMarks[start] + state.tShift[start]
    closing = _CLOSING.get(state.src[begin : begin + 2])
    if closing is None or state.is_code_block(start):
        return False
    for last in range(start, min(end, start + _MAX_LINES)):
        if state.isEmpty(last) or (last > start and state.sCount[last] < state.blkIndent):
            return False
        if state.src[begin + 2 : state.eMarks[last]].rstrip().endswith(closing):
            return _is_block(state, start, last + 1, silent)
    return False


def _is_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    written = state.getLines(start, end, state.blkIndent, False).strip()
    match = _INLINE.fullmatch(written)
    if not match:
        return False
    if not silent:
        token = state.push("math_block", "math", 0)
        token.block, token.map = True, [start, end]
        token.content, token.markup, token.info = _content(match[match.lastgroup or 0]), written, "$$"
        state.line = end
    return True
