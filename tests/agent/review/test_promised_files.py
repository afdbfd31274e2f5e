"""Which of the names in a task are files that it asks for."""

import pytest

from agent.review.promised_files import asked_for


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("Plot sin(x) and save the plot as peak.png. Where is it highest?", ["peak.png"]),
        ("Write the totals to 'totals.csv' and export them as totals.xlsx.", ["totals.csv", "totals.xlsx"]),
        ("Put it into results/plot.svg, please", ["results/plot.svg"]),
        ("Save it to /workspace/out.txt", ["out.txt"]),
        ("Erstelle ein Diagramm und speichere es als sinus.png.", ["sinus.png"]),
        ("Enregistre le tableau dans résumé.csv", ["résumé.csv"]),
        ("guárdalos en aprobados.csv", ["aprobados.csv"]),
        ("画出直方图并保存为图.png。", ["图.png"]),
        ("画一个图，保存到文件sine.png", ["sine.png"]),
        ("把结果写到 输出/结果.txt 里", ["输出/结果.txt"]),
        ("画sin(x)，存成 正弦.png", ["正弦.png"]),
    ],
)
def test_a_name_is_asked_for_in_any_language(task: str, names: list[str]) -> None:
    assert asked_for(task, []) == names


@pytest.mark.parametrize(
    "task",
    [
        "Do not save anything to out.csv; just print the mean.",
        "Bitte nichts in eine neue Datei schreiben, auch nicht in neu.csv.",
        "n'enregistre rien, surtout pas de resultat.csv",
        "No hace falta que generes resumen.xlsx",
        "不用保存成error.csv，直接告诉我",
        "In the URL https://example.org/files/export.csv?year=2020, what is the last part?",
        "It fails for D:/Daten/bericht.pdf",
        "Write to someone@mail.csv",
        "Version 3.11, e.g. numpy.linalg",
    ],
)
def test_what_is_unwanted_or_elsewhere_is_not_asked_for(task: str) -> None:
    assert asked_for(task, []) == []


def test_a_file_that_came_with_the_task_is_there_already() -> None:
    assert asked_for("Sort data.csv into sorted.csv", ["data.csv"]) == ["sorted.csv"]


@pytest.mark.parametrize(
    ("piece", "names"),
    [
        ("a", []),
        ("统计", []),
        ("a.csv ", ["a.csv"]),
        ("a.csv、", ["a.csv"]),
        ("not a.csv ", []),
        ("a@", []),
        ("a:", []),
    ],
)
def test_a_long_task_takes_linear_time(piece: str, names: list[str]) -> None:
    assert asked_for(piece * (500_000 // len(piece)), []) == names
