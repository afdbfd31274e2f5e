"""Which outputs an answer may damage, and which answers do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.review.copied_output import miscopies, sole_output
from sandbox.testing import printed


@pytest.mark.parametrize(
    "output", ["42", "-12.5", "1e-7", "2024-03-09", "SGVsbG8gd29ybGQ=", "['a', 'b', 'c']", "(1, 2, 3)"]
)
def test_a_single_value_is_compared(output: str) -> None:
    assert sole_output(printed(output + "\n")) == output


@pytest.mark.parametrize("output", ["", "two words", "1\n2", "x" * 201, "['a', 'b']", "[1, [2], 3]", "{'a': 1}"])
def test_an_output_that_is_no_single_value_is_not_compared(output: str) -> None:
    assert sole_output(printed(output)) is None


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("5000000000", "Das sind 5.000.000.000 Euro."),
        ("5000000000", "That comes to 5 billion."),
        ("12345678901", "约为123亿4567万8901。"),
        ("12345678901", r"It is \(12\,345\,678\,901\)."),
        ("12345678901", "12 345 678 901 octets"),
        ("1234.5", "La somme est de 1 234,50 €."),
        ("0.125", "Der Anteil liegt bei 12,5 %."),
        ("2.718281828459045", "Rund 2,72."),
        ("0.33333333333333331", "about 0.333333333333333"),
        ("1999.99", "almost 2000"),
        ("20922789888000", "16! = 20,922,789,888,000, and 15! is 1,307,674,368,000."),
        ("1969-07-20", "It was on July 20, 1969."),
        ("1969-07-20", "1969年7月20日"),
        ("1969-07-20", "It was a Sunday."),
        ("Electronics", "Die Kategorie ist Elektronik."),
        ("internationalization", "internationalisation"),
        ("d41d8cd98f", "The hash is `D41D8CD98F`."),
        ("[3, 7, 12, 19]", "3, 7, 12 und 19"),
        ("['Ana', 'Boris', 'Chen', 'Dora']", "The first is Ana."),
    ],
)
def test_another_notation_is_no_damage(output: str, answer: str) -> None:
    assert not miscopies(answer, output, "")


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("12345678901", "It is 12,345,678,910."),
        ("121932631112635269", "The product is 12193263112635269."),
        ("48215.77", "The sum is $42,815.77."),
        ("17.384", "Der Mittelwert ist 17,348."),
        ("2019-07-16", "Das Datum war der 17. Juli 2019."),
        ("2042-10-29", "Ce sera le 29 octobre 2024."),
        ("5d41402abc4b2a76b9719d911017c592", "MD5: `5d41402abc4b2a76b9719d911071c592`"),
        ("noitazilanoitanretni", "Backwards it is noitazilanoitarnetni."),
        ("gnuhciereB", "Rückwärts: gnuhcereB"),
        ("气天天今", "倒过来是：气天今"),
        ("['Ana', 'Boris', 'Chen', 'Dora']", "The names are Ana, Boris and Dora."),
    ],
)
def test_a_damaged_copy_is_found(output: str, answer: str) -> None:
    assert miscopies(answer, output, "")


def test_a_near_value_of_the_question_is_no_copy() -> None:
    assert not miscopies("Without 1243 it would be less.", "1234", "Leave out 1243.")


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str), around=st.text(max_size=20))
def test_an_answer_that_repeats_the_output_is_never_damaged(number: str, around: str) -> None:
    assert not miscopies(f"{around} {number} {around}", number, "")


@given(answer=st.text(max_size=300), output=st.text(max_size=200), task=st.text(max_size=50))
def test_any_text_is_judged_without_an_error(answer: str, output: str, task: str) -> None:
    if sole := sole_output(printed(output)):
        miscopies(answer, sole, task)


@pytest.mark.parametrize("output", ["0123456789abcdef" * 12, "1234567890" * 20, "2024-03-09", "abcdefghij" * 20])
def test_a_long_answer_takes_linear_time(output: str) -> None:
    words = (str(number).rjust(len(output), "x") for number in range(500_000 // len(output)))
    assert not miscopies(f"{' '.join(words)} {' '.join(map(str, range(3_000, 10_000)))}", output, "z" * 200_000)
