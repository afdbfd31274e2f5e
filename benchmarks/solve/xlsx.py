"""Writes workbooks of Excel, as little as a reader needs, with the standard library alone."""

import zipfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

Cell = str | int | float | date | None
Rows = Sequence[Sequence[Cell]]
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="1"><fill><patternFill patternType="none"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>'
)
_TIME = (2024, 1, 1, 0, 0, 0)


def write_workbook(path: Path, sheets: Mapping[str, Rows], *, hidden: Sequence[str] = ()) -> None:
    """Write the sheets in their order. Dates are real dates, and None is an empty cell."""
    places = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{place}" r:id="rId{place}"'
        + (' state="hidden"/>' if name in hidden else "/>")
        for place, name in zip(places, sheets, strict=True)
    )
    relations = [(f"rId{place}", "worksheet", f"worksheets/sheet{place}.xml") for place in places]
    kinds = [("workbook", f"{_OFFICE}.sheet.main+xml"), ("styles", f"{_OFFICE}.styles+xml")]
    kinds += [(f"worksheets/sheet{place}", f"{_OFFICE}.worksheet+xml") for place in places]
    overrides = "".join(f'<Override PartName="/xl/{name}.xml" ContentType="{kind}"/>' for name, kind in kinds)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f"{overrides}</Types>",
        "_rels/.rels": _related([("rId1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _related([*relations, ("rIdS", "styles", "styles.xml")]),
        "xl/styles.xml": _STYLES,
        **{
            f"xl/worksheets/sheet{place}.xml": _sheet(rows) for place, rows in zip(places, sheets.values(), strict=True)
        },
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), f'<?xml version="1.0" encoding="UTF-8"?>{content}')


def _related(relations: Sequence[tuple[str, str, str]]) -> str:
    inside = "".join(
        f'<Relationship Id="{own}" Type="{_RELATIONS}/{kind}" Target="{target}"/>' for own, kind, target in relations
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inside}</Relationships>'


def _sheet(rows: Rows) -> str:
    written = "".join(
        f'<row r="{number}">{"".join(_cell(cell, number, place) for place, cell in enumerate(row))}</row>'
        for number, row in enumerate(rows, 1)
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{written}</sheetData></worksheet>'


def _cell(cell: Cell, number: int, place: int) -> str:
    at = f"{_letters(place)}{number}"
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f'<c r="{at}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
    if isinstance(cell, date):
        return f'<c r="{at}" s="1"><v>{(cell - date(1899, 12, 30)).days}</v></c>'
    return f'<c r="{at}"><v>{cell}</v></c>'


def _letters(place: int) -> str:
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(65 + place % 26)
