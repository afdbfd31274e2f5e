"""Forms that a question gives for its answer, such as @mean[value], Answer: <number> or {"mean": ...}.

They are read off their shape, and no language is: a wish in words, such as "in one word", is left to the model. A shape
that data has as well, such as JSON with values, is no form.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

from agent.spellings.readable import folded

MAX_FORMS = 20
"""How many forms of one question are looked for."""
MAX_TASK_CHARS = 20_000
MAX_FORM_CHARS = 400
"""A longer example is data, and no form."""

_MARKED = re.compile(
    r"(?<!\w)[@#~][\w.-]+\[(?!\d+\])[^\[\]\n]{1,300}\]|\b[A-Z][A-Z_]{2,}[\[{<][^\W\d][^\[\]{}<>\n]{0,60}[\]}>]|\\boxed\{[^{}\n]{0,60}\}"
)
"""A word with a mark, or in capitals, and brackets for a value: @mean[value], RESULT[number], \\boxed{}."""
_LABELLED = re.compile(
    r"\b\w[\w.-]* ?[:=] ?<[^\W\d][^<>\n]{0,60}>"
    r"|(?:(?<=[`\"'\n])|^)[^\W\d_][\w ]{0,40}[:=] ?(?:\[[^\W\d][\w .'-]{0,60}\]|_{2,}|\.{3})(?=[`\"'.\n ]|$)"
)
"""A label and a place for its value: x = <number>; at the begin of a line or quotation also Answer: ___ or [number]."""
_HTML = (
    "a|b|body|button|code|div|em|form|h[1-6]|head|html|i|label|li|ol|p|pre|script|small|span|strong|style|su[bp]|table|"
    "t[dhr]|title|u|ul"
)
_TAG = re.compile(rf"<(?!(?i:{_HTML})>)([A-Za-z][\w-]*)>([\w .-]{{0,60}})</\1>")
_DOTS = r"(?:\.{2,}|_{2,})"
"""A place for a value that nothing has filled."""
_HEADER = re.compile(
    r"(?:^|\n)[ \t]*(\|(?:[^|\n]*[^\W\d][^|\n]*\|)+)[ \t]*(?:\n[ \t|:-]+)?(?=\n[ \t]*[^|\s]|\n[ \t]*\n|\s*$)"
)
"""The head of a table that has no rows."""
_KEYED = re.compile(r'\{\s*"')
_KEY = re.compile(r'"([^"\n]{1,80})"\s*:')
_PLACEHOLDER = re.compile(r"\s*|[<\[{(].*[>\]})]|.*(?:\.\.\.|…).*|_+|[a-z]+(?:[ _][a-z]+)*", re.DOTALL)
_MARKED_PLACE = re.compile(r"<.*>|\[.*\]|\{.*\}|\.{2,}|_+|…")
"""What stands for a value or a key that the answer has to fill in."""
_UNWRITTEN = re.compile(r":\s*\[?\s*(?:[<(]|\.\.\.|…|_|\[\w+\]|(?!true\b|false\b|null\b)[^\W\d])|<\w|\.\.\.\s*[\]}]")
"""Where an object that is not valid JSON has a place for a value: {"mean": <float>}."""
_CODE = re.compile(r"```.*?```", re.DOTALL)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Form:
    """A form that the answer must have."""

    text: str
    """As the question has it."""
    is_in: Callable[[str], bool]
    """True if an answer has it."""


def missing_forms(task: str, answer: str) -> list[str]:
    """The forms of a question that its answer does not have, as the question writes them."""
    said = folded(answer)
    return [form.text for form in islice(forms_in(task), MAX_FORMS) if not form.is_in(said)]


def forms_in(task: str) -> Iterator[Form]:
    """Yield the forms that a question gives."""
    task = folded(task[:MAX_TASK_CHARS])
    prose = _CODE.sub(" ", task)
    return chain(_marked(prose), _labelled(prose), _tagged(prose), _tables(task), _objects(task))


def _marked(prose: str) -> Iterator[Form]:
    for match in _MARKED.finditer(prose):
        literal, bracket, name = re.split(r"([\[{<])", match[0][:-1], maxsplit=1)
        closing = re.escape(match[0][-1])
        echo = rf"(?!{re.escape(name.strip())}\s*{closing})"
        begin = re.escape(literal + bracket)
        yield _form(match[0], rf"{begin}\s*{echo}(?!\s|{_DOTS}{closing}|{closing})(?:(?!{begin})[^\n])*?\n?{closing}")


def _labelled(prose: str) -> Iterator[Form]:
    for match in _LABELLED.finditer(prose):
        name, sign, place = re.split(r"\s*([:=])\s*", match[0], maxsplit=1)
        echo = rf"(?!{re.escape(place)}|{_DOTS})"
        yield _form(match[0], rf"(?<!\w){re.escape(name)}[^\w\n]{{0,9}}{sign}[\s*`\"']{{0,20}}{echo}[^\s*`\"']")


def _tagged(prose: str) -> Iterator[Form]:
    for match in _TAG.finditer(prose):
        begin, end = f"<{match[1]}>", f"</{match[1]}>"
        echo = re.escape(match[2].strip())
        yield _form(match[0], rf"{begin}\s*+(?!{echo}\s*{end}|{_DOTS}\s*{end})(?:(?!{begin}).)*?{end}")


def _tables(task: str) -> Iterator[Form]:
    for match in _HEADER.finditer(task):
        cells = (re.escape(cell.strip()) for cell in match[1].strip("|").split("|"))
        yield _form(match[1], r"\|\s*" + r"\s*\|\s*".join(cells) + r"\s*\|\s*\n[^\n]*\n\s*\|")


def _form(text: str, pattern: str) -> Form:
    return Form(text, lambda answer: re.search(pattern, answer, re.DOTALL) is not None)


def _objects(task: str) -> Iterator[Form]:
    """Yield the JSON objects of a question that have no values yet."""
    place = 0
    while found := _KEYED.search(task, place):
        text = _balanced(task, found.start())
        place = found.start() + max(len(text), 1)
        keys = frozenset(key for key in _KEY.findall(text) if not _MARKED_PLACE.fullmatch(key))
        if _is_empty(text):
            yield Form(text, partial(_has_object, keys))


def _balanced(text: str, begin: int) -> str:
    """The text from an opening brace to its closing one; empty if that is too far."""
    depth = 0
    for place in range(begin, min(begin + MAX_FORM_CHARS, len(text))):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[begin : place + 1]
    return ""


def _is_empty(text: str) -> bool:
    """True if an object of JSON has only places for values: each is empty or says a kind, and one is a text."""
    try:
        leaves = list(_leaves(json.loads(text)))
    except (ValueError, RecursionError):
        return _UNWRITTEN.search(text) is not None
    is_empty = all(leaf in (None, 0, False, True) or _PLACEHOLDER.fullmatch(str(leaf)) for leaf in leaves)
    return is_empty and any(isinstance(leaf, str) for leaf in leaves)


def _has_object(keys: frozenset[str], answer: str) -> bool:
    return any(keys <= set(_keys(value)) and not _is_unfilled(value) for value in _values(answer))


def _is_unfilled(value: Any) -> bool:
    """True if one of the values is still a place for one."""
    return any(isinstance(leaf, str) and _MARKED_PLACE.fullmatch(leaf.strip()) for leaf in _leaves(value))


def _values(answer: str) -> Iterator[Any]:
    """Yield the JSON objects of an answer."""
    place = answer.find("{")
    while place >= 0:
        try:
            value, end = _DECODER.raw_decode(answer, place)
            yield value
        except (ValueError, RecursionError):
            end = place + 1
        place = answer.find("{", end)


def _leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            yield from chain.from_iterable(map(_leaves, value.values()))
        case list():
            yield from chain.from_iterable(map(_leaves, value))
        case _:
            yield value


def _keys(value: Any) -> Iterator[str]:
    match value:
        case dict():
            yield from value
            yield from chain.from_iterable(map(_keys, value.values()))
        case list():
            yield from chain.from_iterable(map(_keys, value))
