"""Hints after an error that a given file explains: what it is, and which columns, sheets and tables it has.

Each hint is a fact about the file. Where the code has made a column itself, or has read the file as it should be read,
there is none.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from agent.prompting.files import links_told
from agent.prompting.reading import Reading, reading_of
from agent.prompting.words import FILE_KINDS, FILES, HINTS
from agent.pycode import parsed
from agent.text import plain
from sandbox import ErrorOutput, FileProfile
from sandbox.profiles import FileColumn, FileTable

MAX_FILES = 3
MAX_NAMES = 20
MAX_TABLES = 6
MAX_PATHS = 4
MAX_NAME_CHARS = 60
Given = Mapping[str, FileProfile]

_MISREAD_KINDS = frozenset({
    "UnicodeDecodeError", "UnicodeError", "ParserError", "EmptyDataError", "BadZipFile", "JSONDecodeError",
    "InvalidFileException", "DateParseError", "OutOfBoundsDatetime", "ParseError", "InvalidOperation",
})  # fmt: skip
_MISREAD = re.compile(
    r"Excel file format cannot be determined|could not convert string|Could not convert|[Tt]railing data|"
    r"Expected object or value|time data .* match|Unknown datetime string format|UTF-16 stream|tokenizing|"
    r"invalid literal for int|file is not a database|Missing optional dependency|Length mismatch|"
    r"agg function failed|Cannot perform reduction|does not support (?:operation|reduction)|"
    r"unsupported operand type.*'str'|"
    r"Mixing dicts|Invalid file path|line contains NUL|Unable to parse string|not supported between instances of 'str'"
)
_NOT_THERE = (
    re.compile(r"^\"?\[(?P<names>.*)\] not (?:in index|found in axis)"),
    re.compile(r"None of \[(?:\w*Index\()?\[(?P<names>.*?)\]"),
    re.compile(r"Usecols do not match columns, columns expected but not found: \[(?P<names>.*?)\]"),
    re.compile(r"Missing column provided to 'parse_dates': (?P<names>'.*')"),
    re.compile(r"^[\"']?Column not found: (?P<name>.*?)[\"']?$"),
    re.compile(r"^name '(?P<name>.*)' is not defined$"),
)
_COLUMN_ERRORS = ("KeyError", "ValueError", "UndefinedVariableError")
_ATTRIBUTE = re.compile(r"'(?:DataFrame|DataFrameGroupBy)' object has no attribute '(.+)'")
_SHEET = re.compile(r"Worksheet (?:named )?'?.*'? (?:does not exist|not found|is invalid)")
_SQL = re.compile(r"no such (table|column): (\S+)")
_NULL = re.compile(r"'NoneType' object (?:is not (?:subscriptable|iterable)|has no attribute '(?:get|items|keys)')")
_PATH_MARK = re.compile(r"\[\]\.?|\.")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_READS_RECORDS = re.compile(r"\bpandas\b|\bpd\.|DictReader|\bjson\b|\bdf\b")


def is_about_files(error: ErrorOutput) -> bool:
    """True if a given file may explain this error."""
    return (
        error.ename in _MISREAD_KINDS
        or bool(_MISREAD.search(error.evalue) or _SHEET.search(error.evalue) or _SQL.search(error.evalue))
        or bool(_NULL.search(error.evalue) or _missing_names(error))
    )


def about_files(error: ErrorOutput, code: str, given: Given) -> Iterator[str]:
    """The hints for an error in the last cell of this code."""
    named = _named_in(code, given)
    if _SHEET.search(error.evalue):
        yield from _sheets(named)
    elif wrong := _SQL.search(error.evalue):
        yield from _sql(wrong[1], wrong[2], code, given)
    elif error.ename in _MISREAD_KINDS or _MISREAD.search(error.evalue):
        for name, profile in named.items():
            yield from _right_reading(name, profile, code)
    elif _NULL.search(error.evalue):
        yield from _nulls(named)
    elif names := _missing_names(error):
        yield from _columns(names, error, code, named)


def _named_in(code: str, given: Given) -> Given:
    """The files whose names are in the code; the only one there is if its name is put together."""
    named = {name: profile for name, profile in given.items() if name in code}
    if not named and len(given) == 1:
        named = dict(given)
    return dict(list(named.items())[:MAX_FILES])


def _right_reading(name: str, profile: FileProfile, code: str) -> Iterator[str]:
    """How a file is read, unless this is how the code reads it."""
    reading = reading_of(name, profile)
    if reading is None:
        yield from _why_not(name, profile)
        return
    options = {option: value for option, value in reading.options.items() if value != "openpyxl"}  # as without it
    is_reader = reading.function.split()[0].rpartition(".")[2] in code
    if not is_reader:  # another may take these
        options = {option: value for option, value in options.items() if option in ("sep", "encoding")}
    if (is_reader or options) and all(_has_option(code, option, value) for option, value in options.items()):
        return
    yield HINTS["read_right"].format(name=name, facts=_written_as(profile), code=plain(reading.whole))


def _why_not(name: str, profile: FileProfile) -> Iterator[str]:
    kind = FILE_KINDS.get(profile.kind, profile.kind)
    if profile.problem:
        yield HINTS["file_is"].format(name=name, kind=kind, why=FILES[profile.problem])
    elif profile.needs:
        yield HINTS["file_is"].format(name=name, kind=kind, why=FILES["needs"].format(package=profile.needs))


def _written_as(profile: FileProfile) -> str:
    facts = [FILE_KINDS.get(profile.kind, profile.kind)]
    if profile.encoding and profile.encoding != "utf-8":
        facts.append(FILES["encoding"].format(encoding=profile.encoding))
    if profile.separator not in ("", ","):
        facts.append(FILES["separator"].format(separator=repr(profile.separator)))
    if profile.decimal == ",":
        facts.append(FILES["decimal_comma"])
    return ", ".join(facts)


_SAME_OPTIONS = {"sep": ("sep", "delimiter"), "sql": ("sql",), "date_format": ("date_format", "format")}


def _has_option(code: str, option: str, value: Any) -> bool:
    """Whether a call in the code passes this value; of SQL, any is as good."""
    if option == "sql":
        return True
    names = _SAME_OPTIONS.get(option, (option,))
    tree = parsed(code)
    if tree is None:
        return False
    passed = [keyword.value for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords
              if keyword.arg in names]  # fmt: skip
    if isinstance(value, dict | list):
        return bool(passed)
    return any(isinstance(node, ast.Constant) and _same(node.value, value) for node in passed)


def _same(value: object, other: object) -> bool:
    """Encodings have several names."""
    if isinstance(value, str) and isinstance(other, str):
        return value.lower().replace("_", "-") == other.lower().replace("_", "-")
    return value == other


def _sheets(named: Given) -> Iterator[str]:
    for name, profile in named.items():
        if profile.kind in ("excel", "ods") and profile.tables:
            yield HINTS["sheets"].format(name=name, sheets=_list([table.name for table in profile.tables]))


def _sql(kind: str, wrong: str, code: str, given: Given) -> Iterator[str]:
    bases = {name: profile for name, profile in given.items() if profile.kind == "sqlite" and profile.tables}
    for name, profile in list(bases.items())[:MAX_FILES]:
        tables = profile.tables
        if kind == "column":
            column = wrong.rpartition(".")[2].strip('"`[]')
            found = [table for table in tables if _has_column(table, [column])]
            yield from (_elsewhere(name, profile, table, column, code) for table in found[:MAX_FILES])
            if not found:
                yield _told_tables(name, _named_first(tables, code), [])
        else:
            close = get_close_matches(wrong, [table.name for table in tables], n=MAX_NAMES, cutoff=0.5)
            others = [table.name for table in tables if table.name not in close]
            yield HINTS["tables"].format(name=name, tables=_list([*close, *others]))


def _named_first(tables: Sequence[FileTable], code: str) -> list[FileTable]:
    return sorted(tables, key=lambda table: table.name.lower() not in code.lower())


def _has_column(table: FileTable, names: Sequence[str]) -> bool:
    return any(column.name in names for column in table.columns)


def _elsewhere(name: str, profile: FileProfile, table: FileTable, column: str, code: str) -> str:
    """In which table of a file a column is, how this table is read, and what joins it with others."""
    kind = "table" if profile.kind == "sqlite" else "sheet"
    told = [HINTS["elsewhere"].format(column=column, kind=kind, table=table.name[:MAX_NAME_CHARS], name=name)]
    told += [f"{link}." for link in links_told(profile, table.name)]
    reading = reading_of(name, profile, table)
    if kind == "sheet" and reading and not _is_read_so(code, reading):
        told.append(HINTS["read_it"].format(code=reading.whole))
    return plain(" ".join(told))


def _is_read_so(code: str, reading: Reading) -> bool:
    """Whether a call reads this sheet, with the names of its columns in the right row."""
    tree = parsed(code)
    for call in ast.walk(tree) if tree else ():
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "read_excel":
            passed = dict(zip(("path", "sheet_name", "header"), map(_literal, call.args), strict=False))
            passed |= {keyword.arg or "": _literal(keyword.value) for keyword in call.keywords}
            if all(passed.get(option, default) == reading.options.get(option, default)
                   for option, default in (("sheet_name", 0), ("header", 0), ("skiprows", 0))):  # fmt: skip
                return True
    return False


def _literal(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _missing_names(error: ErrorOutput) -> list[str]:
    """The names of columns that the code asks for and that are not there."""
    if error.ename == "AttributeError" and (found := _ATTRIBUTE.search(error.evalue)):
        return [found[1]]
    if error.ename not in _COLUMN_ERRORS:
        return []
    for pattern in _NOT_THERE:
        if found := pattern.search(error.evalue):
            parts = found.groupdict()
            if parts.get("name"):
                return [parts["name"]]
            return [first or second for first, second in _QUOTED.findall(parts["names"])]
    whole = _QUOTED.fullmatch(error.evalue.strip()) if error.ename == "KeyError" else None
    return [whole[1] or whole[2]] if whole and (whole[1] or whole[2]) else []


def _columns(names: list[str], error: ErrorOutput, code: str, named: Given) -> Iterator[str]:
    if not _READS_RECORDS.search(code) or any(name in _made_in(code) for name in names):
        return
    for file, profile in named.items():
        tables = [table for table in profile.tables if table.columns]
        found = [table for table in tables if _has_column(table, names)]
        if len(tables) > 1 and found:
            yield from _in_other_tables(names, file, profile, found, code)
        elif found:
            yield from _right_reading(file, profile, code)
        elif nested := _nested(names, file, profile, code):
            yield nested
        elif tables:
            there = [column.name for table in tables for column in table.columns]
            close = [match for name in names for match in _alike(name, there)]
            if close or error.ename != "AttributeError":
                yield _told_tables(file, _named_first(tables, code), close)


def _in_other_tables(
    names: list[str], file: str, profile: FileProfile, found: list[FileTable], code: str
) -> Iterator[str]:
    """Where the columns are, unless the code reads this table alone, and reads it right."""
    in_code = [table for table in profile.tables if table.name and table.name in code]
    reading = reading_of(file, profile, found[0])
    if in_code == found and (profile.kind == "sqlite" or (reading and _is_read_so(code, reading))):
        return
    for table in found[:MAX_FILES]:
        column = next(name for name in names if _has_column(table, [name]))
        yield _elsewhere(file, profile, table, column, code)


def _nested(names: list[str], file: str, profile: FileProfile, code: str) -> str:
    """Where a name is inside of nested records; empty if it is not there."""
    columns = [column for table in profile.tables if table.has_objects for column in table.columns]
    for name in names:
        inside = [column for column in columns if name in _PATH_MARK.split(column.name)]
        if inside:
            told = HINTS["nested"].format(name=file, column=name, paths=_paths(inside))
            reading = reading_of(file, profile)
            if reading is not None and "json_normalize" not in code:
                told = f"{told} {HINTS['read_it'].format(code=reading.whole)}"
            return plain(told)
    return ""


def _paths(columns: Sequence[FileColumn]) -> str:
    told = (
        HINTS["missing_in"].format(path=column.name[:MAX_NAME_CHARS], count=column.blank)
        if column.blank else column.name[:MAX_NAME_CHARS]
        for column in columns[:MAX_PATHS]
    )  # fmt: skip
    return ", ".join(told)


def _nulls(named: Given) -> Iterator[str]:
    """The parts that not every nested record has."""
    for file, profile in named.items():
        columns = [column for table in profile.tables if table.has_objects for column in table.columns]
        lacking = [column for column in columns if column.blank]
        if lacking:
            yield plain(HINTS["nulls"].format(name=file, paths=_paths(lacking)))


def _told_tables(file: str, tables: Sequence[FileTable], close: list[str]) -> str:
    """The columns of all tables of a file, or of the first of many."""
    told = f"{HINTS['other_name'].format(names=' or '.join(map(repr, dict.fromkeys(close[:2]))))} " if close else ""
    if len(tables) == 1:
        return plain(told + HINTS["columns"].format(name=file, columns=_list(_first(tables[0], close))))
    listed = [f"{table.name} ({_list(_first(table, close))})" for table in tables[:MAX_TABLES]]
    more = [f"and {len(tables) - MAX_TABLES} more"] if len(tables) > MAX_TABLES else []
    return plain(told + HINTS["table_columns"].format(name=file, tables="; ".join([*listed, *more])))


def _first(table: FileTable, close: list[str]) -> list[str]:
    """The names of the columns, those first that are like what was asked for."""
    names = [column.name for column in table.columns]
    return [*(name for name in names if name in close), *(name for name in names if name not in close)]


def _alike(name: str, there: list[str]) -> list[str]:
    bare = {_bare(other): other for other in there}
    if same := bare.get(_bare(name)):
        return [same]
    return [bare[match] for match in get_close_matches(_bare(name), bare, n=2, cutoff=0.6)]


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _made_in(code: str) -> set[str]:
    """The names of columns that the code makes itself: by assignment, by a keyword, or as the new one of a mapping."""
    tree = parsed(code)
    made: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Subscript(slice=ast.Constant(value=str(name)), ctx=ast.Store()):
                made.add(name)
            case ast.Call(func=ast.Attribute(attr="assign" | "agg" | "reset_index"), keywords=keywords):
                made |= {keyword.arg for keyword in keywords if keyword.arg}
                made |= {value for keyword in keywords for value in _texts(keyword.value)}
            case ast.Call(
                func=ast.Attribute(attr="DataFrame" | "read_csv" | "read_excel" | "set_axis"), keywords=keywords
            ):
                made |= {text for word in keywords if word.arg in ("columns", "names") for text in _texts(word.value)}
            case (
                ast.keyword(arg="columns", value=ast.Dict() as value)
                | ast.keyword(arg="value_name" | "var_name", value=value)
            ):
                made |= set(_texts(value))
            case ast.Assign(targets=[ast.Attribute(attr="columns")], value=value):
                made |= set(_texts(value))
    return made


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts in a list, a single one, and those that a mapping gives."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            for part in parts:
                yield from _texts(part)


def _list(names: Sequence[str]) -> str:
    shown = [repr(name[:MAX_NAME_CHARS]) for name in names[:MAX_NAMES]]
    more = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    return ", ".join([*shown, *more])
