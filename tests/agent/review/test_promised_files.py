"""Which files a task asks to be made."""

import pytest

from agent.review.promised_files import asked_for


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("Plot sin(x) and save the plot as peak.png. Where is it highest?", ["peak.png"]),
        ("Write the totals to out/../totals.csv", []),
        ("Write the totals to 'totals.csv' and export them as totals.xlsx.", ["totals.csv", "totals.xlsx"]),
        ("Draw it for 0, 1, ..., 9 and store it in a file named a-b_1.json!", ["a-b_1.json"]),
        ("Store the array in a file called grid.npy.", ["grid.npy"]),
        ("画出直方图并保存为 图.png。", ["图.png"]),
    ],
)
def test_what_is_to_be_saved_is_known_by_its_name(task: str, names: list[str]) -> None:
    assert asked_for(task, []) == names


@pytest.mark.parametrize(
    "task",
    [
        "What is the sum of the column price in data.csv?",
        "Load data.csv. Then tell the mean.",
        "Save your breath. What does data.csv hold?",
        "Is report.pdf a good name?",
    ],
)
def test_what_is_only_named_is_not_asked_for(task: str) -> None:
    assert asked_for(task, []) == []


def test_what_came_with_the_task_is_there() -> None:
    assert asked_for("Sort it and save it to data.csv.", ["data.csv"]) == []
