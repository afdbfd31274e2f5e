"""The expected answers about files as people bring them, computed a second time from the files themselves."""

import csv
import gzip
import io
import json
import sqlite3
import statistics
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agent.batch.scoring.matching import Pattern
from benchmarks.solve.brought import BROUGHT
from benchmarks.solve.files import write
from benchmarks.solve.tasks import Task, load_tasks

TASKS = {task.id: task for task in load_tasks("files")}
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
Row = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("brought")
    for name in BROUGHT:
        write(name, directory)
    return directory


def rows(path: Path, encoding: str, separator: str, skip: int = 0) -> list[Row]:
    with path.open(encoding=encoding, newline="") as file:
        for _ in range(skip):
            file.readline()
        return list(csv.DictReader(file, delimiter=separator))


def number(text: str) -> float:
    return float(text.replace(".", "").replace(",", "."))


def cents(text: str) -> int:
    return round(number(text) * 100)


def most(pairs: Iterable[tuple[str, float]]) -> str:
    sums: dict[str, float] = defaultdict(float)
    for key, value in pairs:
        sums[key] += value
    return max(sums, key=lambda key: sums[key])


def branches(folder: Path) -> list[Row]:
    return rows(folder / "filialen.csv", "cp1252", ";")


def chinese(folder: Path) -> list[Row]:
    return rows(folder / "sales_cn.csv", "gb18030", ",")


def prices(folder: Path) -> list[Row]:
    return rows(folder / "preise.txt", "utf-16", "\t")


def people(folder: Path) -> list[Row]:
    return rows(folder / "personen.csv", "utf-8-sig", ";")


def probes(folder: Path) -> list[Row]:
    return rows(folder / "probes.csv", "utf-8", ",")


def tickets(folder: Path) -> list[Row]:
    return rows(folder / "tickets.csv", "utf-8", ",")


def report(folder: Path) -> list[Row]:
    return rows(folder / "bericht.csv", "cp1252", ";", skip=3)[:-1]


def guests(folder: Path) -> list[Row]:
    return rows(folder / "clients.tsv", "cp1252", "\t")


def towns(folder: Path) -> list[Row]:
    return rows(folder / "goroda.csv", "cp1251", ";")


def invoices(folder: Path) -> list[Row]:
    return rows(folder / "invoices.csv", "utf-8", ",")


def sheet(path: Path, place: int) -> list[list[str]]:
    with zipfile.ZipFile(path) as book:
        root = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{place}.xml"))
    return [["".join(cell.itertext()) for cell in row] for row in root.iter(f"{MAIN}row")]


def day_of(serial: str) -> date:
    return date(1899, 12, 30) + timedelta(days=int(serial))


def query(folder: Path, sql: str) -> list[tuple[float, ...]]:
    with closing(sqlite3.connect(folder / "shop.sqlite")) as base:
        return base.execute(sql).fetchall()


def trips(folder: Path) -> list[Row]:
    text = gzip.decompress((folder / "trips.csv.gz").read_bytes()).decode()
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


def accounts(folder: Path) -> list[Row]:
    return rows(folder / "konten.xls", "cp1252", ";")


def visits(folder: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in (folder / "visits.jsonl").read_text().splitlines()]


def visit_countries(folder: Path) -> str:
    pages = [json.loads(line) for line in (folder / "visits.jsonl").read_text().splitlines()]
    return most((visit["geo"]["country"], visit["pages"]) for visit in pages)


def courses(folder: Path) -> list[dict[str, list[dict[str, int]]]]:
    found: list[dict[str, list[dict[str, int]]]] = json.loads((folder / "courses.json").read_text())["school"][
        "courses"
    ]
    return found


def shops(folder: Path) -> dict[int, int]:
    with zipfile.ZipFile(folder / "counts.zip") as packed:
        texts = [packed.read(f"shops/shop_{place}.csv").decode() for place in range(6)]
    return {
        place: sum(int(row["count"]) for row in csv.DictReader(io.StringIO(text))) for place, text in enumerate(texts)
    }


def stations(folder: Path) -> list[tuple[str, int, float]]:
    lines = (folder / "stations.txt").read_text().splitlines()[1:]
    return [(line[:14].strip(), int(line[14:22]), float(line[22:])) for line in lines]


def monthly(folder: Path) -> dict[str, int]:
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    path = folder / "visitors.xlsx"
    return {name: sum(int(row[1]) for row in sheet(path, place)[1:]) for place, name in enumerate(names, 1)}


def may(text: str) -> bool:
    return datetime.strptime(text, "%m/%d/%Y").month == 5  # noqa: DTZ007 - a day


ANSWERS: dict[str, Callable[[Path], object]] = {
    "cp1252-sum": lambda folder: sum(cents(row["Umsatz"]) for row in branches(folder)) / 100,
    "cp1252-best": lambda folder: most((row["Filiale"], cents(row["Umsatz"])) for row in branches(folder)),
    "cp1252-month": lambda folder: sum(int(row["Stück"]) for row in branches(folder) if row["Datum"][3:5] == "03"),
    "cp1252-count": lambda folder: sum(row["Filiale"] == "Düsseldorf" for row in branches(folder)),
    "gb18030-sum": lambda folder: round(sum(int(row["数量"]) * float(row["单价"]) for row in chinese(folder)), 2),
    "gb18030-city": lambda folder: most((row["城市"], int(row["数量"])) for row in chinese(folder)),
    "utf16-dearest": lambda folder: max(prices(folder), key=lambda row: float(row["Preis"]))["Artikel"],
    "utf16-stock": lambda folder: round(sum(int(row["Lager"]) * float(row["Preis"]) for row in prices(folder)), 2),
    "bom-mean": lambda folder: statistics.fmean(int(row["Größe"]) for row in people(folder)),
    "bom-heavy": lambda folder: sum(int(row["Gewicht"]) > 80 for row in people(folder)),
    "cr-deepest": lambda folder: sum(int(row["value"]) for row in probes(folder) if int(row["depth"]) >= 50),
    "cr-rows": lambda folder: len(probes(folder)),
    "lines-rows": lambda folder: len(tickets(folder)),
    "lines-hours": lambda folder: sum(int(row["hours"]) for row in tickets(folder) if row["priority"] == "high"),
    "titles-sum": lambda folder: sum(cents(row["Betrag"]) for row in report(folder)) / 100,
    "titles-south": lambda folder: sum(cents(r["Betrag"]) for r in report(folder) if r["Abteilung"] == "Süd") / 100,
    "tsv-oldest": lambda folder: max(int(row["Âge"]) for row in guests(folder)),
    "tsv-nights": lambda folder: most((row["Prénom"], int(row["Nuitées"])) for row in guests(folder)),
    "cp1251-mean": lambda folder: statistics.fmean(
        number(row["Температура"]) for row in towns(folder) if row["Город"] == "Казань"
    ),
    "cp1251-frost": lambda folder: sum(number(row["Температура"]) < 0 for row in towns(folder)),
    "us-may": lambda folder: round(
        sum(float(row["Amount"].replace(",", "")) for row in invoices(folder) if may(row["Date"])), 2
    ),
    "us-largest": lambda folder: max(float(row["Amount"].replace(",", "")) for row in invoices(folder)),
    "codes-zero": lambda folder: sum(row["plz"].startswith("0") for row in rows(folder / "pakete.csv", "utf-8", ",")),
    "codes-busiest": lambda folder: Counter(
        row["plz"] for row in rows(folder / "pakete.csv", "utf-8", ",")
    ).most_common(1)[0][0],
    "euros-mean": lambda folder: round(
        statistics.fmean(
            number(row["Preis"].removesuffix(" €")) for row in rows(folder / "artikel.csv", "cp1252", ";")
        ),
        2,
    ),
    "fixed-highest": lambda folder: max(stations(folder), key=lambda station: station[1])[0],
    "fixed-rain": lambda folder: round(sum(station[2] for station in stations(folder)), 1),
    "wide-columns": lambda folder: sum(int(row["sensor_150"]) for row in rows(folder / "wide.csv", "utf-8", ",")),
    "gzip-speed": lambda folder: round(sum(number(row["km"]) for row in trips(folder)), 1),
    "misnamed-balance": lambda folder: sum(cents(row["Soll"]) - cents(row["Haben"]) for row in accounts(folder)) / 100,
    "sheets-second": lambda folder: sum(
        int(row[1]) for row in sheet(folder / "quartal.xlsx", 2)[1:] if row[0] == "Lohn"
    ),
    "sheets-february": lambda folder: round(
        sum(float(row[2]) for row in sheet(folder / "quartal.xlsx", 1)[1:] if day_of(row[0]).month == 2), 2
    ),
    "headed-mean": lambda folder: statistics.fmean(int(row[2]) for row in sheet(folder / "stock.xlsx", 1)[4:-1]),
    "headed-group": lambda folder: most((row[1], int(row[2])) for row in sheet(folder / "stock.xlsx", 1)[4:-1]),
    "months-best": lambda folder: max(monthly(folder), key=lambda name: monthly(folder)[name]),
    "sqlite-value": lambda folder: round(
        query(folder, "SELECT sum(menge * preis) FROM bestellungen JOIN artikel ON art = art_nr")[0][0], 2
    ),
    "sqlite-town": lambda folder: query(
        folder, "SELECT count(*) FROM bestellungen JOIN kunden ON kunde = kunden_nr WHERE ort = 'Köln'"
    )[0][0],
    "jsonl-bought": lambda folder: sum(visit.get("bought", 0) for visit in visits(folder)),
    "jsonl-country": visit_countries,
    "json-nested": lambda folder: statistics.fmean(
        student["grade"] for course in courses(folder) for student in course["students"]
    ),
    "zip-best": lambda folder: max(shops(folder), key=lambda place: shops(folder)[place]),
}


def test_there_are_forty_tasks_and_more_and_each_has_a_second_computation() -> None:
    assert len(load_tasks("files")) == len(TASKS) >= 40
    assert set(TASKS) == set(ANSWERS)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.id)
def test_the_expected_answer_is_the_computed_one(task: Task, folder: Path) -> None:
    value = ANSWERS[task.id](folder)
    shown = f"{value:.9g}" if isinstance(value, float) else str(value)
    assert task.expected.matches(f"It is {shown}.", task.text)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.id)
def test_the_question_does_not_give_the_answer_away(task: Task) -> None:
    assert not isinstance(task.expected, Pattern)
    assert not task.expected.is_in_output(task.text)


def test_the_files_are_the_same_each_time_and_each_is_used(folder: Path, tmp_path: Path) -> None:
    assert {name for task in TASKS.values() for name in task.files} == set(BROUGHT)
    for name in BROUGHT:
        if not name.endswith(".sqlite"):  # holds the version of the library that wrote it
            assert write(name, tmp_path).read_bytes() == (folder / name).read_bytes(), name
