"""What the model reads about a given file before it writes code for it."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from textwrap import indent

from agent.prompting.reading import reading_of
from agent.prompting.words import COLUMN_TYPES, FILE_KINDS, FILES
from agent.text import cut_middle, in_one_line, plain
from sandbox import FileProfile
from sandbox.profiles import FileColumn, FileTable

MAX_LISTED_COLUMNS = 25
MAX_TABLES = 8
MAX_MEMBERS = 12
MAX_SHOWN_CELLS = 12
MAX_CELL_CHARS = 60
MAX_LINE_CHARS = 300
MAX_FILE_CHARS = 3_000
MAX_ALL_CHARS = 12_000
"""For all files of a question; of what is beyond, only the names and sizes are told."""
_SEPARATORS = {"\t": "tab"}
_DATE_PARTS = {
    "%Y": "yyyy",
    "%y": "yy",
    "%m": "mm",
    "%d": "dd",
    "%H": "hh",
    "%M": "mm",
    "%S": "ss",
    "%b": "Mon",
    "%f": "fraction",
    "%z": "+hhmm",
}
_CODECS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with BOM", "utf-16": "UTF-16", "gb18030": "GB18030"}


def told_of(name: str, size_bytes: int, profile: FileProfile) -> str:
    """The lines about one file. The first can stand alone."""
    line = FILES["file"].format(name=in_one_line(name), size=size_bytes, facts=plain(", ".join(_facts(profile))))
    more = "\n".join(_clean(text) for text in _details(name, profile))
    return f"{line}:\n{indent(cut_middle(more, MAX_FILE_CHARS, FILES['cut']), '    ')}" if more else line


def _clean(text: str) -> str:
    return cut_middle(plain(text).replace("\n", " "), MAX_LINE_CHARS if not text.startswith("Column") else 3_000, "...")


def _facts(profile: FileProfile) -> Iterator[str]:
    """The kind of a file, and how its text is written."""
    yield FILE_KINDS.get(profile.kind, profile.kind)
    if profile.compression:
        yield FILES["compressed"].format(compression=profile.compression)
    if profile.problem:
        yield FILES[profile.problem]
    if profile.needs:
        yield FILES["needs"].format(package=profile.needs)
    if profile.encoding and (profile.encoding != "utf-8" or profile.kind == "csv"):
        yield FILES["encoding"].format(encoding=_CODECS.get(profile.encoding, profile.encoding))
    if profile.kind == "csv" and profile.separator:
        yield FILES["separator"].format(separator=_SEPARATORS.get(profile.separator, f'"{profile.separator}"'))
    if profile.decimal == ",":
        yield FILES["decimal_comma"]
    if profile.thousands:
        yield FILES["thousands"].format(mark=profile.thousands)
    yield from _rows_as_written(profile)
    if profile.has_nul:
        yield FILES["has_nul"]
    if profile.member_count:
        yield FILES["more_members" if profile.has_more_members else "members"].format(count=profile.member_count)
    if profile.kind in ("csv", "spaced", "fixed", "jsonl", "parquet") and profile.tables:
        yield from _size(profile.tables[0])


def _rows_as_written(profile: FileProfile) -> Iterator[str]:
    """Where the rows of a text begin, and which of them are unlike the header."""
    if profile.header_lines:
        has_names = any(table.header_row is not None for table in profile.tables)
        yield FILES["header_lines" if has_names else "row_lines"].format(line=profile.header_lines + 1)
    if profile.has_row_names:
        yield FILES["row_names"]
    if profile.has_uneven_rows:
        yield FILES["uneven_rows"]


def _size(table: FileTable) -> Iterator[str]:
    if table.rows is not None:
        many = "about_rows" if table.is_estimate else "rows"
        yield FILES["row" if table.rows == 1 else many].format(count=table.rows)
    if table.column_count:
        yield FILES["column" if table.column_count == 1 else "columns_count"].format(count=table.column_count)
    if table.header_row is None and table.columns:
        yield FILES["no_header"]


def _details(name: str, profile: FileProfile) -> Iterator[str]:
    yield from map(_of_file, profile.lines)
    if profile.outline:
        yield profile.outline
    has_names = profile.kind in ("excel", "ods", "sqlite")
    for table in profile.tables[:MAX_TABLES]:
        if has_names:
            yield _titled(table, profile)
        yield from map(_of_file, _rows_of(table, profile))
        if table.columns:
            yield FILES["columns"].format(columns=_columns_of(table))
        if table.total:
            yield FILES["total"].format(word=table.total)
        if table.has_bare_formulas:
            yield FILES["bare_formulas"]
    more = max(profile.table_count, len(profile.tables)) - MAX_TABLES
    if more > 0:
        names = ", ".join(table.name for table in islice(profile.tables, MAX_TABLES, None))
        yield FILES["more_tables"].format(count=more, names=names)
    if profile.members:
        listed = [f"{member.name} ({member.size_bytes})" for member in profile.members[:MAX_MEMBERS]]
        yield _of_file(", ".join(listed)) + (", ..." if profile.member_count > MAX_MEMBERS else "")
    if reading := reading_of(name, profile):
        yield FILES["read"].format(code=reading)


def _of_file(text: str) -> str:
    """A line of the file itself, which stands further in, so that it cannot pass for a line about the file."""
    return f"    {text}"


def _titled(table: FileTable, profile: FileProfile) -> str:
    kind = "view" if table.is_view else "table" if profile.kind == "sqlite" else "sheet"
    facts = list(_size(table))
    if table.is_hidden:
        facts.append(FILES["hidden"])
    if table.header_row:
        facts.append(FILES["header_row"].format(row=table.header_row + 1, place=table.header_row))
    return FILES["table"].format(kind=kind, name=table.name, facts=", ".join(facts)).removesuffix(": ")


def _rows_of(table: FileTable, profile: FileProfile) -> Iterator[str]:
    """The header and the first rows, as the file has them where it is text."""
    if profile.kind == "jsonl" or (profile.kind == "json" and table.sample):
        yield from (row[0] for row in table.sample if row)
        return
    separator = profile.separator if profile.kind == "csv" and profile.separator else " | "
    names = [column.name for column in table.columns]
    header = [] if table.header_row is None or not table.sample else [names]
    for row in [*header, *table.sample]:
        yield _joined([cell[:MAX_CELL_CHARS] for cell in row], separator, table.column_count)


def _joined(cells: list[str], separator: str, count: int) -> str:
    more = [f"... {count - MAX_SHOWN_CELLS} more"] if count > MAX_SHOWN_CELLS else []
    shown = [*cells[:MAX_SHOWN_CELLS], *more]
    if len(separator) > 1:
        return separator.join(shown)
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="").writerow(shown)
    return line.getvalue()


def _columns_of(table: FileTable) -> str:
    described = [_column(column) for column in table.columns[:MAX_LISTED_COLUMNS]]
    more = table.column_count - len(described)
    return ", ".join([*described, *([FILES["more_columns"].format(count=more)] if more > 0 else [])])


def _column(column: FileColumn) -> str:
    facts = [column.declared.lower() or COLUMN_TYPES.get(column.type, column.type)]
    if column.format == "?":
        facts = [FILES["unsure_date"].format(type=column.type)]
    elif column.format:
        facts = [f"{column.type} {_date_words(column.format)}"]
    if column.type == "quantity" and column.odd:
        facts = [FILES["quantity"].format(example=column.odd[0][:MAX_CELL_CHARS])]
    elif column.odd_count:
        facts.append(FILES["odd"].format(count=column.odd_count, example=column.odd[0][:MAX_CELL_CHARS]))
    if column.blank and column.type != "empty":
        facts.append(FILES["blank"].format(count=column.blank))
    said = ", ".join(fact for fact in facts if fact)
    return column.name[:MAX_CELL_CHARS] + (f" ({said})" if said else "")


def _date_words(format_: str) -> str:
    for part, word in _DATE_PARTS.items():
        format_ = format_.replace(part, word)
    return format_
