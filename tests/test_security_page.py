"""SECURITY.md tells the truth: every test that it names is there, and every attempt's file is named."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
NAMED = set(re.findall(r"`(tests/[^`]+\.py)`", PAGE))


def test_every_test_that_is_named_exists() -> None:
    assert NAMED
    assert sorted(name for name in NAMED if not (ROOT / name).is_file()) == []


def test_every_promise_names_a_test() -> None:
    rows = re.findall(r"^\| (?!Promise|---)(.+?) \|.*\| (.*?) \|$", PAGE, re.MULTILINE)
    assert rows
    assert [promise for promise, tests in rows if not NAMED & set(re.findall(r"`([^`]+)`", tests))] == []


def test_every_file_of_attempts_holds_a_promise() -> None:
    attempts = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "security").glob("test_*.py")}
    assert sorted(attempts - NAMED) == []
