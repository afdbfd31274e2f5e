"""Text files: tables with separators or of fixed width, and all other text."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sandbox.profiler.encodings import MAX_CHECKED_BYTES, PIECE_BYTES, encoding_of
from sandbox.profiler.lines import lines_of
from sandbox.profiler.source import Source
from sandbox.profiler.tables import shown, table_of
from sandbox.profiler.values import marks_of

SEPARATORS = ",;\t|"
SAMPLE_CHARS = 1 << 16
SAMPLE_RECORDS = 200
MAX_LINE_CHARS = 1 << 20
"""A longer line is no row of a table."""
MAX_CELLS = 100_000
"""So many cells are looked at for the types of columns."""
MAX_COUNTED_BYTES = 64 << 20
"""The rows of a larger file are counted by its lines, and those of a compressed or much larger one are estimated."""
MAX_LINES = 3
TABLES = (".csv", ".tsv", ".tab", ".psv", ".xls", ".xlsx", ".ssv", ".skv")
"""The endings of files that are tables even if their rows are not all alike."""
PROSE = (
    *(".md", ".log", ".py", ".rst", ".tex", ".sql", ".html", ".xml", ".ini", ".toml", ".yaml", ".yml", ".js", ".r"),
    *(".json", ".jsonl", ".ndjson", ".geojson"),
)
csv.field_size_limit(MAX_LINE_CHARS)
_SAYS_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_GAP = re.compile(r"\S+(?: \S+)*")


def profile_text(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a text file; empty if it is no text. The rows are counted last."""
    encoding = encoding_of(source.head, source.pieces(PIECE_BYTES, MAX_CHECKED_BYTES))
    if encoding is None:
        return
    told: dict[str, Any] = {"kind": "text", "encoding": encoding, "has_nul": _has_nul(source, encoding)}
    with source.text(encoding) as text:
        sample = text.read(SAMPLE_CHARS)
    told["lines"] = [shown(line) for line in sample.splitlines()[:MAX_LINES]]
    if not source.name.endswith(PROSE):
        if separator := separator_of(sample, is_table=source.name.endswith(TABLES)):
            yield from _delimited(source, told, separator)
            return
        if columns := _aligned(source.name, sample):
            yield told | columns
            return
    yield told
    yield told | lines_of(source, encoding)


def _has_nul(source: Source, encoding: str) -> bool:
    return b"\x00" in source.head and not encoding.startswith(("utf-16", "utf-32"))


def separator_of(sample: str, *, is_table: bool) -> str:
    """What separates the cells: with it, most records have the same number of them. Empty if this is no table.

    A single column in a file that is named as a table is one whatever its separator.
    """
    if said := _SAYS_SEPARATOR.fullmatch(sample.partition("\n")[0].strip()):
        return said[1]
    rated = {separator: _evenness(sample, separator) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: rated[separator])
    share, _ = rated[best]
    if share >= (0.4 if is_table else 0.9):
        return best
    return "," if is_table else ""


def _evenness(sample: str, separator: str) -> tuple[float, int]:
    """The share of records with the usual number of cells, and this number; a single cell is none."""
    records = [record for record in _sample_records(sample, separator) if any(cell.strip() for cell in record)]
    widths = Counter(len(record) for record in records if len(record) > 1)
    if not widths or len(records) < 2:
        return (0.95 if widths and len(sample) < SAMPLE_CHARS else 0.0), max(widths, default=0)
    width, count = widths.most_common(1)[0]
    return count / len(records), width


def _sample_records(sample: str, separator: str) -> list[list[str]]:
    """The records of a sample, whose last line may be cut."""
    whole = sample if len(sample) < SAMPLE_CHARS else sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1]
    reader = csv.reader(io.StringIO(whole, newline=""), delimiter=separator)
    try:
        return list(islice(reader, SAMPLE_RECORDS))
    except csv.Error:
        return []


def _delimited(source: Source, told: dict[str, Any], separator: str) -> Iterator[dict[str, Any]]:
    with source.text(told["encoding"]) as text:
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=separator)
        records: list[list[str]] = []
        above: list[int] = []  # the lines above each record, as pandas skips them: one that is quoted whole is one
        cells = 0
        for line, record in enumerate(_without_error(reader, lines)):
            if record:
                records.append(record)
                above.append(line)
                cells += len(record)
            if cells > MAX_CELLS:
                break
        is_whole = cells <= MAX_CELLS and lines.is_whole
        said = int(bool(records) and _SAYS_SEPARATOR.fullmatch(separator.join(records[0])) is not None)
        records, above = records[said:], above[said:]
        if not records or not lines.is_whole:
            yield told
            return
        as_table = _with_table(told, records, above, separator)
        [table] = as_table["tables"]
        if _may_be_one_column(records, table):
            yield told
            return
        seen = table["rows"]
        table |= {"rows": seen} if is_whole else {"rows": None, "seen_rows": seen}
        yield as_table
        if not is_whole:
            table["total"] = ""
            more = _without_error(reader, lines)
            top = as_table["header_lines"] + (table["header_row"] is not None)
            rows, table["is_estimate"] = _count(source, more, seen, top)
            table["rows"] = rows if lines.is_whole else None
            yield as_table


def _with_table(told: dict[str, Any], records: list[list[str]], above: list[int], separator: str) -> dict[str, Any]:
    texts = [cell.strip() for record in records[1:2000] for cell in record]
    marks = marks_of(texts, comma_is_likely=separator == ";")
    table = table_of(records, marks)
    top = table.pop("skipped_rows")
    width, body = len(records[top]), records[top + 1 :]
    begins_longer = table["header_row"] is not None and bool(body) and len(body[0]) == width + 1
    has_longer_rows = begins_longer and not any(cell.strip() for record in body for cell in record[width:])
    has_row_names = begins_longer and not has_longer_rows
    if has_row_names:
        kept = {"sample": table["sample"], "above": table["above"]}
        table = table_of([records[top], *(record[1:] for record in body)], marks) | kept
        table["header_row"] = top
        del table["skipped_rows"]
    is_number = any(column["type"] in ("decimal", "integer") for column in table["columns"])
    return told | {
        "kind": "csv",
        "separator": separator if table["column_count"] > 1 else "",
        "decimal": marks.decimal if is_number else ".",
        "thousands": marks.thousands if is_number else "",
        "header_lines": above[top],
        "has_longer_rows": has_longer_rows,
        "has_row_names": has_row_names,
        "has_uneven_rows": any(len(record) > width + begins_longer for record in body),
        "tables": [table],
        "lines": [],
    }


def _may_be_one_column(records: list[list[str]], table: dict[str, Any]) -> bool:
    """True if one cell stands above rows of two that are no evidence of a header: the comma may be part of a text."""
    is_plain = table["header_row"] is None or all(column["type"] == "text" for column in table["columns"])
    return [len(record) for record in records[:2]] == [1, 2] and is_plain and table["column_count"] == 2


class _Lines:
    """The lines of a text, which end at the first that is too long."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.is_whole = True

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_LINE_CHARS):
            if len(line) == MAX_LINE_CHARS and line[-1] not in "\r\n":
                self.is_whole = False
                return
            yield line.replace("\x00", "") if "\x00" in line else line


def _without_error(reader: Iterator[list[str]], lines: _Lines) -> Iterator[list[str]]:
    """The records up to the first that cannot be one, such as a quote that nothing closes."""
    try:
        yield from reader
    except csv.Error:
        lines.is_whole = False


def _count(source: Source, records: Iterator[list[str]], seen: int, above: int) -> tuple[int | None, bool]:
    """The number of rows, and whether it is an estimate: those of a large file are told by its first lines."""
    if not source.compression and source.size_bytes <= MAX_COUNTED_BYTES:
        return seen + sum(1 for record in records if record), False
    ends = read = 0
    for piece in source.pieces(PIECE_BYTES, MAX_COUNTED_BYTES):
        ends += piece.count(b"\n") or piece.count(b"\r")
        read += len(piece)
    whole = read < MAX_COUNTED_BYTES
    if source.compression and not whole:
        return None, False
    lines = ends if whole else round(ends / read * source.size_bytes)
    return max(lines - above, 0), True


def _aligned(name: str, sample: str) -> dict[str, Any] | None:
    """A table whose cells are aligned by spaces: each line has a character where the header has one, or a number."""
    all_lines = [line.rstrip() for line in sample.splitlines() if line.strip()]
    lines = all_lines[:SAMPLE_RECORDS]
    is_whole = len(sample) < SAMPLE_CHARS and len(all_lines) == len(lines)
    if len(lines) < 3 or os.path.splitext(name)[1] not in (".txt", ".dat", ".fwf", ".prn", ".asc", ".csv", ".tsv"):
        return None
    words = [line.split() for line in lines]
    if len(words[0]) > 1 and len({len(row) for row in words}) == 1:
        return _as_table(words, "spaced", is_whole=is_whole)
    starts = _column_starts(lines)
    if len(starts) < 2:
        return None
    rows = [[line[begin:end].strip() for begin, end in zip(starts, [*starts[1:], None], strict=True)] for line in lines]
    return _as_table(rows, "fixed", is_whole=is_whole)


def _column_starts(lines: list[str]) -> list[int]:
    """Where columns begin: behind the gaps that go through all lines."""
    width = max(map(len, lines))
    blank = [all(len(line) <= place or line[place] == " " for line in lines) for place in range(width)]
    return [place for place in range(width) if not blank[place] and (place == 0 or blank[place - 1])]


def _as_table(rows: list[list[str]], kind: str, *, is_whole: bool) -> dict[str, Any] | None:
    marks = marks_of((cell for row in rows for cell in row), comma_is_likely=True)
    table = table_of(rows, marks)
    has_numbers = any(column["type"] not in ("text", "empty") for column in table["columns"])
    top = table.pop("skipped_rows")
    if not has_numbers or top:
        return None
    if not is_whole:
        table |= {"seen_rows": table["rows"], "rows": None, "total": ""}
    return {"kind": kind, "lines": [], "decimal": marks.decimal, "thousands": marks.thousands, "tables": [table]}
