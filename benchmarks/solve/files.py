"""The files that tasks come with, made anew and always with the same contents."""

import json
import sqlite3
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from benchmarks.solve.brought import BROUGHT
from benchmarks.solve.draws import draws

REGIONS = ("North", "South", "East", "West")
PRODUCTS = ("lamp", "desk", "chair", "shelf", "clock")
PATHS = ("/", "/login", "/search", "/cart", "/checkout", "/help")
SENSORS = ("attic", "cellar", "garage", "kitchen")


def write(name: str, directory: Path) -> Path:
    """Write one of the files into a directory. Raises KeyError for a name that no task has."""
    path = directory / name
    (MAKERS | BROUGHT)[name](path)
    return path


def _lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def sales(path: Path) -> None:
    """120 sales: date, region, product, units, unit_price."""
    draw = draws(11)
    rows = ["date,region,product,units,unit_price"]
    for day in range(120):
        when = date(2023, 1, 1) + timedelta(days=3 * day)
        region, product = REGIONS[next(draw) % 4], PRODUCTS[next(draw) % 5]
        rows.append(f"{when},{region},{product},{next(draw) % 19 + 1},{(next(draw) % 9000 + 500) / 100:.2f}")
    _lines(path, rows)


def employees(path: Path) -> None:
    """60 employees, some without a salary."""
    draw = draws(23)
    rows = ["name,department,salary,hired"]
    for number in range(60):
        department = ("Sales", "Research", "Support")[next(draw) % 3]
        salary = "" if next(draw) % 9 == 0 else str(28_000 + next(draw) % 52_000)
        hired = date(2010, 1, 1) + timedelta(days=next(draw) % 5000)
        rows.append(f"E{number:03},{department},{salary},{hired}")
    _lines(path, rows)


def customers(path: Path) -> None:
    """12 customers and their countries."""
    countries = ("France", "Japan", "Chile", "Kenya")
    draw = draws(31)
    rows = [f"{number},{countries[next(draw) % 4]}" for number in range(1, 13)]
    _lines(path, ["customer_id,country", *rows])


def orders(path: Path) -> None:
    """80 orders of those customers."""
    draw = draws(37)
    rows = [f"{number},{next(draw) % 12 + 1},{next(draw) % 900 + 100}" for number in range(1000, 1080)]
    _lines(path, ["order_id,customer_id,amount", *rows])


def ledger(path: Path) -> None:
    """50 bookings as a spreadsheet in German writes them: semicolons, decimal commas, points for thousands."""
    draw = draws(41)
    rows = ["Datum;Konto;Betrag"]
    for number in range(50):
        cents = next(draw) % 500_000 + 1000
        amount = f"{cents / 100:,.2f}".translate(str.maketrans(",.", ".,"))
        rows.append(f"{number % 28 + 1:02}.03.2024;{('Miete', 'Strom', 'Reise')[next(draw) % 3]};{amount}")
    _lines(path, rows)


def readings(path: Path) -> None:
    """90 readings of sensors, some of which are words instead of numbers."""
    draw = draws(43)
    rows = ["sensor,celsius"]
    for number in range(90):
        value = ("error", "offline")[number % 2] if next(draw) % 11 == 0 else f"{next(draw) % 400 / 10 - 8:.1f}"
        rows.append(f"{SENSORS[number % 4]},{value}")
    _lines(path, rows)


def signups(path: Path) -> None:
    """Mail addresses that signed up, several more than once and in other letters."""
    draw = draws(47)
    rows = ["email"]
    for _ in range(70):
        address = f"user{next(draw) % 40}@example.com"
        rows.append(address.upper() if next(draw) % 5 == 0 else address)
    _lines(path, rows)


def scores(path: Path) -> None:
    """200 scores from 0 to 100, one a line, without a header."""
    draw = draws(53)
    _lines(path, [str(sum(next(draw) % 26 for _ in range(4))) for _ in range(200)])


def points(path: Path) -> None:
    """40 points near a line."""
    draw = draws(59)
    rows = [f"{x},{2.5 * x + 7 + next(draw) % 1000 / 100:.2f}" for x in range(40)]
    _lines(path, ["x,y", *rows])


def inventory(path: Path) -> None:
    """A nested JSON document: warehouses with shelves with items."""
    draw = draws(61)
    tags = ("fragile", "heavy", "perishable")
    warehouses = [
        {
            "city": city,
            "shelves": [
                {
                    "items": [
                        {"sku": f"{city[:2].upper()}{next(draw) % 9000 + 1000}", "count": next(draw) % 50, "tags": own}
                        for _ in range(next(draw) % 5 + 2)
                        if (own := [tag for tag in tags if next(draw) % 3 == 0]) is not None
                    ]
                }
                for _ in range(4)
            ],
        }
        for city in ("Oslo", "Lima", "Cairo")
    ]
    path.write_text(json.dumps({"warehouses": warehouses}, indent=1) + "\n", encoding="utf-8")


def events(path: Path) -> None:
    """150 requests as JSON, one a line."""
    draw = draws(67)
    rows = []
    for number in range(150):
        status = (200, 200, 200, 200, 301, 404, 500)[next(draw) % 7]
        row = {"id": number, "path": PATHS[next(draw) % 6], "status": status, "ms": next(draw) % 900 + 5}
        rows.append(json.dumps(row))
    _lines(path, rows)


def access(path: Path) -> None:
    """180 lines of a web server's log."""
    draw = draws(71)
    begun = datetime(2024, 5, 14, 6, 0)  # noqa: DTZ001 - the log itself names the zone
    rows = []
    for number in range(180):
        address = f"10.0.{next(draw) % 2}.{next(draw) % 9 + 1}"
        when = (begun + timedelta(seconds=97 * number)).strftime("%d/%b/%Y:%H:%M:%S +0000")
        status = (200, 200, 200, 304, 403, 404)[next(draw) % 6]
        rows.append(
            f'{address} - - [{when}] "GET {PATHS[next(draw) % 6]} HTTP/1.1" {status} {next(draw) % 20_000 + 120}'
        )
    _lines(path, rows)


def library(path: Path) -> None:
    """An SQLite database of 50 books and their loans."""
    draw = draws(73)
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, year INTEGER)")
        connection.execute("CREATE TABLE loans (book_id INTEGER, days INTEGER)")
        connection.executemany(
            "INSERT INTO books VALUES (?, ?, ?)", [(n, f"Book {n}", 1950 + next(draw) % 70) for n in range(1, 51)]
        )
        connection.executemany(
            "INSERT INTO loans VALUES (?, ?)", [(next(draw) % 50 + 1, next(draw) % 30 + 1) for _ in range(140)]
        )
    connection.close()


MAKERS: dict[str, Callable[[Path], None]] = {
    "sales.csv": sales,
    "employees.csv": employees,
    "customers.csv": customers,
    "orders.csv": orders,
    "ledger.csv": ledger,
    "readings.csv": readings,
    "signups.csv": signups,
    "scores.txt": scores,
    "points.csv": points,
    "inventory.json": inventory,
    "events.jsonl": events,
    "access.log": access,
    "library.db": library,
}
