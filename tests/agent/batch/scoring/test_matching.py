"""Which answers match an expectation, however they are worded, and which do not."""

import time
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent import BatchTask
from agent.batch.scoring.matching import AnyOf, Date, Exact, Number, Pattern, Text
from agent.spellings.numerals import MAX_DIGITS, numbers

BIG = Number(value="885235703693468016844358")
QUESTION = "What is 7 to the power of 123?"


@pytest.mark.parametrize(
    "answer",
    [
        "885235703693468016844358",
        "The result is 885,235,703,693,468,016,844,358.",
        "It is **885235703693468016844358**.",
        r"\( 7^{123} = 885\,235\,703\,693\,468\,016\,844\,358 \)",
        r"\[ \boxed{885{,}235{,}703{,}693{,}468{,}016{,}844{,}358} \]",
        "7**123 = 885 235 703 693 468 016 844 358",
        "7^123 is `885_235_703_693_468_016_844_358`",
        "The number 885235703693468016844358 is what 7 to the power of 123 gives.",
        "1. I ran the code.\n2. It printed 885235703693468016844358.",
        "```\n885235703693468016844358\n```",
    ],
)
def test_a_number_is_found_however_it_is_written(answer: str) -> None:
    assert BIG.matches(answer, QUESTION)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "7 to the power of 123",
        "8.852357036934680e+23",
        "88523570369346801684435",
        "8852357036934680168443581",
        "-885235703693468016844358",
        "885235703693468016844358.5",
        "```python\nprint(885235703693468016844358)\n```",
        "Either 1, 885235703693468016844358, or 3.",
    ],
)
def test_another_number_does_not_match(answer: str) -> None:
    assert not BIG.matches(answer, QUESTION)


@pytest.mark.parametrize(
    ("value", "tolerance", "answer", "right"),
    [
        ("0.0284", 1e-4, "The probability is about 0.0284.", True),
        ("0.0284", 1e-4, "That is 2.84%.", True),
        ("0.0284", 1e-4, r"That is 2.84\%.", True),
        ("0.0284", 1e-4, "That is 2.9 %.", False),
        ("0.0284", 1e-4, "0.02", False),
        ("62824.07", 0.005, "It is $62,824.07 in total.", True),
        ("62824.07", 0.005, "It is 62824.1.", False),
        ("1500", 0, r"1.5 \times 10^{3}", True),
        ("1500", 0, "1.5e3", True),
        ("9", 0, "The distance is nine.", True),
        ("9", 0, "The distance is 9edits.", True),
        ("1", 0, "One answer is 7.", False),
        ("9", 0, "10.0.0.9", False),
        ("263", 1e-6, "263.00000000000006", True),
        ("-4", 0, "x = -4", True),
        ("-4", 0, "x = \u22124", True),
        ("4", 0, "the range 2-4", True),
        ("4", 0, "the range 2\u20134", True),
        ("-4", 0, "x = \u20134", True),
        ("0.5", 0, "That is .5", True),
        ("5", 0, "That is .5", False),
        ("1500", 0, "1.5 \u00d7 10\u00b3", True),
        ("0.015", 0, "1.5 \u00b7 10\u207b\u00b2", True),
        ("42", 0, "\u7ed3\u679c\u662f42\u4e2a\u3002", True),
    ],
)
def test_a_number_is_right_within_its_tolerance(value: str, tolerance: float, answer: str, right: bool) -> None:
    assert Number(value=value, tolerance=tolerance).matches(answer, "?") is right


def test_numbers_of_the_question_are_ignored() -> None:
    question = "How many of the 1296 outcomes have the sum 15?"
    assert Number(value="140").matches("Of the 1296 outcomes, 140 have the sum 15.", question)


def test_a_number_between_others_matches_in_an_output_but_not_in_an_answer() -> None:
    text = "12\n34\n56"
    assert Number(value="34").is_in_output(text)
    assert not Number(value="34").matches(text, "?")


@given(st.integers(min_value=0, max_value=10**40))
def test_thousands_separators_do_not_change_a_number(value: int) -> None:
    assert numbers(f"= {value:,}.") == numbers(f"= {value:_}.") == numbers(f"= {value}.") == [Fraction(value)]


@given(st.text(max_size=200))
def test_any_text_can_be_compared(text: str) -> None:
    assert isinstance(Number(value="1").matches(text, text), bool)
    assert isinstance(Text(any_of=["a"], none_of=["b"]).matches(text, text), bool)


@pytest.mark.parametrize("right", [True, False])
def test_a_number_may_have_more_digits_than_python_reads_as_an_int(right: bool) -> None:
    value = "7" * 5_000
    assert Number(value=value).matches(f"It is {value if right else value[1:]}.", "?") is right


@pytest.mark.parametrize("filler", [" ", "\n", "\t", "1 ", "1,", "```", "\\frac{1}", "\\times"])
def test_a_repetitive_reply_is_compared_at_once(filler: str) -> None:
    begun_s = time.process_time()
    assert not Number(value="5").matches(filler * 20_000, "?")
    assert not Text(any_of=["a"], none_of=["b"]).matches(filler * 20_000, "?")
    assert time.process_time() - begun_s < 3


REGION = Text(any_of=["North"], none_of=["South", "East", "West"])


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("North", True),
        ("The **North** region.", True),
        ("North is first, followed by South.", True),
        ("East has 3, North has 9.\nThe best is North.", True),
        ("South is first, followed by North.", False),
        ("Northern", False),
        ("South", False),
        ("", False),
    ],
)
def test_the_right_choice_comes_first_or_stands_alone_at_the_end(answer: str, right: bool) -> None:
    assert REGION.matches(answer, "?") is right


def test_case_matters_only_if_requested() -> None:
    assert Text(any_of=["aGk"]).matches("AGK", "?")
    assert not Text(any_of=["aGk"], case=True).matches("AGK", "?")


@pytest.mark.parametrize(
    ("choice", "answer"),
    [
        ("$5", "It is $5."),
        ("2**10", "That is `2**10`."),
        ("New York", "It is New\nYork."),
        ("don't", "They don\u2019t."),
        ("1914\u20131918", "From 1914\u20131918."),
        ("caf\u00e9", "the cafe\u0301"),
        ("\u5317\u4eac", "\u9996\u90fd\u662f\u5317\u4eac\u3002"),
        ("North", "\u7b54\u6848\u662fNorth\u3002"),
    ],
)
def test_a_text_matches_with_and_without_markup(choice: str, answer: str) -> None:
    assert Text(any_of=[choice]).matches(answer, "?")


def test_a_latex_fraction_matches() -> None:
    assert Text(any_of=["55/16"]).matches(r"\( \frac{55}{16} \)", "?")
    assert not Text(any_of=["55/16"]).matches("155/16", "?")


@pytest.mark.parametrize(
    "answer",
    [
        *("2026-02-10", "10 February 2026", "the 10th of February, 2026", "February 10, 2026", "Feb 10th, 2026"),
        *("02/10/2026", "10.02.2026", "It is **Tuesday, February 10, 2026**.", "2026-02-10 00:00:00"),
    ],
)
def test_a_date_is_read_in_all_its_spellings(answer: str) -> None:
    assert Date(value=date(2026, 2, 10)).matches(answer, "?")


@pytest.mark.parametrize("answer", ["2026-02-11", "February 1, 2026", "10 February 2025", "2026", "12026-02-10"])
def test_another_date_does_not_match(answer: str) -> None:
    assert not Date(value=date(2026, 2, 10)).matches(answer, "?")


def test_an_endless_search_finds_nothing_and_the_next_search_works() -> None:
    assert not Pattern(value="(a+)+$").matches("a" * 60 + "b", "?")
    assert Pattern(value="a+b").matches("a" * 60 + "b", "?")


def test_a_pattern_is_searched_outside_code() -> None:
    assert Pattern(value="hello").matches("Hello there", "?")
    assert not Pattern(value="hello").matches("It prints:\n```python\nprint('hello')\n```", "?")
    assert Pattern(value='"a": 1').matches('```json\n{"a": 1}\n```', "?")


def test_a_pattern_matches_the_text_with_and_without_markup() -> None:
    assert Pattern(value=r"\$5\.00").matches("It costs $5.00.", "?")
    assert Pattern(value="is Paris").matches("It is **Paris**.", "?")
    assert not Pattern(value="paris", case=True).matches("It is Paris.", "?")


@pytest.mark.parametrize("answer", ["Paris", " Paris.\n", "**Paris**", "`Paris`", '"Paris".'])
def test_an_exact_text_is_the_whole_answer(answer: str) -> None:
    assert Exact(value="Paris").matches(answer, "?")


@pytest.mark.parametrize("answer", ["paris", "It is Paris.", "Paris, France", ""])
def test_an_exact_text_with_anything_else_does_not_match(answer: str) -> None:
    assert not Exact(value="Paris").matches(answer, "?")


@pytest.mark.parametrize(("answer", "right"), [("It is 42.", True), ("It is forty-two.", True), ("It is 43.", False)])
def test_any_of_several_expectations_may_match(answer: str, right: bool) -> None:
    assert AnyOf(choices=[Number(value="42"), Text(any_of=["forty-two"])]).matches(answer, "?") is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("The largest is 42.", True),
        ("42", True),
        ("The largest of 3, 42 and 7 is 42.", True),
        ("The largest of 3, 42 and 7 is 7.", False),
        ("The largest is 7.", False),
    ],
)
def test_a_right_number_may_occur_in_the_question(answer: str, right: bool) -> None:
    assert Number(value="42").matches(answer, "What is the largest of 3, 42 and 7?") is right


@pytest.mark.parametrize("value", ["", "a", "1/0", "nan", "1e9999", "1 2"])
def test_an_invalid_number_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="it must be a number like 42"):
        Number(value=value)


def test_an_invalid_pattern_is_refused() -> None:
    with pytest.raises(ValidationError, match="it must be a regular expression: unterminated character set"):
        Pattern(value="[")


@given(
    st.integers(MAX_DIGITS + 1, 1_000_000),
    st.sampled_from(["{}", "-{}", ".{}", "1.{}", "= {}e9", "${}$", "{},000", "{}%"]),
)
def test_a_number_of_more_than_five_thousand_digits_is_ignored(digits: int, form: str) -> None:
    assert numbers(form.format("9" * digits)) == []


@pytest.mark.parametrize("text", ["1e5001", "1e-5001", "9.5e9999", "1 x 10^9999", "1" + ",000" * 1_667])
def test_exponents_and_separators_do_not_evade_the_limit_on_digits(text: str) -> None:
    assert numbers(text) == []


@pytest.mark.parametrize("digits", ["1", "90", "12345", "0.00001"])
def test_a_number_of_five_thousand_digits_is_read(digits: str) -> None:
    value = (digits + "7" * MAX_DIGITS)[:MAX_DIGITS]
    assert numbers(f"= {value}.") == [Fraction(Decimal(value))]
    assert Number(value=value).matches(f"It is {value}.", "")


def test_a_number_over_the_limit_can_only_be_expected_as_a_text() -> None:
    long = "9" * (MAX_DIGITS + 1)
    with pytest.raises(ValidationError, match="a number has at most 5000 digits; a longer one can be a text"):
        Number(value=long)
    assert Text(any_of=[long]).matches(f"It is {long}.", "")


@pytest.mark.parametrize(
    "word",
    ["1 ", "9" * 9_000 + " ", "1e999 ", "1% ", "one ", "1,", "\\frac{1}{2} ", "1/", "1 1/2 ", "1万", "½", "1.000."],
)
def test_long_answers_are_compared_in_linear_time(word: str) -> None:
    answer = word * (400_000 // len(word))
    assert Number(value="42", tolerance=0.5).matches(f"{answer}. It is 42.", "What is 1?")


@pytest.mark.parametrize(
    ("choice", "answer"),
    [
        ("don’t", "They don't."),
        ("“Hi”", 'He said "Hi".'),
        ("Paris, France", "它是Paris，France。"),
        ("北京，上海", "北京、上海"),
        ("北京", "答案是「北京」。"),
        ("「北京」。", "答案是北京"),
        ("“Paris”", "It is Paris."),
        ("ratio: high", "ratio：high"),
        ("ABC", "\uff21\uff22\uff23"),
        ("New York", "New\u00a0York"),
        ("what?", "什么：what？"),
    ],
)
def test_a_text_matches_with_the_punctuation_of_any_script(choice: str, answer: str) -> None:
    assert Text(any_of=[choice]).matches(answer, "?")
    assert not Text(any_of=[f"x{choice}x"]).matches(answer, "?")


@pytest.mark.parametrize("answer", ["“Paris”", "„Paris“.", "«Paris»", "「Paris」。", "Paris。", "\u2018Paris\u2019"])
def test_an_exact_text_may_stand_in_the_quotes_of_any_script(answer: str) -> None:
    assert Exact(value="Paris").matches(answer, "?")


STATISTICS = BatchTask(id="a", task="x", expect={"all": {"mean": 3.5, "max value": 10, "name": "Ada"}})


@pytest.mark.parametrize(
    "answer",
    [
        "The mean is 3.5, the max value is 10 and the name is Ada.",
        "- **Mean**: 3,5\n- **Max value**: 10\n- **Name**: Ada",
        '{"mean": 3.5, "max_value": 10, "name": "Ada"}',
        'Here it is:\n```json\n{"name": "Ada", "max_value": 10, "mean": 3.5}\n```',
        "| mean | max value | name |\n|---|---:|---|\n| 3.5 | 10 | Ada |",
        "| what | value |\n|---|---|\n| mean | 3.5 |\n| max_value | 10 |\n| name | Ada |",
        "3.5 is the mean, 10 the max value, and Ada the name.",
        "mean = 3.5; max value = 10; name = Ada",
        "Mean: **3.5**\nMax value (of 12): **10**\nName: “Ada”",
    ],
)
def test_named_values_are_found_beside_their_names(answer: str) -> None:
    assert STATISTICS.matches(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "The mean is 10, the max value is 3.5 and the name is Ada.",
        "The mean is 3.5 and the name is Ada.",
        "mean: 3.5, max value: 11, name: Ada",
        "3.5, 10, Ada",
        "| mean | max value | name |\n|---|---|---|\n| 10 | 3.5 | Ada |",
        "```python\nmean = 3.5; max_value = 10; name = 'Ada'\n```",
        "",
    ],
)
def test_named_values_that_are_missing_or_exchanged_do_not_match(answer: str) -> None:
    assert not STATISTICS.matches(answer)


def test_all_of_a_list_must_be_said() -> None:
    task = BatchTask(id="a", task="x", expect={"all": [2, 3, 5]})
    assert task.matches("The factors are 2, 3 and 5.")
    assert not task.matches("The factors are 2, 3 and 7.")


@pytest.mark.parametrize(
    ("expect", "right", "wrong"),
    [
        ("1,234", "It is 1234.", "It is 234."),
        ("3,5", "It is 3.5.", "It is 35."),
        ("1.234,56", "It is 1,234.56.", "It is 1.234."),
        ("$1,234.50", "It is 1234.5 dollars.", "It is 1.2345."),
        ("25%", "It is 0.25.", "It is 2.5."),
        ("25 %", "It is 25 per cent.", "It is 52 %."),
        ("½", "It is 0.5.", "It is 1 or 2."),
        ("1/3", "It is ⅓.", "It is 1.3."),
        (r"\frac{3}{4}", "It is 0.75.", "It is 3."),
        ("2026年2月10日", "It is February 10, 2026.", "It is 2026-02-01."),
        ("4. Juli 1976", "It was 1976-07-04.", "4. Juni 1976"),
        ("2026-02-10", "10 février 2026", "10 février 2025"),
        ("2026-02-10 00:00:00", "2026-02-10", "2026-02-11"),
        ("2026-02-10T14:30:00", "2026-02-10 at 2:30 pm", "2026-02-10"),
        ("14:30", "At 2:30 pm.", "At 2:30."),
        ("don’t", "They don't.", "They do."),
        (True, "That is true.", "That is false."),
        (False, "No, it is not.", "Yes, it is."),
        ({"date": "2026-02-10T00:00:00"}, "10.02.2026", "11.02.2026"),
        (date(2026, 2, 10), "10.02.2026", "11.02.2026"),
        ("007", "It is agent 007.", "It is 7."),
    ],
)
def test_an_expected_value_may_be_written_as_people_write_it(expect: object, right: str, wrong: str) -> None:
    task = BatchTask.model_validate({"id": "a", "task": "x", "expect": expect})
    assert task.matches(right)
    assert not task.matches(wrong)
