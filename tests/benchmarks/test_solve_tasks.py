"""Each task's expected answer, computed a second time with the standard library alone."""

import base64
import csv
import hashlib
import json
import math
import sqlite3
import statistics
from calendar import day_name, isleap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from agent.batch.scoring.matching import Pattern
from benchmarks.solve.files import MAKERS, write
from benchmarks.solve.tasks import NO_CODE, Task, load_tasks

TASKS = {task.id: task for task in load_tasks()}
SENTENCE = "The quick onyx goblin jumps over the lazy dwarf while seven wizards quietly examine boxes"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("files")
    for name in MAKERS:
        write(name, directory)
    return directory


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def fibonacci(place: int) -> int:
    before, here = 0, 1
    for _ in range(place - 1):
        before, here = here, before + here
    return here


def factors(number: int) -> list[int]:
    found, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return [*found, number] if number > 1 else found


def primes() -> Iterator[int]:
    number = 2
    while True:
        if len(factors(number)) == 1:
            yield number
        number += 1


def nth_prime(place: int) -> int:
    return next(prime for count, prime in enumerate(primes(), start=1) if count == place)


def digit_sum(number: int) -> int:
    return sum(map(int, str(number)))


def largest_fraction_sum(last: int) -> str:
    total = sum(Fraction(1, number) for number in range(1, last + 1))
    return f"{total.numerator}/{total.denominator}"


def root_of_two() -> str:
    digits = str(math.isqrt(2 * 10**102) + 5)[:-1]  # one more place, to round
    return f"{digits[0]}.{digits[1:]}"


def collatz(below: int) -> int:
    @cache
    def length(number: int) -> int:
        steps = 0
        while number >= below or steps == 0:
            if number == 1:
                return 1
            number = 3 * number + 1 if number % 2 else number // 2
            steps += 1
        return steps + length(number)

    return max(range(1, below), key=length)


def edit_distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, start=1):
        before, row[0] = row[0], place
        for column, against in enumerate(other, start=1):
            before, row[column] = row[column], min(before + (letter != against), row[column] + 1, row[column - 1] + 1)
    return row[-1]


def shifted(text: str, by: int) -> str:
    return "".join(chr((ord(letter) - 97 + by) % 26 + 97) if letter.isalpha() else letter for letter in text)


def fridays_13(first: int, last: int) -> int:
    return sum(date(year, month, 13).weekday() == 4 for year in range(first, last + 1) for month in range(1, 13))


def at_least_heads(least: int, tosses: int) -> float:
    return sum(math.comb(tosses, heads) for heads in range(least, tosses + 1)) / (1 << tosses)


def integral(upper: float) -> float:
    return math.sqrt(math.pi) / 2 * math.erf(upper)


def bisected(function: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (function(middle) < 0) == (function(low) < 0) else (low, middle)
    return low


def peak() -> float:
    def height(x: float) -> float:
        return x * math.exp(-x / 3) * math.sin(x)

    return max((step / 10_000 for step in range(100_001)), key=height)


def determinant(a: list[int], b: list[int], c: list[int]) -> int:
    cross = (b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0])
    return sum(x * y for x, y in zip(a, cross, strict=True))


def shortest(edges: str, start: str, end: str) -> int:
    lengths = {frozenset(edge[:3:2]): int(edge[4:]) for edge in edges.split(", ")}
    best = {start: 0}
    for _ in lengths:
        for pair, length in lengths.items():
            for here, there in (tuple(pair), tuple(pair)[::-1]):
                if here in best:
                    best[there] = min(best.get(there, 10**9), best[here] + length)
    return best[end]


def revenue(row: dict[str, str]) -> Fraction:
    return int(row["units"]) * Fraction(row["unit_price"])


def revenues(folder: Path) -> list[Fraction]:
    return [revenue(row) for row in rows(folder / "sales.csv")]


def best(pairs: Iterator[tuple[str, Fraction | int]]) -> str:
    total: defaultdict[str, Fraction | int] = defaultdict(int)
    for name, value in pairs:
        total[name] += value
    return max(total, key=lambda name: total[name])


def best_region(folder: Path) -> str:
    return best((row["region"], revenue(row)) for row in rows(folder / "sales.csv"))


def best_product(folder: Path) -> str:
    return best((row["product"], int(row["units"])) for row in rows(folder / "sales.csv"))


def mean_salary(folder: Path) -> float:
    return statistics.fmean(int(row["salary"]) for row in rows(folder / "employees.csv") if row["salary"])


def hired_before(folder: Path) -> int:
    return sum(row["hired"] < "2015-01-01" for row in rows(folder / "employees.csv"))


def orders_from(folder: Path, country: str) -> int:
    theirs = {row["customer_id"] for row in rows(folder / "customers.csv") if row["country"] == country}
    return sum(int(row["amount"]) for row in rows(folder / "orders.csv") if row["customer_id"] in theirs)


def ledger_sum(folder: Path) -> Fraction:
    amounts = (row["Betrag"].replace(".", "").replace(",", ".") for row in rows(folder / "ledger.csv", ";"))
    return sum((Fraction(amount) for amount in amounts), Fraction())


def different_addresses(folder: Path) -> int:
    return len({row["email"].lower() for row in rows(folder / "signups.csv")})


def fragile(folder: Path) -> int:
    warehouses = json.loads((folder / "inventory.json").read_text())["warehouses"]
    items = [item for house in warehouses for shelf in house["shelves"] for item in shelf["items"]]
    return sum(item["count"] for item in items if "fragile" in item["tags"])


def slowest_path(folder: Path) -> str:
    by_path: defaultdict[str, list[int]] = defaultdict(list)
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        by_path[event["path"]].append(event["ms"])
    return max(by_path, key=lambda path: statistics.fmean(by_path[path]))


def busiest_address(folder: Path) -> str:
    (first, most), (_, second) = Counter(
        line.split()[0] for line in (folder / "access.log").read_text().splitlines()
    ).most_common(2)
    assert most > second
    return first


def bytes_sent(folder: Path) -> int:
    return sum(
        int(line.split()[-1])
        for line in (folder / "access.log").read_text().splitlines()
        if line.split('"')[2].split()[0] == "200"
    )


def most_lent(folder: Path) -> str:
    connection = sqlite3.connect(folder / "library.db")
    titles: dict[int, str] = dict(connection.execute("SELECT id, title FROM books").fetchall())
    title = best((titles[book], days) for book, days in connection.execute("SELECT book_id, days FROM loans"))
    connection.close()
    return title


def fullest_bin(folder: Path) -> int:
    scores = [int(line) for line in (folder / "scores.txt").read_text().split()]
    return max(Counter(min(score // 10, 9) for score in scores).values())


def slope(folder: Path) -> float:
    points = rows(folder / "points.csv")
    return statistics.linear_regression([float(p["x"]) for p in points], [float(p["y"]) for p in points]).slope


def above_mean(folder: Path) -> int:
    values = revenues(folder)
    return sum(value * len(values) > sum(values) for value in values)


def highest(path: Path, column: str) -> float:
    values = [row[column] for row in rows(path)]
    return max(float(value) for value in values if value.replace(".", "").replace("-", "").isdigit())


def all_primes_below(limit: int) -> list[int]:
    return [number for number in range(2, limit) if len(factors(number)) == 1]


X = [2, 4, 5, 7, 8, 11, 13, 14]
Y = [3.1, 5.9, 7.2, 8.8, 11.4, 14.9, 15.2, 19.6]
ANSWERS: dict[str, Callable[[Path], object]] = {
    "power": lambda _: math.prod([7] * 123),
    "factorial-digits": lambda _: len(str(math.prod(range(1, 1001)))),
    "digit-sum": lambda _: digit_sum(1 << 1000),
    "product": lambda _: 987654321987654321 * 123456789123456789,
    "root-of-two": lambda _: root_of_two(),
    "harmonic": lambda _: largest_fraction_sum(20),
    "self-powers": lambda _: sum(pow(n, n, 10**10) for n in range(1, 1001)) % 10**10,
    "fibonacci": lambda _: fibonacci(90),
    "nth-prime": lambda _: nth_prime(2024),
    "largest-factor": lambda _: max(factors(1234567891011)),
    "lcm": lambda _: math.lcm(*range(1, 41)),
    "divisors": lambda _: sum(1209600 % divisor == 0 for divisor in range(1, 1209601)),
    "mod-power": lambda _: pow(3, 100000, 1000007),
    "collatz": lambda _: collatz(100000),
    "dice": lambda _: sum(sum(faces) == 15 for faces in product(range(1, 7), repeat=4)),
    "weekday": lambda _: day_name[date(1979, 3, 17).weekday()],
    "days-between": lambda _: date(2024, 2, 29).toordinal() - date(1999, 12, 31).toordinal(),
    "friday-13": lambda _: fridays_13(2015, 2030),
    "days-later": lambda _: date(2023, 5, 17) + timedelta(days=1000),
    "time-zones": lambda _: (
        (datetime.fromisoformat("2024-03-11T02:45-05:00") - datetime.fromisoformat("2024-03-10T08:15+01:00"))
        / timedelta(minutes=1)
    ),
    "iso-week": lambda _: 53 if isleap(2020) else 52,  # it began on a Wednesday
    "vowels": lambda _: len([letter for letter in SENTENCE if letter.lower() in "aeiou"]),
    "reverse": lambda _: "".join(reversed("interoperability")),
    "sha256": lambda _: hashlib.sha256(b"cellblock").hexdigest()[:12],
    "base64": lambda _: base64.b64encode(b"Blue whales sing at dusk").decode(),
    "caesar": lambda _: shifted("meet me at the old harbour", 11),
    "palindromes": lambda _: 9 + 9 + 90 + 90 + 900,
    "edit-distance": lambda _: edit_distance("mississippi", "massachusetts"),
    "deviation": lambda _: statistics.stdev([12.5, 14.1, 9.8, 11.6, 15.3, 13.9, 10.4, 12.2, 17.0, 8.7]),
    "correlation": lambda _: statistics.correlation(X, Y),
    "binomial": lambda _: at_least_heads(60, 100),
    "integral": lambda _: integral(1.5),
    "cubic": lambda _: bisected(lambda x: x**3 - 4 * x - 9, 0, 10),
    "determinant": lambda _: determinant([4, -2, 1], [3, 6, -4], [2, 1, 8]),
    "compound": lambda _: 2500 * (1 + 0.0375 / 12) ** (17 * 12),
    "revenue": lambda folder: sum(revenues(folder)),
    "best-region": best_region,
    "missing-salaries": mean_salary,
    "hired-before": hired_before,
    "join": lambda folder: orders_from(folder, "Chile"),
    "decimal-commas": ledger_sum,
    "duplicates": different_addresses,
    "nested-json": fragile,
    "json-lines": slowest_path,
    "access-log": busiest_address,
    "log-bytes": bytes_sent,
    "database": most_lent,
    "plot-peak": lambda _: peak(),
    "plot-bars": best_product,
    "plot-histogram": fullest_bin,
    "plot-fit": slope,
    "prime-of-sum": lambda _: max(factors(sum(all_primes_below(2000)))),
    "above-mean": above_mean,
    "write-and-read": lambda _: 250 * 251 * 501 // 6,
    "fibonacci-digits": lambda _: digit_sum(fibonacci(200)),
    "mend-code": lambda _: 31 + 47 + 105 + 23,
    "dirty-numbers": lambda folder: highest(folder / "readings.csv", "celsius"),
    "wrong-name": lambda folder: highest(folder / "orders.csv", "amount"),
    "missing-library": lambda _: shortest(
        "a-b 7, a-c 9, a-e 14, b-c 10, b-d 15, c-d 11, c-e 2, d-f 6, e-f 9", "a", "f"
    ),
}
COMPUTED = [task for task in TASKS.values() if task.category != NO_CODE]


def test_there_are_enough_tasks_and_no_duplicate() -> None:
    assert len(load_tasks()) == len(TASKS) >= 44
    assert {task.id for task in COMPUTED} == set(ANSWERS)


@pytest.mark.parametrize("task", COMPUTED, ids=lambda task: task.id)
def test_the_expected_answer_is_the_computed_one(task: Task, folder: Path) -> None:
    value = ANSWERS[task.id](folder)
    shown = f"{float(value):.9g}" if isinstance(value, float | Fraction) else str(value)
    assert task.expected.matches(f"It is {shown}.", task.text)


@pytest.mark.parametrize("task", COMPUTED, ids=lambda task: task.id)
def test_the_question_does_not_give_the_answer_away(task: Task) -> None:
    assert not task.expected.is_in_output(task.text)


@pytest.mark.parametrize("task", COMPUTED, ids=lambda task: task.id)
def test_no_computed_task_expects_a_pattern(task: Task) -> None:
    assert not isinstance(task.expected, Pattern)


def test_the_files_are_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    for name in MAKERS:
        if name.endswith(".db"):  # holds the version of the library that wrote it
            continue
        assert write(name, tmp_path).read_bytes() == (folder / name).read_bytes(), name


def test_each_file_is_used() -> None:
    assert {name for task in TASKS.values() for name in task.files} == set(MAKERS)
