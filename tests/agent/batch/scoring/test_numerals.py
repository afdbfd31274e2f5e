"""A number is read in the custom of any country, and what is expected decides between its readings."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.batch.scoring.matching import Number


def indian(value: int) -> str:
    head, tail = str(value)[:-3], str(value)[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail])


def chinese(value: int) -> str:
    return f"{value // 10_000}万{value % 10_000}" if value >= 10_000 and value % 10_000 >= 1_000 else str(value)


CUSTOMS: dict[str, Callable[[int], str]] = {
    "comma": lambda value: f"{value:,}",
    "point": lambda value: f"{value:,}".replace(",", "."),
    "space": lambda value: f"{value:,}".replace(",", " "),
    "no-break space": lambda value: f"{value:,}".replace(",", "\u00a0"),
    "narrow no-break space": lambda value: f"{value:,}".replace(",", "\u202f"),
    "thin space": lambda value: f"{value:,}".replace(",", "\u2009"),
    "apostrophe": lambda value: f"{value:,}".replace(",", "'"),
    "curly apostrophe": lambda value: f"{value:,}".replace(",", "\u2019"),
    "underscore": lambda value: f"{value:_}",
    "LaTeX": lambda value: f"${value:,}$".replace(",", "{,}"),
    "LaTeX space": lambda value: f"${value:,}$".replace(",", r"\,"),
    "lakh": indian,
    "万": chinese,
    "full width": lambda value: f"{value:,}".translate({code: code + 0xFEE0 for code in range(33, 127)}),
    "Arabic": lambda value: f"{value:,}".translate({code: code - 48 + 0x660 for code in range(48, 58)} | {44: 0x66C}),
}
DECIMALS = {"English": ",.", "German": ".,", "French": "\u202f,", "Swiss": "'.", "Austrian": " ,", "SI": "\u2009."}


@pytest.mark.parametrize("custom", CUSTOMS)
@given(value=st.integers(1_000, 10**13), other=st.integers(1, 10**13))
def test_a_whole_number_matches_its_value_and_no_other(custom: str, value: int, other: int) -> None:
    assume(value % 1_000 or custom != "point")  # 1.000 is 1 or 1000
    answer = f"The result is {CUSTOMS[custom](value)}."
    assert Number(value=str(value)).matches(answer, "?")
    for wrong in {other, value + 1, value // 1_000, value % 1_000, value * 1_000, -value} - {value}:
        assert not Number(value=str(wrong)).matches(answer, "?")


@pytest.mark.parametrize("custom", DECIMALS)
@given(whole=st.integers(0, 10**9), part=st.integers(1, 99))
def test_a_decimal_matches_its_value_and_no_other(custom: str, whole: int, part: int) -> None:
    group, point = DECIMALS[custom][0], DECIMALS[custom][1]
    answer = f"{whole:,}".replace(",", group) + f"{point}{part:02}"
    assert Number(value=f"{whole}.{part:02}").matches(answer, "?")
    for wrong in (f"{whole}", f"{part}", f"{whole}{part:02}", f"{whole}.{part:02}5"):
        assert not Number(value=wrong).matches(answer, "?")


@given(over=st.integers(1, 99), under=st.integers(2, 99), whole=st.integers(1, 9))
def test_a_fraction_matches_its_value_and_no_other(over: int, under: int, whole: int) -> None:
    value = Fraction(over, under)
    for answer in (
        f"{over}/{under}",
        rf"\frac{{{over}}}{{{under}}}",
        f"{over}\u2044{under}",
        f"$\\dfrac{{{over}}}{{{under}}}$",
    ):
        assert Number(value=f"{over}/{under}").matches(answer, "?")
        for wrong in {Fraction(over), Fraction(under), 1 / value} - {value}:
            assert not Number(value=str(wrong)).matches(answer, "?")
    assert Number(value=str(whole + value)).matches(f"It is {whole} {over}/{under}.", "?")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        *[("1234", "1.234"), ("1.234", "1.234"), ("1234", "1,234"), ("1.234", "1,234"), ("0.123", "0,123")],
        *[("0.5", "½"), ("1.5", "1½"), ("1.5", r"1\frac{1}{2}"), ("-0.75", "\u2212¾"), ("-0.75", r"-\frac{3}{4}")],
        *[("1/3", "⅓"), ("1/3", r"\frac13"), ("1/3", "0.3333333333333333"), ("1/3", "0.333333")],
        *[
            ("0.25", "25 %"),
            ("0.25", "25\u202f%"),
            ("0.25", "25 per cent"),
            ("0.25", "25 Prozent"),
            ("0.25", "百分之25"),
        ],
        *[
            ("0.25", "百分之25"),
            ("25", "25 %"),
            ("0.125", "12,5 %"),
            ("1", "The share is 100 %."),
            ("0.25", "25% (5 of 20)"),
        ],
        *[("12000", "1万2千"), ("12000", "1.2万"), ("1.2", "1.2万"), ("120000000", "1亿2000万"), ("35000", "3万5")],
        *[("1500000", "1.5 million"), ("1500000", "1,5 Mio."), ("83", "83 million"), ("2000000000", "2 Milliarden")],
        *[
            ("1500", "1,5 · 10^3"),
            ("1500", "1,5e3"),
            ("-5", "\u22125"),
            ("-5", "\uff0d\uff15"),
            ("1234.5", "€1.234,50"),
        ],
        *[("7", "2,3,5,7"), ("2", "2,3,5,7"), ("5", "3、5"), ("5", "3，5")],
        *[("1234", "1，234"), ("3", "12/4 = 3")],
        *[("140", "140/1296 is not asked, but 140"), ("1.234", "1,234 / 1000 = 1.234")],
    ],
)
def test_a_right_number_is_accepted(value: str, answer: str) -> None:
    assert Number(value=value).matches(answer, "?")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        *[("3", "3,5"), ("5", "3,5"), ("35", "3,5"), ("234", "1,234"), ("123", "0,123"), ("1234", "0.1234")],
        *[
            ("1", "1,000"),
            ("1.5", "1,500"),
            ("1", "1/3"),
            ("3", "1/3"),
            ("0.34", "1/3"),
            ("1/3", "0.33"),
            ("1/3", "0.33334"),
            ("2", "½"),
        ],
        *[("1", "I am 100 % sure that it is 5."), ("0.25", "2.5 %"), ("2", "1万2千"), ("12", "1万2千")],
        *[("10", "10.0.0.10"), ("5", "\u22125"), ("1000", "1e9999"), ("1", "1e9999")],
    ],
)
def test_a_wrong_number_that_looks_alike_is_not_accepted(value: str, answer: str) -> None:
    assert not Number(value=value).matches(answer, "?")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1,234", "1234"),
        ("3,5", "3.5"),
        ("1.234,56", "1234.56"),
        ("½", "0.5"),
        (r"\frac{3}{4}", "0.75"),
        ("1/3", "1/3"),
    ],
)
def test_an_expected_number_may_be_written_in_any_custom(written: str, value: str) -> None:
    assert Number(value=written).value == value


@pytest.mark.parametrize("value", ["1,2,3", "10.0.0.1", "1/0", "25 %", "five", "1 2", "02/10/2026"])
def test_what_is_no_single_number_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="it must be a number like 42"):
        Number(value=value)


def test_numbers_of_a_fraction_in_the_question_are_ignored() -> None:
    assert Number(value="0.75").matches("3 of 4 give 0.75, as 3 is below 4.", "What is 3/4?")
