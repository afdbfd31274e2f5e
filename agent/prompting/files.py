"""What the model reads about a given file before it writes code for it."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from textwrap import indent

from agent.prompting.reading import elements_reading, items_above_total, joined_reading, reading_of, word_count
from agent.prompting.words import COLUMN_TYPES, FILE_KINDS, FILES
from agent.text import cut_middle, in_one_line, plain
from sandbox import FileProfile
from sandbox.profiles import FileColumn, FileLink, FileTable

MAX_LISTED_COLUMNS = 25
MAX_TABLES = 8
MAX_MEMBERS = 12
MAX_SHOWN_CELLS = 12
MAX_CELL_CHARS = 60
MAX_LINE_CHARS = 300
MAX_NOTE_CHARS = 120
MAX_OWN_LINE_CHARS = 3_000
"""A line about a file is longer than one of it only where it has code or many columns."""
MAX_VALUES_CHARS = 500
"""For the values of all columns of a file; a column beyond has none."""
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
_BLANKS = {"sqlite": "null", "json": "missing", "jsonl": "missing"}
_CODECS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with BOM", "utf-16": "UTF-16", "gb18030": "GB18030"}


def told_of(name: str, size_bytes: int, profile: FileProfile) -> str:
    """The lines about one file. The first can stand alone."""
    line = FILES["file"].format(name=in_one_line(name), size=size_bytes, facts=facts_of(profile))
    more = "\n".join(_clean(text) for text in _details(name, profile))
    return f"{line}:\n{indent(cut_middle(more, MAX_FILE_CHARS, FILES['cut']), '    ')}" if more else line


def facts_of(profile: FileProfile) -> str:
    """What a file is, in some words."""
    return plain(", ".join(_facts(profile)))


def _clean(text: str) -> str:
    max_chars = MAX_LINE_CHARS if text.startswith((" ", "{", "<")) else MAX_OWN_LINE_CHARS
    return cut_middle(plain(text).replace("\n", " "), max_chars, "...")


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
    if profile.line_count is not None:
        yield FILES["line" if profile.line_count == 1 else "lines"].format(count=profile.line_count)
    if profile.kind in ("csv", "spaced", "fixed", "json", "jsonl", "parquet") and profile.tables:
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
        if table.empty_rows:
            yield FILES["empty_rows"].format(count=table.empty_rows)
    if table.column_count:
        yield FILES["column" if table.column_count == 1 else "columns_count"].format(count=table.column_count)
    if table.header_row is None and table.columns:
        yield FILES["no_header"]


def _details(name: str, profile: FileProfile) -> Iterator[str]:
    yield from _text_lines(name, profile)
    if profile.outline and not profile.tables:
        yield profile.outline
    spelled = _Values()
    for table in profile.tables[:MAX_TABLES]:
        yield from _table_lines(name, table, profile, spelled)
    more = max(profile.table_count, len(profile.tables)) - MAX_TABLES
    if more > 0:
        names = ", ".join(table.name for table in islice(profile.tables, MAX_TABLES, None))
        yield FILES["more_tables"].format(count=more, names=names)
    if profile.members:
        listed = [f"{member.name} ({member.size_bytes})" for member in profile.members[:MAX_MEMBERS]]
        yield _of_file(", ".join(listed)) + (", ..." if profile.member_count > MAX_MEMBERS else "")
    yield from links_told(profile)
    if not _has_sheets(profile) and (reading := reading_of(name, profile)):
        yield FILES["read"].format(code=reading.whole)
    if profile.kind == "sqlite" and (joined := joined_reading(name, profile)):
        yield FILES["read_joined"].format(code=joined)
    for table in profile.tables[:1]:
        if elements := elements_reading(table):
            yield FILES["read_elements"].format(path=elements[0], code=elements[1])


def _has_sheets(profile: FileProfile) -> bool:
    return profile.kind in ("excel", "ods") and len(profile.tables) > 1


def _text_lines(name: str, profile: FileProfile) -> Iterator[str]:
    """The first lines of a text, and the words in capitals that recur in it."""
    yield from map(_of_file, profile.lines)
    if not profile.words:
        return
    counts = ", ".join(f"{word.word} {word.count}" for word in profile.words)
    if profile.seen_lines is not None:
        counts += f" {FILES['seen_lines'].format(count=profile.seen_lines)}"
    yield FILES["words" if profile.word_place is None else "words_at"].format(place=profile.word_place, words=counts)
    others = [line for line in dict.fromkeys(word.line for word in profile.words) if line not in profile.lines]
    if others:
        yield FILES["word_lines"]
        yield from (_of_file(line[:MAX_NOTE_CHARS]) for line in others)
    if profile.word_place is not None and profile.encoding == "utf-8" and not profile.compression:
        yield FILES["count_word"].format(code=word_count(name, profile.word_place, profile.words[-1].word))


def _table_lines(name: str, table: FileTable, profile: FileProfile, spelled: "_Values") -> Iterator[str]:
    """What is told of a table."""
    if profile.kind in ("excel", "ods", "sqlite"):
        yield _titled(table, profile)
    if table.above:
        yield FILES["above"]
        yield from (_of_file(line[:MAX_NOTE_CHARS]) for line in table.above)
    yield from map(_of_file, _rows_of(table, profile))
    if table.columns:
        columns = _columns_of(table, profile, spelled)
        yield FILES["columns" if table.seen_rows is None else "columns_by"].format(
            columns=columns, count=table.seen_rows
        )
    if table.total:
        items = items_above_total(profile, table)
        words = "total_below" if table.footer_rows else "total" if items is None else "total_last"
        yield FILES[words].format(word=table.total, count=table.footer_rows or items)
    if table.has_bare_formulas:
        yield FILES["bare_formulas"]
    if _has_sheets(profile) and table.columns and (reading := reading_of(name, profile, table)):
        yield FILES["read_sheet"].format(code=reading.whole)


def links_told(profile: FileProfile, table: str = "") -> Iterator[str]:
    """The keys that a database states, and the columns whose values fit others; perhaps those of one table."""
    links = [link for link in profile.links if not table or table in (link.table, link.other_table)]
    declared = [_linked(link) for link in links if link.is_declared]
    found = [_linked(link) for link in links if not link.is_declared]
    if declared:
        yield FILES["foreign_keys"].format(links=", ".join(f"{one} = {other}" for one, other in declared))
    if found:
        yield "; ".join(FILES["fits"].format(column=one, other=other) for one, other in found)


def _linked(link: FileLink) -> tuple[str, str]:
    """The two columns of a link, each with its table."""
    return f"{link.table}.{link.column}", f"{link.other_table}.{link.other_column}"


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


class _Values:
    """Spells the values of columns as long as there is room for them."""

    def __init__(self) -> None:
        self._left = MAX_VALUES_CHARS

    def of(self, column: FileColumn) -> str:
        text = ", ".join(map(repr, column.values))
        if not text or len(text) > self._left:
            return ""
        self._left -= len(text)
        return f": {text}"


def _columns_of(table: FileTable, profile: FileProfile, spelled: _Values) -> str:
    described = [_column(column, profile, spelled) for column in table.columns[:MAX_LISTED_COLUMNS]]
    more = table.column_count - len(described)
    return ", ".join([*described, *([FILES["more_columns"].format(count=more)] if more > 0 else [])])


def _column(column: FileColumn, profile: FileProfile, spelled: _Values) -> str:
    values = spelled.of(column)
    facts = [_type_words(column, profile, has_values=bool(values)) + values]
    if column.odd_count and column.odd:
        facts.append(FILES["odd"].format(count=column.odd_count, example=column.odd[0][:MAX_CELL_CHARS]))
    if column.blank and column.type != "empty":
        facts.append(FILES[_BLANKS.get(profile.kind, "blank")].format(count=column.blank))
    said = ("; " if values else ", ").join(fact for fact in facts if fact)
    return column.name[:MAX_CELL_CHARS] + (f" ({said})" if said else "")


def _type_words(column: FileColumn, profile: FileProfile, *, has_values: bool) -> str:
    """The type of a column: of a date, how it is written; of another column of a database, what it states."""
    if column.type in ("date", "datetime"):
        is_told = column.is_text and profile.kind not in ("csv", "spaced", "fixed", "html")
        iso = "ISO 8601" if column.type == "datetime" else "yyyy-mm-dd"
        form = _date_words(column.format) or (iso if is_told else "")
        words = FILES["unsure_date"].format(type=column.type) if form == "?" else f"{column.type} {form}".rstrip()
        return FILES["as_text"].format(type=words) if is_told else words
    if column.type == "quantity":
        example = column.odd[0][:MAX_CELL_CHARS] if column.odd else ""
        return FILES["quantities"] if has_values or not example else FILES["quantity"].format(example=example)
    return column.declared.lower() or COLUMN_TYPES.get(column.type, column.type)


def _date_words(format_: str) -> str:
    format_ = format_.replace("ISO8601", "ISO 8601")
    for part, word in _DATE_PARTS.items():
        format_ = format_.replace(part, word)
    return format_
