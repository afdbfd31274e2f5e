"""The line of Python that reads a file right."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.text import escaped_json
from sandbox import FileProfile
from sandbox.profiles import FileLink, FileTable

MAX_NAMED = 6
"""Columns that a line names."""
MAX_JOINED = 3
MAX_JOINED_COLUMNS = 6
"""Of each table that is joined."""
_SQL_WORDS = frozenset({
    "ALL", "AND", "AS", "BY", "CASE", "CHECK", "COMMIT", "CREATE", "CROSS", "DEFAULT", "DELETE", "DISTINCT", "DROP",
    "ELSE", "EXCEPT", "EXISTS", "FOREIGN", "FROM", "FULL", "GROUP", "HAVING", "IN", "INDEX", "INNER", "INSERT",
    "INTERSECT", "INTO", "IS", "JOIN", "LEFT", "LIMIT", "NATURAL", "NOT", "NOTHING", "NULL", "ON", "OR", "ORDER",
    "OUTER", "PRIMARY", "REFERENCES", "RIGHT", "SELECT", "SET", "TABLE", "THEN", "TO", "TRANSACTION", "UNION",
    "UNIQUE", "UPDATE", "USING", "VALUES", "WHEN", "WHERE", "WITH",
})  # fmt: skip
_READERS = {
    "csv": "pd.read_csv", "spaced": "pd.read_csv", "fixed": "pd.read_fwf", "excel": "pd.read_excel",
    "json": "json.load", "jsonl": "pd.read_json", "sqlite": "pd.read_sql", "xml": "pd.read_xml",
    "npy": "np.load", "npz": "np.load", "mat": "scipy.io.loadmat", "stata": "pd.read_stata", "sas": "pd.read_sas",
    "pickle": "pd.read_pickle", "png": "PIL.Image.open", "jpeg": "PIL.Image.open", "gif": "PIL.Image.open",
    "tiff": "PIL.Image.open", "bmp": "PIL.Image.open", "webp": "PIL.Image.open", "zip": "zipfile.ZipFile",
    "parquet": "pd.read_parquet", "old_excel": "pd.read_excel", "xlsb": "pd.read_excel", "ods": "pd.read_excel",
    "html": "pd.read_html", "docx": "zipfile.ZipFile", "pptx": "zipfile.ZipFile", "tar": "tarfile.open",
}  # fmt: skip
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_MODULES = ("json", "sqlite3", "zipfile", "tarfile")
_FIXED_OPTIONS = {"xml": {"parser": "etree"}, "xlsb": {"engine": "calamine"}, "ods": {"engine": "calamine"}}


@dataclass(frozen=True)
class Reading:
    """A call that reads a file: its function, its path, and the arguments that are not the defaults."""

    function: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> str:
        """The call behind the import that it needs. Models import pandas by themselves, and forget the others."""
        call = str(self)
        return "".join(f"import {name}; " for name in _MODULES if f"{name}." in _TEXT.sub("", call)) + call

    def __str__(self) -> str:
        path = _written(self.path)
        more = [f"{name}={_written(value)}" for name, value in self.options.items() if name != "sql"]
        if self.function == "pd.read_sql":
            base = [_written(self.options["sql"]), f"sqlite3.connect({path})", *more]
            return f"pd.read_sql({', '.join(base)})"
        arguments = ", ".join([path, *more])
        match self.function:
            case "json.load":
                return f"json.load(open({arguments}))"
            case "pd.json_normalize lines":
                return f"pd.json_normalize([json.loads(line) for line in open({arguments})])"
            case "pd.json_normalize":
                return f"pd.json_normalize(json.load(open({arguments})))"
        return f"{self.function}({arguments})"


def reading_of(name: str, profile: FileProfile, table: FileTable | None = None) -> Reading | None:
    """How a file is read, or one of its tables; None if there is no one line for it."""
    function = _READERS.get(profile.kind)
    if profile.kind == "text" and profile.encoding != "utf-8" and not profile.compression:
        function = "open"
    needs_tables = profile.kind in ("excel", "sqlite", "html")
    is_closed = bool(profile.needs or profile.problem) or (needs_tables and not profile.tables)
    has_no_line = is_closed or profile.has_uneven_rows or profile.is_nested
    if function is None or has_no_line or (function == "json.load" and profile.compression):
        return None
    table = table or max(profile.tables, key=_weight, default=FileTable())
    if table.has_objects and not profile.compression:
        function = "pd.json_normalize lines" if profile.kind == "jsonl" else "pd.json_normalize"
    return Reading(function, f"/workspace/{name}", _options(profile, table, function))


def joined_reading(name: str, profile: FileProfile) -> Reading | None:
    """How tables of a database are read as one, by the foreign keys of the table that has the most of them."""
    declared = [link for link in profile.links if link.is_declared]
    if not declared or reading_of(name, profile) is None:
        return None
    tables = {table.name: table for table in profile.tables}
    counts = Counter(link.table for link in declared)
    most = max(counts, key=lambda one: (counts[one], tables[one].rows or 0 if one in tables else 0))
    links = {link.other_table: link for link in declared if link.table == most != link.other_table}
    known = [link for other, link in links.items() if other in tables and most in tables][:MAX_JOINED]
    if not known:
        return None
    return Reading("pd.read_sql", f"/workspace/{name}", _join(tables[most], known, tables))


def _join(base: FileTable, links: Sequence[FileLink], tables: Mapping[str, FileTable]) -> dict[str, Any]:
    """The query: all of one table, and the other columns of those that its keys name. No name is there twice."""
    chosen, joins = [f"{_sql_name(base.name)}.*"], []
    columns = list(base.columns)
    taken = {column.name.lower() for column in base.columns}
    for link in links:
        other = _sql_name(link.other_table)
        for column in tables[link.other_table].columns[: MAX_JOINED_COLUMNS + 1]:
            if column.name == link.other_column:
                continue
            is_taken = column.name.lower() in taken
            name = f"{link.other_table}_{column.name}" if is_taken else column.name
            taken.add(name.lower())
            columns.append(column.model_copy(update={"name": name}))
            chosen.append(f"{other}.{_sql_name(column.name)}" + (f" AS {_sql_name(name)}" if is_taken else ""))
        has_gaps = any(column.blank for column in base.columns if column.name == link.column)
        left, right = f"{_sql_name(base.name)}.{_sql_name(link.column)}", f"{other}.{_sql_name(link.other_column)}"
        joins.append(f"{'LEFT JOIN' if has_gaps else 'JOIN'} {other} ON {left} = {right}")
    sql = f"SELECT {', '.join(chosen)} FROM {_sql_name(base.name)} {' '.join(joins)}"
    return {"sql": sql} | _text_dates(base.model_copy(update={"columns": columns}))


def elements_reading(table: FileTable) -> tuple[str, str] | None:
    """The path of the first list of objects in nested records, and how its elements are read from their table."""
    path = next((column.name.partition("[]")[0] for column in table.columns if "[]" in column.name), "")
    if not path or not table.has_objects:
        return None
    return path, f"pd.json_normalize(df[{_written(path)}].explode().dropna().tolist())"


def word_count(name: str, place: int, word: str) -> str:
    """How the lines are counted that have a word at this place."""
    lines = f"open({_written(f'/workspace/{name}')})"
    return f"sum(line.split()[{place}:{place + 1}] == [{_written(word)}] for line in {lines})"


def _options(profile: FileProfile, table: FileTable, function: str) -> dict[str, Any]:
    packing = {} if profile.has_packed_ending or not profile.compression else {"compression": profile.compression}
    encoding = {} if profile.encoding in (None, "utf-8") else {"encoding": profile.encoding}
    match profile.kind:
        case "csv" | "spaced" | "fixed":
            return _table_options(profile, table) | encoding | packing
        case "html":
            return _html_options(profile, table) | encoding | packing
        case "excel":
            return _sheet_options(profile, table)
        case "text" | "json" | "jsonl":
            lines = {"lines": True} | _codes(table) if function == "pd.read_json" else {}
            return lines | encoding | packing
        case "sqlite":
            return {"sql": f"SELECT * FROM {_sql_name(table.name)}"} | _text_dates(table)
    return _FIXED_OPTIONS.get(profile.kind, {}) | (encoding if profile.kind == "xml" else {})


def _weight(table: FileTable) -> tuple[bool, int]:
    """The table that is shown how to read is one that is not hidden, and a large one."""
    return not (table.is_hidden or table.is_view), (table.rows or 0) * table.column_count


def _sql_name(name: str) -> str:
    return name if name.isidentifier() and name.upper() not in _SQL_WORDS else '"' + name.replace('"', '""') + '"'


def _table_options(profile: FileProfile, table: FileTable) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if profile.kind == "spaced":
        options["sep"] = r"\s+"
    elif profile.separator not in ("", ","):
        options["sep"] = profile.separator
    if profile.header_lines:
        options["skiprows"] = profile.header_lines
    if table.header_row is None and table.columns:
        options["header"] = None
    if profile.has_longer_rows:
        options["index_col"] = False
    if (items := items_above_total(profile, table)) is not None:
        options["nrows"] = items
    return options | _number_options(profile) | _column_options(profile, table)


def items_above_total(profile: FileProfile, table: FileTable) -> int | None:
    """How many rows of a text stand above a total, if that is known."""
    is_known = profile.kind == "csv" and table.total and table.rows and not table.is_estimate
    return table.rows - 1 if is_known and table.rows else None


def _number_options(profile: FileProfile) -> dict[str, Any]:
    options: dict[str, Any] = {} if profile.decimal == "." else {"decimal": profile.decimal}
    if profile.thousands:
        options["thousands"] = profile.thousands
        if not profile.thousands.isascii():
            options["engine"] = "python"
    return options


def _column_options(profile: FileProfile, table: FileTable) -> dict[str, Any]:
    """Codes keep their zeros, and dates are dates."""
    return _codes(table) | _blanks(table) | _dates(table)


def _dates(table: FileTable) -> dict[str, Any]:
    """The columns of dates; how they are written is told of those that are not in ISO 8601."""
    dated = [column for column in table.columns if column.type in ("date", "datetime") and column.format != "?"]
    if not dated:
        return {}
    dated = dated[:MAX_NAMED]
    formats = {_key(column.name, table): column.format for column in dated if column.format}
    options: dict[str, Any] = {"parse_dates": [_key(column.name, table) for column in dated]}
    if formats:
        is_one = len(formats) == len(dated) and len(set(formats.values())) == 1
        options["date_format"] = next(iter(formats.values())) if is_one else formats
    return options


def _text_dates(table: FileTable) -> dict[str, Any]:
    """Dates that are texts in a file that need not have them as texts."""
    return _dates(table.model_copy(update={"columns": [column for column in table.columns if column.is_text]}))


def _codes(table: FileTable) -> dict[str, Any]:
    codes = [column.name for column in table.columns if column.type == "code"][:MAX_NAMED]
    return {"dtype": {_key(name, table): "str" for name in codes}} if codes else {}


def _blanks(table: FileTable) -> dict[str, Any]:
    """What stands for a missing value in columns that would be text because of it."""
    valued = [column for column in table.columns if column.type not in ("text", "code", "quantity")]
    marks = list(dict.fromkeys(mark for column in valued for mark in column.blank_marks))[:MAX_NAMED]
    return {"na_values": marks} if marks else {}


def _html_options(profile: FileProfile, table: FileTable) -> dict[str, Any]:
    """Of a page, pandas reads a comma as the mark of thousands, and a first row as no names, if nothing is said."""
    options = {"header": 0} if table.header_row == 0 else {}
    return options | ({"decimal": ",", "thousands": "."} if profile.decimal == "," else {})


def _key(name: str, table: FileTable) -> str | int:
    return int(name) if table.header_row is None and name.isdigit() else name


def _sheet_options(profile: FileProfile, table: FileTable) -> dict[str, Any]:
    options: dict[str, Any] = {"sheet_name": table.name} if len(profile.tables) > 1 else {}
    if table.header_row is None and table.columns:
        options["header"] = None
    elif table.header_row:
        options["header"] = table.header_row
    if table.skipped_rows:
        options["skiprows"] = table.skipped_rows
    if table.footer_rows:
        options["skipfooter"] = table.footer_rows
    return options | _codes(table) | _blanks(table) | _text_dates(table) | {"engine": "openpyxl"}


def _written(value: Any) -> str:
    """A value as Python has it, with double quotes."""
    match value:
        case str():
            return escaped_json(json.dumps(value, ensure_ascii=False))
        case dict():
            return "{" + ", ".join(f"{_written(key)}: {_written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_written, value)) + "]"
    return repr(value)
