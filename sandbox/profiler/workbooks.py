"""Workbooks: Excel's, by openpyxl where the image has it, and OpenDocument's."""

import sys
import zipfile
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sandbox.profiler.relations import links_between
from sandbox.profiler.source import Source, lacking
from sandbox.profiler.tables import Rows, is_blank_row, table_of, without_blank_end
from sandbox.profiler.values import Marks

MAX_SHEETS = 30
MAX_SHEET_CELLS = 40_000
"""So many cells of a sheet are looked at; the size of a longer one is what the sheet says of itself."""
MAX_SHEET_COLUMNS = 1_000
MAX_REPEATS = 1_000
FORMULA_ROWS = 200
"""Formulas are looked for in so many rows of a sheet."""
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLD_BOOKS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))
_WORD = "WordDocument".encode("utf-16-le")
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


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
    sheets = book.worksheets[:MAX_SHEETS]
    told = {"kind": "excel", "table_count": len(book.worksheets)}
    tables = [{"name": sheet.title, "is_hidden": sheet.sheet_state != "visible"} for sheet in sheets]
    read: list[Rows] = []
    for table, sheet in zip(tables, sheets, strict=True):
        found, rows = _sheet(sheet)
        table.update(found)
        read.append(rows)
        yield told | {"tables": tables}
    bodies = [rows[_top(table) : _top(table) + table["rows"]] for table, rows in zip(tables, read, strict=True)]
    told["links"] = links_between(tables, bodies)
    yield told | {"tables": tables}
    if any(None in row for rows in read for row in rows):
        formulas = load_workbook(source.path, read_only=True, keep_links=False)
        for table, sheet, rows in zip(tables, formulas.worksheets, read, strict=False):
            table["has_bare_formulas"] = _has_bare_formulas(sheet, rows)
        yield told | {"tables": tables}


def _top(table: dict[str, Any]) -> int:
    """The number of rows above the first."""
    return table["skipped_rows"] if table["header_row"] is None else table["header_row"] + 1  # type: ignore[no-any-return]


def _sheet(sheet: Any) -> tuple[dict[str, Any], Rows]:
    """What is told of a sheet, and all its rows."""
    stated = sheet.max_row
    sheet.reset_dimensions()  # they may be those of an empty million of formatted rows
    rows, is_whole = _rows_of(sheet)
    table = _table(rows, sheet.title)
    body = rows[_top(table) :]
    if is_whole:
        items = len(body) - _footer(body) if table["total"] else len(body)
        table |= {"rows": items, "footer_rows": len(body) - items}
    else:
        many = max((stated or 0) - _top(table), 0) or None
        table |= {"rows": many, "seen_rows": len(body), "is_estimate": True, "total": ""}
    return table, rows


def _footer(body: Rows) -> int:
    """The last row, and the empty rows right above it."""
    count = 1
    while is_blank_row(body[-count - 1]):
        count += 1
    return count


def _rows_of(sheet: Any) -> tuple[Rows, bool]:
    """The rows with values, and whether these are all."""
    rows: list[Any] = []
    left = MAX_SHEET_CELLS
    for row in sheet.iter_rows(values_only=True):  # with `max_col`, each row would be filled up to it
        rows.append(row[:MAX_SHEET_COLUMNS])
        left -= len(rows[-1]) + 1
        if left < 0:
            return without_blank_end(rows), False
    return without_blank_end(rows), True


def _table(rows: Rows, name: str) -> dict[str, Any]:
    table = table_of(rows, Marks(), name=name)
    if table["header_row"] is not None:
        table["skipped_rows"] = 0
    return table


def _has_bare_formulas(sheet: Any, results: Rows) -> bool:
    sheet.reset_dimensions()
    return any(
        result is None and getattr(cell, "data_type", "") == "f"
        for row, found in zip(islice(sheet.iter_rows(), FORMULA_ROWS), results, strict=False)
        for cell, result in zip(row, found, strict=False)
    )


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
        tables = [_table(without_blank_end(rows), name) for name, rows in islice(_ods_sheets(content), MAX_SHEETS)]
    yield told | {"tables": tables, "table_count": len(tables)}


def _ods_sheets(content: Any) -> Iterator[tuple[str, Rows]]:
    from xml.etree.ElementTree import iterparse

    name, rows, cells = "", list[Any](), 0
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
