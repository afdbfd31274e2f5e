"""A table is read as spreadsheets and data frames of any country write it."""

from pathlib import Path

import pytest

from agent.batch.input import read_tasks
from agent.batch.scoring.matching import Number
from tests.agent.batch.reading.samples import complaint, read


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id,task,expect\na,x y,42\n"),
        ("t.csv", "id;task;expect\na;x y;42\n"),
        ("t.csv", "sep=;\nid;task;expect\na;x y;42\n"),
        ("t.csv", '"sep=,"\r\nid,task,expect\r\na,x y,42\r\n'),
        ("t.csv", "SEP=|\nid|task|expect\na|x y|42\n"),
        ("t.csv", "id\ttask\texpect\na\tx y\t42\n"),
        ("t.tsv", "id\ttask\texpect\na\tx y\t42\n"),
        ("t.txt", "id\ttask\texpect\na\tx y\t42\n"),
        ("t.csv", "id,task,expect,,\na,x y,42,,\n,,,,\n"),
        ("t.csv", "id,task,expect\na,x y,42,,,\n"),
        ("t.csv", ",id,task,expect\n0,a,x y,42\n"),
        ("t.csv", "Unnamed: 0,id,task,expect,Unnamed: 4\n0,a,x y,42,\n"),
        ("t.csv", "index,id,task,expect\n0,a,x y,42\n"),
        ("t.csv", " ID ,Task,EXPECT\na,x y,42\n"),
        ("t.csv", '"id", "task", "expect"\n"a", "x y", "42"\n'),
        ("t.csv", "id,task,expect,tolerance,files,limits.max_turns\na,x y,42,NaN,nan,\n"),
        ("t.csv", "id,task,expect,Limits.Max turns\na,x y,42,NaN\n"),
    ],
)
def test_a_table_of_any_program_is_read(tmp_path: Path, name: str, text: str) -> None:
    (task,) = read(tmp_path, name, text)
    assert (task.id, task.task, task.expect, task.files) == ("a", "x y", Number(value="42"), ())
    assert task.limits.model_fields_set == set()


def test_a_table_may_come_through_stdin() -> None:
    assert [task.id for task in read_tasks("-", b"id;task\r\na;x\r\nb;y\r\n")] == ["a", "b"]


def test_a_text_that_speaks_of_a_task_is_no_table() -> None:
    assert len(read_tasks("-", b"task: add 1, 2\nWhat is a task?\ntask\n")) == 3


@pytest.mark.parametrize("missing", ["", "NaN", "NaT", "None", "null", "<NA>", "#N/A"])
def test_a_missing_cell_is_left_out(tmp_path: Path, missing: str) -> None:
    (task,) = read(tmp_path, "t.csv", f"id,task,expect,files,tolerance\n{missing},x,{missing},{missing},{missing}\n")
    assert task.expect is None
    assert task.id.startswith("x-")


def test_the_id_of_a_column_with_missing_numbers_is_whole(tmp_path: Path) -> None:
    assert [task.id for task in read(tmp_path, "t.csv", "id,task\n1.0,x\n2.0,y\nv1.5,z\n")] == ["1", "2", "v1.5"]


def test_a_decimal_comma_is_read_in_every_number(tmp_path: Path) -> None:
    head = "id;task;expect;tolerance;sampling.temperature\n"
    (task,) = read(tmp_path, "t.csv", head + "a;x;3,5;0,01;0,7\n")
    assert task.expect == Number(value="3.5", tolerance=0.01)
    assert task.sampling.temperature == 0.7


def test_a_quoted_cell_keeps_its_line_breaks_and_delimiters(tmp_path: Path) -> None:
    (task, other) = read(tmp_path, "t.csv", 'id;task\r\na;"One; two\r\n\r\n""three"""\r\nb;y\r\n')
    assert task.task == 'One; two\n\n"three"'
    assert other.id == "b"


@pytest.mark.parametrize("cell", ["a.csv; b.csv", "['a.csv', 'b.csv']", '[""a.csv"", ""b.csv""]'])
def test_several_files_are_in_one_cell(tmp_path: Path, cell: str) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    (task,) = read(tmp_path, "t.csv", f'id,task,files\na,x,"{cell}"\n')
    assert [file.name for file in task.files] == ["a.csv", "b.csv"]


def test_a_table_without_rows_contains_no_task(tmp_path: Path) -> None:
    for text in ("", "sep=;\n", "id,task\n"):
        assert complaint(tmp_path, "t.csv", text).startswith("'t.csv' contains no task.")


@pytest.mark.parametrize("cell", ["TRUE", "True"])
def test_true_is_stated_or_affirmed(tmp_path: Path, cell: str) -> None:
    (task,) = read(tmp_path, "t.csv", f"id,task,expect\na,x,{cell}\n")
    assert task.matches("It is true.")
    assert task.matches("Yes, it is.")
    assert not task.matches("It is false.")
    assert not task.matches("There is no reason to say yes or so.")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id;question\na;x\n", "line 1: unknown column 'question'; columns are id, task"),
        ("id,task,\na,x,lost\n", "line 2: the cell 'lost' is in a column without a name"),
        ("id,task\na,x,y\n", "line 2: it has 3 cells, but the header has 2"),
        ("sep=;\nid;task\na\n", "line 3: it has 1 cells, but the header has 2"),
    ],
)
def test_an_error_of_a_table_names_its_line(tmp_path: Path, text: str, why: str) -> None:
    assert why in complaint(tmp_path, "t.csv", text)
