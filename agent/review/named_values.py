"""The values of a file's columns that a question names, and those that programs choose rows by.

A question is compared with what the files have, and no language is read. So a value may stand in a question by chance,
and a program may use a value in more ways than can be seen. Therefore a value counts as left out only if a program
shows that it was: it does not use the column at all, or it chooses rows by some other values of it. All others may
stand for "not this one".
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile

from agent.pycode import parsed
from agent.record.events import Asked, Event, RunStarted, ToolRan, UnaskedFilter
from agent.review.results import printed_by
from agent.spellings.numerals import LETTER
from agent.spellings.readable import folded
from sandbox.profiles import FileColumn

MIN_VALUE_CHARS = 2
MIN_STEM_CHARS = 3
STEM_PART = 0.6
"""Two words have one stem if so many characters at their begin are the same, and so much of the shorter word."""
_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"")
_SENTENCE_END = re.compile(r"(?:^|[.!?:\n])\W*$")


@dataclass
class _Program:
    """The texts in the code of a cell."""

    cell: int
    texts: list[str] = field(default_factory=list)
    """All but labels, and names of attributes and arguments."""
    labels: list[str] = field(default_factory=list)
    """What it only prints."""
    chosen: list[str] = field(default_factory=list)
    """What it compares with."""
    output: str = ""

    def uses(self, value: str) -> bool:
        """True if a text of the code has a value or a part of it, or if the value was found and printed."""
        is_label = any(_has_words(label, value) for label in self.labels)
        return any(_is_akin(text, value) for text in self.texts) or (not is_label and _has_words(self.output, value))

    def has_column(self, name: str) -> bool:
        return any(_has_words(text, name) for text in self.texts)


@dataclass(frozen=True)
class Unused:
    """A value that the question names and no program used."""

    value: str
    column: str


def unused_value(events: Sequence[Event]) -> Unused | None:
    """The first value of a column that the last question names and that the programs of the run left out."""
    columns = _columns(events)
    programs = _programs(events) if columns else []
    if not programs or not programs[-1].output.strip():
        return None
    task, names = _task(events), _names(events)
    for column in columns:
        for value in column.values:
            if value.casefold() in names or not _is_named(value, task) or any(one.uses(value) for one in programs):
                continue
            others = {other for other in column.values if not _is_asked(other, task)}
            chosen = {text for one in programs for text in one.chosen} & others
            if (chosen and chosen < others) or (_is_name(value, task) and _is_left_out(column, columns, programs)):
                return Unused(value, column.name)
    return None


def unasked_filters(events: Sequence[Event]) -> list[UnaskedFilter]:
    """The values by which programs of the last question chose rows, and that no question of the run has."""
    tasks = "\n".join(event.task for event in events if isinstance(event, RunStarted | Asked))
    begin = max(place for place, event in enumerate(events) if isinstance(event, RunStarted | Asked))
    earlier = sum(isinstance(event, ToolRan) and event.code is not None for event in events[:begin])
    columns = _columns(events)
    found = {}
    for program in _programs(events, after=earlier) if columns else []:
        for column in columns:
            chosen = [value for value in column.values if value in program.chosen]
            if len(chosen) == len(column.values):  # they are told apart, and none is left out
                continue
            for value in chosen:
                if len(value) >= MIN_VALUE_CHARS and not _is_asked(value, tasks):
                    found[value] = UnaskedFilter(value=value, column=column.name, cell=program.cell)
    return list(found.values())


def _is_left_out(column: FileColumn, columns: Iterable[FileColumn], programs: Iterable[_Program]) -> bool:
    """True if no program has the column, nor compares with a value of another one, which may mean the same."""
    chosen = {text for one in programs for text in one.chosen}
    is_stood_in_for = any(chosen & set(other.values) for other in columns if other is not column)
    return not is_stood_in_for and not any(one.has_column(column.name) for one in programs)


def _is_named(value: str, task: str) -> bool:
    """True if the question has the value. A single word must have the same capitals."""
    if len(value) < MIN_VALUE_CHARS or not re.search(r"[^\W\d_]", value):
        return False
    return _has_words(task, value) and (" " in value or value in task)


def _is_name(value: str, task: str) -> bool:
    """True if the value is no ordinary word: it has no small letters alone, and no sentence begins with it."""
    if " " in value:
        return True
    begins = value[0].isupper() and not value.isupper() and _SENTENCE_END.search(task[: task.index(value)])
    return not value.islower() and not begins


def _is_asked(value: str, task: str) -> bool:
    """True if the question has the value; of a single word also another with the same stem, as Tents is to Tent."""
    words = re.findall(r"[^\W\d_]+", folded(task).casefold())
    stem = folded(value).casefold().strip()
    return _has_words(task, value) or (" " not in stem and any(_have_one_stem(stem, word) for word in words))


def _have_one_stem(one: str, other: str) -> bool:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return shared >= max(MIN_STEM_CHARS, STEM_PART * min(len(one), len(other)))


def _is_akin(text: str, value: str) -> bool:
    text, value = folded(text).casefold().strip(), folded(value).casefold().strip()
    return value in text or (len(text) > 1 and text in value) or text in value.split()


def _has_words(text: str, words: str) -> bool:
    pattern = rf"(?<!{LETTER}){re.escape(folded(words).casefold().strip())}(?!{LETTER})"
    return re.search(pattern, folded(text).casefold()) is not None


def _columns(events: Iterable[Event]) -> list[FileColumn]:
    asked = [event for event in events if isinstance(event, RunStarted | Asked)]
    tables = [table for event in asked for file in event.files if file.profile for table in file.profile.tables]
    return [column for table in tables for column in table.columns if column.values]


def _names(events: Iterable[Event]) -> set[str]:
    """The names of tables and columns, and the words for totals, which are no values though a column may have them."""
    asked = [event for event in events if isinstance(event, RunStarted | Asked)]
    tables = [table for event in asked for file in event.files if file.profile for table in file.profile.tables]
    names = chain.from_iterable([table.name, table.total, *(one.name for one in table.columns)] for table in tables)
    return {name.casefold() for name in names}


def _task(events: Sequence[Event]) -> str:
    """The words of the last question, without the names of its files."""
    asked = [event for event in events if isinstance(event, RunStarted | Asked)]
    task = asked[-1].task
    for name in (file.name for event in asked for file in event.files):
        task = task.replace(name, " ")
    return task


def _programs(events: Iterable[Event], *, after: int = 0) -> list[_Program]:
    """The cells that count, of those after the first so many: what one did that failed is gone with its variables."""
    cells = [event for event in events if isinstance(event, ToolRan) and event.code is not None]
    return [
        _read(number, cell)
        for number, cell in enumerate(cells, start=1)
        if number > after and cell.execution and (cell.execution.status == "ok" or not cell.execution.state_lost)
    ]


def _read(number: int, cell: ToolRan) -> _Program:
    assert cell.execution is not None, "only such cells are read"
    program, code = _Program(number, output=printed_by(cell.execution)), cell.code or ""
    tree = parsed(code)
    if tree is None:
        program.texts.append(code)
        return program
    labels = {id(node) for call in ast.walk(tree) if _is_print(call) for node in _labels(call)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text):
                (program.labels if id(node) in labels else program.texts).append(text)
                if id(node) not in labels:
                    program.chosen += [one or other for one, other in _QUOTED.findall(text)]
            case ast.Attribute(attr=name) | ast.keyword(arg=str() as name):
                program.texts.append(name)
            case ast.Compare(left=left, comparators=right):
                program.chosen += _texts_in(left, *right)
            case ast.Call(func=ast.Attribute(attr="isin" | "eq" | "ne"), args=arguments):
                program.chosen += _texts_in(*arguments)
    return program


def _is_print(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


def _labels(node: ast.AST) -> Iterator[ast.AST]:
    """The texts that a call of print has itself, and not as a part of what it computes."""
    match node:
        case ast.Call(func=ast.Name(id="print"), args=inner):
            pass
        case ast.Call(func=ast.Attribute(value=ast.Constant() as text, attr="format")):
            inner = [text]
        case ast.JoinedStr(values=inner):
            pass
        case ast.BinOp(left=left, right=right):
            inner = [left, right]
        case _:
            inner = []
            if isinstance(node, ast.Constant):
                yield node
    for one in inner:
        yield from _labels(one)


def _texts_in(*nodes: ast.AST) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Constant(value=str() as text):
                yield text
            case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Set(elts=inner):
                yield from _texts_in(*inner)
