"""Normalising removes meaningless differences, and never a real one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.replay.normalising import normalised

EQUAL = {
    "an address": ("<object object at 0x7f12ab34cd56>", "<object object at 0x7fffffff0000>"),
    "a bound method": (
        "<bound method f of <C object at 0x7f12ab34cd56>>",
        "<bound method f of <C object at 0x7f00ab>>",
    ),
    "%timeit": (
        "1.23 ms ± 4.5 µs per loop (mean ± std. dev. of 7 runs, 1,000 loops each)",
        "987 ns ± 12.1 ns per loop (mean ± std. dev. of 7 runs, 10,000 loops each)",
    ),
    "%time": (
        "CPU times: user 2 ms, sys: 0 ns, total: 2 ms\nWall time: 2.1 ms",
        "CPU times: total: 1 s\nWall time: 1min 3s",
    ),
    "%timeit with a cache": (
        "The slowest run took 4.2 times longer than the fastest. This could mean\nthat a result is cached.\n1",
        "1",
    ),
    "ls -l": (
        "total 4\n-rw-r--r-- 1 cellblock cellblock   12 Nov 26 07:47 a.csv\ndrwxrwxrwt. 2 0 0 40 Jan  1  2025 b",
        "total 4\n-rw-r--r-- 1 cellblock cellblock   12 Nov 27 18:02 a.csv\ndrwxrwxrwt. 2 0 0 40 Feb 11 12:00 b",
    ),
    "a temporary folder": ("/tmp/tmpab12_xyz/out.csv", "/tmp/tmpzz99_abc/out.csv"),
    "a warning's place": (
        "/tmp/ipykernel_7/123.py:1: FutureWarning: old",
        "/tmp/ipykernel_12/123.py:1: FutureWarning: old",
    ),
    "a styled frame": ("#T_1a2b3_row0 {color: red}", "#T_9f8e7_row0 {color: red}"),
    "the file of a long output": ("/workspace/.cellblock/cell3.stdout.txt", "/workspace/.cellblock/cell9.stdout.txt"),
}


@pytest.mark.parametrize("case", EQUAL)
def test_meaningless_differences_between_runs_are_removed(case: str) -> None:
    one, other = EQUAL[case]
    assert normalised(one) == normalised(other)


DIFFERENT = {
    "a number": ("3.14", "3.15"),
    "a number in hexadecimal": ("0x7f12ab34cd56", "0x7f12ab34cd57"),
    "a time that is an answer": ("The stone falls for 1.43 s.", "The stone falls for 1.44 s."),
    "a time in words": ("Wall time: 3 days", "Wall time: 4 days"),
    "a deviation": ("1.2 ± 0.1", "1.3 ± 0.1"),
    "the number of runs": (
        "1.23 ms ± 4.5 µs per loop (mean ± std. dev. of 7 runs, 1,000 loops each)",
        "1.23 ms ± 4.5 µs per loop (mean ± std. dev. of 3 runs, 1,000 loops each)",
    ),
    "a file": ("/tmp/tmporary.csv", "/tmp/tmpother_.csv"),
    "the size of a file": (
        "-rw-r--r-- 1 cellblock cellblock   12 Nov 26 07:47 a.csv",
        "-rw-r--r-- 1 cellblock cellblock   13 Nov 26 07:47 a.csv",
    ),
    "a time beside a name": ("a.csv 12 Nov 26 07:47", "a.csv 12 Nov 26 07:48"),
    "a type": ("<A object at 0x7f12ab34cd56>", "<B object at 0x7f12ab34cd56>"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_real_difference_is_kept(case: str) -> None:
    one, other = DIFFERENT[case]
    assert normalised(one) != normalised(other)


def test_the_day_of_a_run_is_normalised() -> None:
    assert normalised("today is 2026-01-31", "2026-01-31") == normalised("today is 2026-02-01", "2026-02-01")
    assert normalised("due 2026-01-31", "2026-02-01") != normalised("due 2026-01-30", "2026-02-01")


@given(st.text(alphabet="0123456789.-+e \n", max_size=60))
def test_bare_numbers_are_never_changed(text: str) -> None:
    assert normalised(text) == text


@pytest.mark.parametrize("piece", ["1", "1.5 ms ", "-rw-r--r-- 1 ", "/tmp/tmp", "T_abcde", "at 0x"])
def test_normalising_a_long_text_takes_linear_time(piece: str) -> None:
    text = piece * (500_000 // len(piece))
    assert normalised(text) == text


@given(st.text(max_size=200))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
