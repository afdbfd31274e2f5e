"""Judge and tidy Python that a model wrote, by Python's grammar and never by running it."""

import ast
import html
import re
import warnings
from collections.abc import Iterable

MAX_PARSED_CHARS = 50_000
"""Longer code is not parsed: parsing costs about a microsecond a character, for each reading."""
INVENTED = re.compile(r"</?tool_response>|<\|(?:im_end|im_start|endoftext)\|>")
"""Tokens that models write after a call if the server does not stop them; the text after them is invented."""
STOP = re.compile(rf"{INVENTED.pattern}|</?tool_call>")
"""The end of a call."""

_STOP_LINE = re.compile(rf"^[ \t]*(?:{STOP.pattern}|</(?:function|parameter)>)", re.MULTILINE)
_FENCED = re.compile(r"\s*(`{3,}|~{3,})[\w+-]*[ \t]*\n")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "/": "/"}
_NEWLINE_OR_STRING = re.compile(r"\"(?:\\.|[^\"\\])*+\"?|'(?:\\.|[^'\\])*+'?|\\n", re.DOTALL)
_STATEMENT = re.compile(
    r"^[ \t]*+(?:import \w|from \w++ import |def \w++\(|class \w++.*:|for \w++ in .*:|print\(|\w++ = |[%!]\w)",
    re.MULTILINE,
)
_STATEMENTS = (
    *(ast.Call, ast.Import, ast.ImportFrom, ast.Assign, ast.AugAssign, ast.AnnAssign),
    *(ast.For, ast.While, ast.With, ast.If, ast.Try, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
)
_MAGIC = re.compile(r"^([ \t]*+)[%!][^\n]*+", re.MULTILINE)
_ARITHMETIC = (ast.Add, ast.Mult, ast.Pow, ast.Mod, ast.FloorDiv)


def parsed(code: str) -> ast.Module | None:
    """The syntax tree; None if the code is not Python or too long."""
    if len(code) > MAX_PARSED_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def is_python(code: str) -> bool:
    """True if Python can parse the code. A comment with an escaped newline in it is a program that was misread."""
    tree = parsed(code)
    return tree is not None and (bool(tree.body) or "\\n" not in code)


def is_cell(code: str) -> bool:
    """True if the code is Python, apart from lines that are commands of IPython."""
    return is_python(code) or (_MAGIC.search(code) is not None and is_python(_MAGIC.sub(r"\1pass", code)))


def first_python(readings: Iterable[str]) -> str:
    """The first of several readings of one text that Python can parse; if there is none, the first."""
    fallback = None
    for reading in readings:
        if is_python(reading):
            return reading
        fallback = reading if fallback is None else fallback
    return fallback or ""


def literal(text: str) -> str | None:
    """The value of a Python string literal, or of a sum of literals; None if the text is something else."""
    match parsed(text):
        case ast.Module(body=[ast.Expr(value=value)]):
            return _joined([node for node in ast.walk(value) if not isinstance(node, ast.BinOp | ast.Add)])
    return None


def _joined(nodes: list[ast.AST]) -> str | None:
    """The strings joined in order; None if there is any other node."""
    strings = [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    if len(strings) < len(nodes):
        return None
    strings.sort(key=lambda node: (node.lineno, node.col_offset))
    return "".join(str(node.value) for node in strings)


def unescaped(text: str) -> str:
    """The text with JSON's escapes resolved; escapes that JSON does not know are kept."""

    def meaning(match: re.Match[str]) -> str:
        mark = match[1]
        return chr(int(mark[1:], 16)) if len(mark) > 1 else _ESCAPES.get(mark, match[0])

    return _ESCAPE.sub(meaning, text)


def is_program(code: str) -> bool:
    """True if the code does something; a name, a number or a word alone does not."""
    tree = parsed(code)
    if tree is None:
        return _STATEMENT.search(code) is not None
    return any(
        isinstance(node, _STATEMENTS) or (isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC))
        for node in ast.walk(tree)
    )


def tidy(code: str) -> str:
    """The code as it was certainly intended. Code that Python can parse and that is not indented is not changed.

    Removed are a fence around the whole, the text after a leaked `<tool_response>`, and common indentation. A line with
    newlines and quotes escaped twice is unescaped if only that makes it Python.
    """
    code = code.replace("\r\n", "\n")
    code = without_fence(code)
    if (stop := _STOP_LINE.search(code)) and not is_python(code):
        code = code[: stop.start()].rstrip("\n")
    code = _dedented(code)
    return code if "\n" in code.strip() else _unescaped_once_more(code)


def _unescaped_once_more(line: str) -> str:
    """A single line that is not Python, unescaped if that makes it a program."""
    if ("\\n" not in line and '\\"' not in line) or is_python(line):
        return line
    readings = (_NEWLINE_OR_STRING.sub(_newline, line), unescaped(line))
    return next((reading for reading in readings if is_python(reading)), line)


def _newline(match: re.Match[str]) -> str:
    return "\n" if match[0] == "\\n" else match[0]


def without_fence(code: str) -> str:
    """The content of a fence around a whole text, closed or not; any other text unchanged."""
    fence = _FENCED.match(code)
    if fence is None:
        return code
    content = code[fence.end() :]
    rest = content.rstrip()
    return rest.removesuffix(fence[1]).rstrip(" \t").removesuffix("\n") if rest.endswith(fence[1]) else content


def without_entities(code: str) -> str:
    """Code from between XML tags, with entities such as `&lt;` resolved if only that makes it Python."""
    if "&" not in code or is_python(code):
        return code
    try:
        return first_python([code, html.unescape(code)])
    except ValueError:  # the number of no character
        return code


def same_lines(code: str) -> str:
    """The lines of a program without comments, indentation and empty lines, to compare two spellings of it."""
    lines = (line.strip() for line in code.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def _dedented(code: str) -> str:
    """Like textwrap.dedent, but lines of white space are kept if nothing is indented."""
    if not code[:1].isspace():
        return code
    lines = code.split("\n")
    margins = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    margin = min(margins, key=len, default="")
    if any(not each.startswith(margin) for each in margins):  # tabs and spaces
        return code
    return "\n".join(line.removeprefix(margin) for line in lines)
