"""The line of Python that reads a file right."""

import json
from dataclasses import dataclass, field
from typing import Any

from agent.text import escaped_json
from sandbox import FileProfile
from sandbox.profiles import FileTable

MAX_NAMED = 6
"""Columns that a line names."""
_READERS = {
    "csv": "pd.read_csv", "spaced": "pd.read_csv", "fixed": "pd.read_fwf", "excel": "pd.read_excel",
    "json": "json.load", "jsonl": "pd.read_json", "sqlite": "pd.read_sql", "xml": "pd.read_xml",
    "npy": "np.load", "npz": "np.load", "mat": "scipy.io.loadmat", "stata": "pd.read_stata", "sas": "pd.read_sas",
    "pickle": "pd.read_pickle", "png": "PIL.Image.open", "jpeg": "PIL.Image.open", "gif": "PIL.Image.open",
    "tiff": "PIL.Image.open", "bmp": "PIL.Image.open", "webp": "PIL.Image.open", "zip": "zipfile.ZipFile",
    "parquet": "pd.read_parquet", "old_excel": "pd.read_excel", "xlsb": "pd.read_excel", "ods": "pd.read_excel",
    "html": "pd.read_html", "docx": "zipfile.ZipFile", "pptx": "zipfile.ZipFile", "tar": "tarfile.open",
}  # fmt: skip
_FIXED_OPTIONS = {"xml": {"parser": "etree"}, "xlsb": {"engine": "calamine"}, "ods": {"engine": "calamine"}}


@dataclass(frozen=True)
class Reading:
    """A call that reads a file: its function, its path, and the arguments that are not the defaults."""

    function: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.function == "pd.read_sql":
            return f"pd.read_sql({_written(self.options['sql'])}, sqlite3.connect({_written(self.path)}))"
        more = [f"{name}={_written(value)}" for name, value in self.options.items()]
        arguments = ", ".join([_written(self.path), *more])
        return f"json.load(open({arguments}))" if self.function == "json.load" else f"{self.function}({arguments})"


def reading_of(name: str, profile: FileProfile) -> Reading | None:
    """How a file is read; None if there is no one line for it."""
    function = _READERS.get(profile.kind)
    if profile.kind == "text" and profile.encoding != "utf-8" and not profile.compression:
        function = "open"
    needs_tables = profile.kind in ("excel", "sqlite", "html")
    is_closed = bool(profile.needs or profile.problem) or (needs_tables and not profile.tables)
    has_no_line = is_closed or profile.has_uneven_rows or profile.is_nested
    if function is None or has_no_line or (function == "json.load" and profile.compression):
        return None
    return Reading(function, f"/workspace/{name}", _options(profile))


def _options(profile: FileProfile) -> dict[str, Any]:
    table = max(profile.tables, key=_weight, default=FileTable())
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
            return ({"lines": True} | _codes(table) if profile.kind == "jsonl" else {}) | encoding | packing
        case "sqlite":
            return {"sql": f"SELECT * FROM {_sql_name(table.name)}"}
    return _FIXED_OPTIONS.get(profile.kind, {}) | (encoding if profile.kind == "xml" else {})


def _weight(table: FileTable) -> tuple[bool, int]:
    """The table that is shown how to read is one that is not hidden, and a large one."""
    return not (table.is_hidden or table.is_view), (table.rows or 0) * table.column_count


def _sql_name(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


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
    return options | _number_options(profile) | _column_options(profile, table)


def _number_options(profile: FileProfile) -> dict[str, Any]:
    options: dict[str, Any] = {} if profile.decimal == "." else {"decimal": profile.decimal}
    if profile.thousands:
        options["thousands"] = profile.thousands
        if not profile.thousands.isascii():
            options["engine"] = "python"
    return options


def _column_options(profile: FileProfile, table: FileTable) -> dict[str, Any]:
    """Codes keep their zeros, and dates in one other format than ISO 8601 are dates."""
    options = _codes(table) | _blanks(table)
    dated = [column for column in table.columns if column.format not in ("", "?")]
    formats = {column.format for column in dated}
    if len(formats) == 1:
        options["parse_dates"] = [_key(column.name, table) for column in dated[:MAX_NAMED]]
        options["date_format"] = formats.pop()
    return options


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
    return options | _codes(table) | _blanks(table)


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
