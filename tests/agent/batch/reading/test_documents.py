"""JSON is read in every form that people and data frames write."""

import json
from pathlib import Path

import pytest

from agent.batch.input import check_tasks, read_tasks
from agent.batch.reading.complaints import Complaints
from tests.agent.batch.reading.samples import complaint, read

A = {"id": "a", "task": "x", "expect": 42}
B = {"id": "b", "task": "y", "expect": None}
FORMS = {
    "lines": f"{json.dumps(A)}\n{json.dumps(B)}\n",
    "lines with commas and blanks": f"{json.dumps(A)},\n\n{json.dumps(B)},\n",
    "array": json.dumps([A, B]),
    "indented array": json.dumps([A, B], indent=2),
    "array with a line each": f"[\n{json.dumps(A)},\n{json.dumps(B)}\n]\n",
    "columns": json.dumps({key: {"0": A[key], "1": B[key]} for key in A}),
    "lists": json.dumps({key: [A[key], B[key]] for key in A}),
    "index": json.dumps({"0": A, "1": B}),
    "index of ids": json.dumps({"a": {"task": "x", "expect": 42}, "b": {"task": "y", "expect": None}}),
    "columns of ids": json.dumps({"task": {"a": "x", "b": "y"}, "expect": {"a": 42, "b": None}}),
    "split": json.dumps({"columns": list(A), "index": [0, 1], "data": [list(A.values()), list(B.values())]}),
    "table": json.dumps({"schema": {"fields": []}, "data": [{"index": 0, **A}, {"index": 1, **B}]}),
    "unnamed index": json.dumps([{"Unnamed: 0": 0, **A}, {"Unnamed: 0": 1, **B}]),
    "empty texts": json.dumps([A, {**B, "expect": "", "files": ""}]),
    "tasks": json.dumps({"tasks": [A, B]}),
    "other case": json.dumps([{"ID": "a", "Task ": "x", "Expect": 42}, {"Id": "b", "TASK": "y"}]),
    "NaN": json.dumps([A, {**B, "expect": float("nan")}]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "-"])
def test_json_is_read_in_every_form(tmp_path: Path, form: str, name: str) -> None:
    text = FORMS[form]
    first, second = read_tasks("-", text.encode()) if name == "-" else read(tmp_path, name, text)
    assert (first.id, first.task, second.id, second.task) == ("a", "x", "b", "y")
    assert first.matches("42")
    assert second.expect is None


def test_an_array_of_texts_is_a_task_each() -> None:
    assert [task.task for task in read_tasks("-", b'[\n"What is 1?",\n"What is 2?"\n]')] == ["What is 1?", "What is 2?"]


def test_one_indented_object_is_one_task() -> None:
    assert [task.id for task in read_tasks("-", json.dumps(A, indent=2).encode())] == ["a"]


def test_a_task_without_an_id_gets_one_from_its_text() -> None:
    first, second, third = read_tasks(
        "-", b'{"task": "What is 1?"}\n{"task": "What is 1?", "id": null}\n{"id": 3.0, "task": "x"}'
    )
    assert first.id.startswith("what-is-1-")
    assert second.id == f"{first.id}-2"
    assert third.id == "3"


def test_null_is_a_field_that_is_missing() -> None:
    (task,) = read_tasks(
        "-", b'{"id": "a", "task": "x", "files": null, "expect": null, "limits": null, "policy": null}'
    )
    assert (task.files, task.expect) == ((), None)


def test_the_columns_of_settings_are_fields_in_json_too() -> None:
    (task,) = read_tasks("-", b'[{"id": "a", "task": "x", "expect": 4, "tolerance": 0.5, "limits.max_turns": 3}]')
    assert task.limits.max_turns == 3
    assert task.matches("4.5")


def test_the_rows_of_a_data_frame_are_tasks() -> None:
    nothing = float("nan")
    rows = [{"task": "x", "expect": nothing, "limits.max_turns": nothing}, {"id": 2.0, "task": "y", "expect": True}]
    first, second = check_tasks(enumerate(rows, start=1), Complaints("The batch", "task"), Path())
    assert (first.expect, first.limits.model_fields_set, second.id) == (None, set(), "2")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"id": "a", "task": "x"},\n {"id": "b" "task"}]', "line 2: it is not JSON: Expecting ',' delimiter"),
        ('[{"id": "a", "task": "x"}, 3]', "task 2: it is not an object like"),
        ('[{"id": "a", "task": "x"}, {"id": "A", "task": "x"}]', "task 2: id 'A' is already used by task 1"),
        ('{"id": "a"}', "line 1: it has no 'task'"),
        ('{"task": ["x", ""]}', "task 2: task: the task is empty"),
    ],
)
def test_an_error_of_a_document_names_its_place(tmp_path: Path, text: str, why: str) -> None:
    assert why in complaint(tmp_path, "t.json", text)
