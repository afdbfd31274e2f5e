"""Files as people bring them, in the encodings and shapes of their programs, always with the same contents."""

import csv
import gzip
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

from benchmarks.solve.draws import draws
from benchmarks.solve.xlsx import Cell, write_workbook

BRANCHES = ("Köln", "München", "Düsseldorf", "Nürnberg")
CITIES = ("北京", "上海", "广州", "深圳")
GOODS = ("茶叶", "咖啡", "牛奶")
TOWNS = ("Москва", "Казань", "Самара")
NAMES = ("Élodie", "François", "Zoë", "Jérôme", "Anaïs")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = (2024, 1, 1, 0, 0, 0)


def german(cents: int) -> str:
    """An amount as German spreadsheets write it: `1.234,50`."""
    return f"{cents / 100:,.2f}".translate(str.maketrans(",.", ".,"))


def _write(path: Path, rows: Sequence[Sequence[object]], *, encoding: str, separator: str, end: str = "\r\n") -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))


def branches(path: Path) -> None:
    """80 bookings of branches in cp1252: semicolons, decimal commas, points for thousands, dates with points."""
    draw = draws(101)
    rows: list[list[object]] = [["Datum", "Filiale", "Umsatz", "Stück"]]
    for number in range(80):
        day = date(2024, 1, 3) + timedelta(days=2 * number)
        rows.append([f"{day:%d.%m.%Y}", BRANCHES[next(draw) % 4], german(next(draw) % 400_000 + 20_000),
                     next(draw) % 90 + 1])  # fmt: skip
    _write(path, rows, encoding="cp1252", separator=";")


def chinese(path: Path) -> None:
    """60 sales in GB18030."""
    draw = draws(103)
    rows: list[list[object]] = [["城市", "产品", "数量", "单价"]]
    for _ in range(60):
        rows.append([CITIES[next(draw) % 4], GOODS[next(draw) % 3], next(draw) % 40 + 1,
                     f"{(next(draw) % 900 + 100) / 10:.1f}"])  # fmt: skip
    _write(path, rows, encoding="gb18030", separator=",")


def unicode_text(path: Path) -> None:
    """50 prices as Excel's "Unicode text" has them: UTF-16 and tabs."""
    draw = draws(107)
    rows: list[list[object]] = [["Artikel", "Lager", "Preis"]]
    rows += [[f"Artikel {number}", next(draw) % 300, f"{(next(draw) % 9000 + 100) / 100:.2f}"] for number in range(50)]
    _write(path, rows, encoding="utf-16", separator="\t")


def marked(path: Path) -> None:
    """40 people in UTF-8 with a byte order mark and semicolons."""
    draw = draws(109)
    rows: list[list[object]] = [["Größe", "Gewicht", "Ort"]]
    rows += [[next(draw) % 60 + 140, next(draw) % 60 + 45, BRANCHES[next(draw) % 4]] for _ in range(40)]
    _write(path, rows, encoding="utf-8-sig", separator=";")


def old_mac(path: Path) -> None:
    """45 measurements whose lines end with a carriage return."""
    draw = draws(113)
    rows: list[list[object]] = [["probe", "depth", "value"]]
    rows += [[f"P{next(draw) % 5}", next(draw) % 100, next(draw) % 1000] for _ in range(45)]
    _write(path, rows, encoding="utf-8", separator=",", end="\r")


def tickets(path: Path) -> None:
    """35 tickets, some with a text of several lines."""
    draw = draws(127)
    rows: list[list[object]] = [["ticket", "priority", "text", "hours"]]
    for number in range(35):
        text = "The page is slow,\nagain.\n\nPlease help" if next(draw) % 3 == 0 else "All is well, thanks"
        rows.append([f"T-{number:03}", ("low", "high")[next(draw) % 2], text, next(draw) % 30])
    _write(path, rows, encoding="utf-8", separator=",")


def report(path: Path) -> None:
    """A report: three lines above the header, 24 rows, and their sum."""
    draw = draws(131)
    cents = [next(draw) % 90_000 + 1_000 for _ in range(24)]
    rows: list[list[object]] = [["Umsatzbericht 2024"], ["Stand: 1. April"], [], ["Monat", "Abteilung", "Betrag"]]
    rows += [[MONTHS[number % 12], ("Nord", "Süd")[number // 12], german(each)] for number, each in enumerate(cents)]
    rows.append(["Summe", "", german(sum(cents))])
    _write(path, rows, encoding="cp1252", separator=";")


def guests(path: Path) -> None:
    """55 guests in cp1252, with tabs."""
    draw = draws(137)
    rows: list[list[object]] = [["Prénom", "Âge", "Nuitées"]]
    rows += [[NAMES[next(draw) % 5], next(draw) % 70 + 18, next(draw) % 14 + 1] for _ in range(55)]
    _write(path, rows, encoding="cp1252", separator="\t")


def cyrillic(path: Path) -> None:
    """30 towns in cp1251 with decimal commas."""
    draw = draws(139)
    rows: list[list[object]] = [["Город", "Температура"]]
    rows += [[TOWNS[next(draw) % 3], f"{(next(draw) % 500 - 200) / 10:.1f}".replace(".", ",")] for _ in range(30)]
    _write(path, rows, encoding="cp1251", separator=";")


def american(path: Path) -> None:
    """40 invoices with the month first, and commas for thousands."""
    draw = draws(149)
    rows: list[list[object]] = [["Invoice", "Date", "Amount"]]
    for number in range(40):
        day = date(2023, 1, 5) + timedelta(days=9 * number)
        rows.append([f"I{number}", f"{day:%m/%d/%Y}", f"{(next(draw) % 900_000 + 50_000) / 100:,.2f}"])
    _write(path, rows, encoding="utf-8", separator=",")


def postcodes(path: Path) -> None:
    """60 parcels, some to post codes that begin with 0."""
    draw = draws(151)
    rows: list[list[object]] = [["plz", "kg"]]
    rows += [[f"{next(draw) % 10:01}{next(draw) % 3}067", next(draw) % 30 + 1] for _ in range(60)]
    _write(path, rows, encoding="utf-8", separator=",")


def euros(path: Path) -> None:
    """30 articles whose prices carry their currency."""
    draw = draws(157)
    rows: list[list[object]] = [["Artikel", "Preis"]]
    rows += [[f"A{number}", f"{german(next(draw) % 300_000 + 100)} €"] for number in range(30)]
    _write(path, rows, encoding="cp1252", separator=";")


def stations(path: Path) -> None:
    """36 stations in columns of fixed width."""
    draw = draws(163)
    lines = [f"{'station':<14}{'height':>8}{'rain':>8}"]
    for number in range(36):
        lines.append(f"{f'Station {number}':<14}{next(draw) % 2500:>8}{next(draw) % 900 / 10:>8.1f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def wide(path: Path) -> None:
    """A table of 300 columns and 12 rows."""
    draw = draws(167)
    rows: list[list[object]] = [["day", *(f"sensor_{number}" for number in range(299))]]
    rows += [[day, *(next(draw) % 100 for _ in range(299))] for day in range(12)]
    _write(path, rows, encoding="utf-8", separator=",")


def packed(path: Path) -> None:
    """70 trips, compressed by gzip."""
    draw = draws(173)
    rows = ["trip;km;minutes"]
    rows += [f"{number};{next(draw) % 400 / 10:.1f};{next(draw) % 90 + 5}".replace(".", ",") for number in range(70)]
    path.write_bytes(gzip.compress(("\n".join(rows) + "\n").encode(), mtime=0))


def misnamed(path: Path) -> None:
    """A table that a program has named .xls, and that is text."""
    draw = draws(179)
    rows: list[list[object]] = [["Konto", "Soll", "Haben"]]
    rows += [[f"K{number}", german(next(draw) % 50_000), german(next(draw) % 50_000)] for number in range(30)]
    _write(path, rows, encoding="cp1252", separator=";")


def quarter(path: Path) -> None:
    """A workbook with two sheets: 40 sales and 15 costs."""
    draw = draws(181)
    sales: list[list[Cell]] = [["Datum", "Region", "Umsatz"]]
    for number in range(40):
        day = date(2024, 1, 2) + timedelta(days=2 * number)
        sales.append([day, ("Nord", "Süd", "West")[next(draw) % 3], (next(draw) % 90_000 + 1000) / 100])
    costs: list[list[Cell]] = [["Posten", "Betrag"]]
    costs += [[("Miete", "Strom", "Lohn")[next(draw) % 3], next(draw) % 3000 + 100] for _ in range(15)]
    write_workbook(path, {"Umsatz": sales, "Kosten": costs})


def headed(path: Path) -> None:
    """A workbook whose table begins below a title, and ends with its total."""
    draw = draws(191)
    rows: list[list[Cell]] = [["Inventory of the main store"], ["as of 31 March 2024"], [], ["Item", "Group", "Count"]]
    counts = [next(draw) % 200 for _ in range(32)]
    rows += [
        [f"Item {number}", ("tools", "paint", "wood")[next(draw) % 3], count] for number, count in enumerate(counts)
    ]
    write_workbook(path, {"Stock": [*rows, ["Total", None, sum(counts)]]})


def months(path: Path) -> None:
    """A workbook with a sheet for each month."""
    draw = draws(193)
    sheets: dict[str, list[list[Cell]]] = {}
    for name in MONTHS:
        rows: list[list[Cell]] = [["day", "visitors"]]
        sheets[name] = rows + [[day, next(draw) % 500] for day in range(1, 21)]
    write_workbook(path, sheets)


def shop(path: Path) -> None:
    """A database of 3 tables: 20 customers, 15 products, 120 orders."""
    draw = draws(197)
    path.unlink(missing_ok=True)
    base = sqlite3.connect(path)
    with base:
        base.execute("CREATE TABLE kunden (kunden_nr INTEGER PRIMARY KEY, name TEXT, ort TEXT)")
        base.execute("CREATE TABLE artikel (art_nr INTEGER PRIMARY KEY, bezeichnung TEXT, preis REAL)")
        base.execute("CREATE TABLE bestellungen (nr INTEGER PRIMARY KEY, kunde INTEGER, art INTEGER, menge INTEGER)")
        base.executemany(
            "INSERT INTO kunden VALUES (?, ?, ?)",
            [(number, f"Kunde {number}", BRANCHES[next(draw) % 4]) for number in range(1, 21)],
        )
        base.executemany(
            "INSERT INTO artikel VALUES (?, ?, ?)",
            [(number, f"Artikel {number}", (next(draw) % 5000 + 100) / 100) for number in range(1, 16)],
        )
        base.executemany(
            "INSERT INTO bestellungen VALUES (?, ?, ?, ?)",
            [(number, next(draw) % 20 + 1, next(draw) % 15 + 1, next(draw) % 9 + 1) for number in range(1, 121)],
        )
    base.close()


def visits(path: Path) -> None:
    """90 visits as JSON lines, one field of which is not in all of them."""
    draw = draws(199)
    lines = []
    for number in range(90):
        visit: dict[str, object] = {"visit": number, "device": ("phone", "tablet", "desktop")[next(draw) % 3]}
        visit |= {"geo": {"country": ("FR", "JP", "CL")[next(draw) % 3]}, "pages": next(draw) % 20 + 1}
        if next(draw) % 4 == 0:
            visit["bought"] = next(draw) % 200 + 10
        lines.append(json.dumps(visit))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def courses(path: Path) -> None:
    """A JSON document of courses with their students."""
    draw = draws(211)
    found = [
        {"title": f"Course {number}", "room": next(draw) % 9 + 1,
         "students": [{"id": next(draw) % 900, "grade": next(draw) % 5 + 1} for _ in range(next(draw) % 12 + 3)]}
        for number in range(14)
    ]  # fmt: skip
    path.write_text(json.dumps({"school": {"year": 2024, "courses": found}}, indent=2), encoding="utf-8")


def archive(path: Path) -> None:
    """A zip file with 6 tables and a note."""
    draw = draws(223)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed_files:
        packed_files.writestr(zipfile.ZipInfo("readme.txt", _TIME), "Daily counts of six shops.\n")
        for shop_number in range(6):
            lines = ["day,count", *(f"{day},{next(draw) % 80}" for day in range(1, 31))]
            packed_files.writestr(zipfile.ZipInfo(f"shops/shop_{shop_number}.csv", _TIME), "\n".join(lines) + "\n")


BROUGHT: dict[str, Callable[[Path], None]] = {
    "filialen.csv": branches,
    "sales_cn.csv": chinese,
    "preise.txt": unicode_text,
    "personen.csv": marked,
    "probes.csv": old_mac,
    "tickets.csv": tickets,
    "bericht.csv": report,
    "clients.tsv": guests,
    "goroda.csv": cyrillic,
    "invoices.csv": american,
    "pakete.csv": postcodes,
    "artikel.csv": euros,
    "stations.txt": stations,
    "wide.csv": wide,
    "trips.csv.gz": packed,
    "konten.xls": misnamed,
    "quartal.xlsx": quarter,
    "stock.xlsx": headed,
    "visitors.xlsx": months,
    "shop.sqlite": shop,
    "visits.jsonl": visits,
    "courses.json": courses,
    "counts.zip": archive,
}
