"""Which output an answer must give as it is, and when it does."""

import pytest

from agent.review.copied_output import slips, sole_output
from sandbox import Execution, StreamOutput


def printed(text: str) -> Execution:
    return Execution(status="ok", outputs=[StreamOutput(name="stdout", text=text)])


@pytest.mark.parametrize(
    "output",
    ["12345678901", "-12345678901\n", "ytilibareporetni", "d41d8cd98f00b204e9800998ecf8427e", "SGVsbG8gd29ybGQ="],
)
def test_a_long_number_and_a_word_of_no_language_can_only_be_said_as_they_are(output: str) -> None:
    assert sole_output(printed(output)) == output.strip()


@pytest.mark.parametrize(
    "output",
    ["", "42", "3.141592653589793", "2024-03-11", "True", "two words here", "1234567890\n1", "a.csv", "9" * 999],
)
def test_what_can_be_told_in_other_words_need_not_be_said_as_it_is(output: str) -> None:
    assert sole_output(printed(output)) is None


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("It is **12,345,678,901**.", "12345678901"),
        (r"It is \(12\,345\,678\,901\).", "12345678901"),
        ("12 345 678 901 bytes", "12345678901"),
        ("The hash is `D41D8CD98F`.", "d41d8cd98f"),
    ],
)
def test_however_its_digits_are_grouped_it_is_given(answer: str, output: str) -> None:
    assert not slips(answer, output)


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("It is 12345678910.", "12345678901"),
        ("It is 12,345,678,910.", "12345678901"),
        ("interoperability", "ytilibareporetni"),
        ("It begins with d41d8cd98fx00b204e9800998ecf8427e.", "d41d8cd98f00b204e9800998ecf8427e"),
    ],
)
def test_a_slip_is_seen(answer: str, output: str) -> None:
    assert slips(answer, output)


@pytest.mark.parametrize("answer", ["Done.", "About 1.2e10.", "The hash was calculated and printed successfully.", ""])
def test_who_gives_nothing_in_its_place_does_not_slip(answer: str) -> None:
    assert not slips(answer, "12345678901")
