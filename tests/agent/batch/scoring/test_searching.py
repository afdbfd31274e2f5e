"""A user's pattern has a limit of time in each thread, and means what it means in `re`."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

from agent.batch.scoring.matching import Pattern
from agent.batch.scoring.searching import is_found

EVIL = [("(a+)+$", "a" * 60 + "b"), (r"(\w+\s?)*!", "word " * 40), (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 60)]


@pytest.mark.parametrize(("pattern", "text"), EVIL)
def test_an_endless_search_ends_in_each_thread(pattern: str, text: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: is_found(pattern, [text], re.NOFLAG), range(2))) == [False, False]
    assert not is_found(pattern, [text], re.NOFLAG)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"(\w)\1", "hello", True),
        (r"(?<=\$)\d+(?!\d)", "$42", True),
        (r"x{e<=1}", "y", False),
        (r"^\d+ km$", "It is\n12 km", False),
        ("\ud800", "\ud800", True),
        ("größe", "GRÖSSE", False),
        ("北京", "在北京。", True),
    ],
)
def test_a_pattern_means_the_same_in_each_thread(pattern: str, text: str, found: bool) -> None:
    said: list[bool] = []
    thread = Thread(target=lambda: said.append(is_found(pattern, [text, "-"], re.IGNORECASE)))
    thread.start()
    thread.join()
    assert [*said, is_found(pattern, [text, "-"], re.IGNORECASE)] == [found, found]


def test_an_expected_pattern_is_bounded_outside_of_the_main_thread() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(Pattern(value="(a+)+$").matches, "a" * 60 + "b", "?").result() is False
        assert pool.submit(Pattern(value="a+b").matches, "a" * 60 + "b", "?").result() is True
