"""Workbooks: Excel's, by openpyxl where the image has it, and OpenDocument's."""

import sys
import zipfile
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sandbox.profiler.source import Source, lacking
from sandbox.profiler.tables import table_of
from sandbox.profiler.values import Marks, is_blank

MAX_SHEETS = 30
MAX_SHEET_CELLS = 40_000
"""So many cells of a sheet are looked at; the size of a longer one is what the sheet says of itself."""
MAX_SHEET_COLUMNS = 1_000
MAX_REPEATS = 1_000
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLD_BOOKS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))
_WORD = "WordDocument".encode("utf-16-le")
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"

Rows = list[tuple[Any, ...]]


def profile_workbook(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a workbook of Excel, sheet by sheet."""
    yield {"kind": "excel"}
    for unwanted in ("numpy", "PIL", "lxml"):  # openpyxl imports them, and needs them only to write
        sys.modules[unwanted] = None  # type: ignore[assignment]
    try:
        from openpyxl import load_workbook
    except ImportError:
        yield {"kind": "excel", "needs": "openpyxl"}
        return
    book = load_workbook(source.path, read_only=True, data_only=True, keep_links=False)
    tables = [_sheet(sheet) for sheet in islice(book.worksheets, MAX_SHEETS)]
    if any(table["blank_formulas"] for table in tables):
        formulas = load_workbook(source.path, read_only=True, keep_links=False)
        for table, sheet in zip(tables, formulas.worksheets, strict=False):
            table["has_bare_formulas"] = table["blank_formulas"] and _has_formulas(sheet)
    for table in tables:
        del table["blank_formulas"]
    yield {"kind": "excel", "tables": tables, "table_count": len(book.worksheets)}


def _sheet(sheet: Any) -> dict[str, Any]:
    stated = sheet.max_row, sheet.max_column
    sheet.reset_dimensions()  # they may be those of an empty million of formatted rows
    rows, is_whole = _rows_of(sheet)
    has_blanks = any(None in row for row in rows)
    table = _table(rows, sheet.title) | {"is_hidden": sheet.sheet_state != "visible", "blank_formulas": has_blanks}
    if not is_whole:
        below = len(rows) - table["rows"]
        table |= {"rows": max((stated[0] or 0) - below, 0) or None, "is_estimate": True, "total": ""}
    return table


def _rows_of(sheet: Any) -> tuple[Rows, bool]:
    """The rows with values, and whether these are all."""
    rows: Rows = []
    left = MAX_SHEET_CELLS
    for row in sheet.iter_rows(values_only=True, max_col=MAX_SHEET_COLUMNS):
        rows.append(row)
        left -= len(row) + 1
        if left < 0:
            return _without_blank_end(rows), False
    return _without_blank_end(rows), True


def _without_blank_end(rows: Rows) -> Rows:
    while rows and all(is_blank(cell) for cell in rows[-1]):
        rows.pop()
    return rows


def _table(rows: Rows, name: str) -> dict[str, Any]:
    table = table_of(rows, Marks(), name=name)
    if table["header_row"] is not None:
        table["skipped_rows"] = 0
    return table


def _has_formulas(sheet: Any) -> bool:
    sheet.reset_dimensions()
    rows = islice(sheet.iter_rows(max_col=MAX_SHEET_COLUMNS), 200)
    return any(getattr(cell, "data_type", "") == "f" for row in rows for cell in row)


def profile_old_office(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a file in the container of the old Office, which also holds what is encrypted."""
    data = source.whole(64 << 20) or source.head
    if _ENCRYPTED in data:
        yield {"kind": "excel", "problem": "password"}
    elif any(name in data for name in _OLD_BOOKS):
        yield {"kind": "old_excel", "needs": lacking("xlrd")}
    else:
        yield {"kind": "word" if _WORD in data else "old_office"}


def profile_opendocument(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of an OpenDocument spreadsheet."""
    told = {"kind": "ods", "needs": lacking("python_calamine")}
    yield told
    with zipfile.ZipFile(source.path) as archive, archive.open("content.xml") as content:
        tables = [_table(_without_blank_end(rows), name) for name, rows in islice(_ods_sheets(content), MAX_SHEETS)]
    yield told | {"tables": tables, "table_count": len(tables)}


def _ods_sheets(content: Any) -> Iterator[tuple[str, Rows]]:
    from xml.etree.ElementTree import iterparse

    name, rows, cells = "", Rows(), 0
    for event, element in iterparse(content, ("start", "end")):
        if event == "start" and element.tag == f"{_TABLE}table":
            name, rows, cells = element.get(f"{_TABLE}name", ""), [], 0
        elif event == "end" and element.tag == f"{_TABLE}table-row":
            if cells < MAX_SHEET_CELLS:
                row = tuple(islice(_ods_cells(element), MAX_SHEET_COLUMNS))
                repeated = int(element.get(f"{_TABLE}number-rows-repeated", "1"))
                rows += [row] * min(repeated, MAX_REPEATS)
                cells += (len(row) + 1) * min(repeated, MAX_REPEATS)
            element.clear()
        elif event == "end" and element.tag == f"{_TABLE}table":
            yield name, rows


def _ods_cells(row: Any) -> Iterator[Any]:
    for cell in row:
        if cell.tag not in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            continue
        repeated = int(cell.get(f"{_TABLE}number-columns-repeated", "1"))
        yield from [_ods_value(cell)] * min(repeated, MAX_REPEATS)


def _ods_value(cell: Any) -> Any:
    match cell.get(f"{_OFFICE}value-type"):
        case "float" | "currency" | "percentage":
            return float(cell.get(f"{_OFFICE}value"))
        case "date":
            return cell.get(f"{_OFFICE}date-value")
        case "boolean":
            return cell.get(f"{_OFFICE}boolean-value") == "true"
    return "".join(cell.itertext()) or None
