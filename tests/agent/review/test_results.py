"""When an answer states nothing of what the last program printed."""

import pytest

from agent.record.question import Question
from agent.review.results import unstated
from sandbox import DisplayData, Execution, StreamOutput
from sandbox.testing import printed
from tests.samples import STARTED


def said_nothing_of(
    output: str | Execution, answer: str, *, task: str = "How many days is it on average?", code: str = "f()"
) -> str:
    execution = printed(output) if isinstance(output, str) else output
    return unstated(Question(STARTED.model_copy(update={"task": task}), []), execution, code, answer)


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("15.57", "The output is correct. The program correctly calculates the average."),
        ("Number of books: 900", "The program correctly counted the books."),
        ("900\n", "Das Programm hat die Bücher richtig gezählt."),
        ("平均 15.57", "程序已经正确地计算了所需的结果。"),
        ("2024-03-26", "Le programme affiche correctement la date demandée."),
        ("A 1\nB 24.5", "Das ist die Tabelle mit den Werten."),
    ],
)
def test_an_answer_without_any_value_of_the_output_states_none(output: str, answer: str) -> None:
    code = "print(f'Number of books: {n}, 平均')"
    assert said_nothing_of(output, answer, code=code) == output.strip()


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("15.57", "It is 15.57 days on average."),
        ("15.57", "Es sind im Mittel etwa 15,6 Tage."),
        ("15.57", "平均大约是十五天,准确地说是15.57天。"),
        ("15.57", "I counted another 99 books by hand."),  # the support tells of it
        ("3", "There are three of them on average."),
        ("True", "Yes, this is a prime number, as was shown."),
        ("Berlin 34.5", "The city with the highest mean is Berlin."),
        ("München    34.5", "Die höchste Summe hat die Stadt München."),
        ("上海 34.5", "总额最高的城市是上海,这是程序的结果。"),
        ("0.43", "No."),
        ("0.43", "不是,差异不显著。"),
        ("", "The program has printed nothing at all."),
        ("rows: 350", "I have saved the table as monthly.csv for you."),
    ],
)
def test_an_answer_with_a_value_or_a_name_or_about_something_else_is_left_alone(output: str, answer: str) -> None:
    assert said_nothing_of(output, answer) == ""


def test_what_the_question_or_the_program_has_is_no_result() -> None:
    assert (
        said_nothing_of("2024 365", "The program is correct so far.", task="Days of 2024?", code="print(2024, 365)")
        == ""
    )


def test_an_answer_about_a_file_or_a_picture_or_with_a_schema_may_have_no_value() -> None:
    answer = "It is done, and everything went well."
    assert said_nothing_of("350.5", answer, task="Save the table as monthly.csv.") == ""
    picture = DisplayData(data={"image/png": "aaaa", "text/plain": "<Figure>"}, metadata={})
    shown = Execution(status="ok", outputs=[StreamOutput(name="stdout", text="350.5"), picture])
    assert said_nothing_of(shown, answer) == ""
    typed = STARTED.model_copy(update={"answer_schema": {"type": "boolean"}})
    assert unstated(Question(typed, []), printed("350.5"), "f()", "true, and this is a longer text") == ""


def test_complaints_are_no_result_and_a_long_one_is_cut() -> None:
    warned = Execution(status="ok", outputs=[StreamOutput(name="stderr", text="x.py:99: UserWarning: 1234")])
    assert said_nothing_of(warned, "The program is correct so far.") == ""
    assert len(said_nothing_of("345.5 " * 999, "The program is correct so far.")) < 400
