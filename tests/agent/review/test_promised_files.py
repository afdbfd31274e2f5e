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
        ("把员工单独存到北京员工.csv里", ["北京员工.csv"]),
        ('put it in a file called "shopping list.txt".', ["shopping list.txt"]),
        ("Quiero pendientes.csv con los pedidos que siguen sin entregar", ["pendientes.csv"]),
        ("No header, save it as a.csv", ["a.csv"]),
        ("Don't print anything, only write b.txt", ["b.txt"]),
        ("Bitte nicht vergessen, c.json zu speichern", ["c.json"]),
        ("不要打印，只写入d.txt", ["d.txt"]),
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
        "回复我就行，别给我弄什么统计.xlsx",
        "Please don't write a.csv, b.csv or 'c.csv'",
        "Ich möchte nicht, dass du out.csv schreibst",
        "out.csv brauche ich nicht",
        "Tell me here, without creating out.csv",
        "Nur Text statt report.pdf",
        "账单在D:\\财务\\账单.xlsx里",
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
    assert asked_for("把通讯录.vcf转成通讯录.xlsx", ["通讯录.vcf"]) == ["通讯录.xlsx"]


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
