"""A day or a time is recognized in the usual orders and in many languages."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.batch.scoring.matching import Date, Time
from agent.spellings.dates import LANGUAGES, month_names, read_clock, read_day

FOURTH = Date(value=date(1976, 7, 4))


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "4. Juli 1976",
            "4 juillet 1976",
            "4 juil. 1976",
            "4 de julio de 1976",
            "4 luglio 1976",
            "4 de julho de 1976",
        ),
        *(
            "4 июля 1976",
            "4 de julho de 1976",
            "4 lipca 1976",
            "den 4. juli 1976",
            "1976. július 4.",
            "ngày 4 tháng 7 năm 1976",
        ),
        *("1976年7月4日", "1976 年 7 月 4 日", "１９７６年７月４日", "1976年07月04号", "1976년 7월 4일"),
        *("1976-07-04", "1976-07-04T00:00:00", "1976-07-04T12:30:00Z", "1976-07-04 00:00:00", "1976/7/4", "1976.07.04"),
        *("4.7.1976", "04.07.1976", "4. 7. 1976", "04/07/1976", "7/4/1976", "04-07-1976", "4-Jul-1976", "4-Jul-76"),
        *("Sunday, July 4th, 1976.", "the 4th of July, 1976", "**4 July 1976**", "1976 July 4"),
    ],
)
def test_a_day_is_recognized(answer: str) -> None:
    assert FOURTH.matches(f"It was {answer}", "?")


@pytest.mark.parametrize(
    "answer",
    [
        *("14. Juli 1976", "4. Juni 1976", "4 juillet 1975", "4 juillet 19761", "24.7.1976", "4.17.1976", "7.4.1976"),
        *("1976-07-14", "1976-07-040", "1976年7月14日", "1976年7月40日", "11976年7月4日", "July 1976", "4 July"),
    ],
)
def test_another_day_is_not(answer: str) -> None:
    assert not FOURTH.matches(answer, "?")


def test_no_name_of_a_month_means_two_of_them() -> None:
    names = [name for month in range(1, 13) for name in month_names(month)]
    assert len(names) == len(set(names)) > 10 * len(LANGUAGES)


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_day_that_is_written_in_any_way_is_read_back(day: date) -> None:
    for text in (
        f"{day}",
        f"{day}T00:00:00",
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.day}.{day.month}.{day.year}",
    ):
        assert read_day(text) == (day, None)
        assert Date(value=day).matches(text, "?")


@pytest.mark.parametrize("text", ["02/10/2026", "Paris", "2026-02-30", "31.02.2026", "4 July", "", "1976", "May"])
def test_what_is_no_certain_day_is_not_read(text: str) -> None:
    assert read_day(text) is None


@pytest.mark.parametrize(
    "text", ["4. Juli 1976", "4 de julio de 1976", "July 4, 1976", "1976年7月4日", "1976-07-04 00:00:00", "4-Jul-1976"]
)
def test_a_certain_day_is_read(text: str) -> None:
    assert read_day(text) == (date(1976, 7, 4), None)


def test_the_time_of_a_day_counts_unless_it_is_midnight() -> None:
    assert read_day("2026-02-10T14:30:00Z") == (date(2026, 2, 10), time(14, 30))
    moment = Date(value=date(2026, 2, 10), clock=time(14, 30))
    assert moment.matches("2026-02-10T14:30:00Z", "?")
    assert moment.matches("On 10 February 2026 at 2:30 pm.", "?")
    assert not moment.matches("On 10 February 2026 at 2:30 am.", "?")
    assert not moment.matches("On 10 February 2026.", "?")


@pytest.mark.parametrize(
    "answer", ["14:30", "14:30:00", "2:30 pm", "02:30 PM", "2:30 p.m.", "14h30", "14.30 Uhr", "14点30分", "14時30分"]
)
def test_a_time_is_recognized(answer: str) -> None:
    assert Time(value=time(14, 30)).matches(f"It is {answer}.", "?")


@pytest.mark.parametrize("answer", ["2:30", "2:30 am", "14:31", "14:30:01", "114:30", "10:14:30", "14.30"])
def test_another_time_is_not(answer: str) -> None:
    assert not Time(value=time(14, 30)).matches(answer, "?")


@pytest.mark.parametrize(
    ("text", "read"),
    [("14:30", time(14, 30)), ("2:30 PM", time(14, 30)), ("12:05 am", time(0, 5)), ("25:00", None), ("13:00 pm", None)],
)
def test_a_time_is_read(text: str, read: time | None) -> None:
    assert read_clock(text) == read
