"""The input of a batch: all bad lines are reported at once, and no good line is refused."""

import json
import os
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import UsageError
from agent.batch import input as batch_input
from agent.batch.input import MAX_LINE_BYTES, read_tasks
from agent.batch.scoring.matching import AnyOf, Date, Exact, Number, Pattern, Text


def from_stdin(*lines: str | bytes) -> list[str]:
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return [task.id for task in read_tasks("-", data)]


def complaint(*lines: str | bytes) -> str:
    with pytest.raises(UsageError) as caught:
        from_stdin('{"id": "good", "task": "x"}', *lines)
    return str(caught.value)


BAD: dict[str, tuple[str | bytes, str]] = {
    "not JSON": ("nope", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
    "no object": ("[]", 'it is not an object like {"id": "a", "task": "What is 2 ** 100?"}'),
    "deep": ("[" * 100_000, "it is not JSON: maximum recursion depth exceeded while decoding a JSON array from a "
        "unicode string"),
    "too deep an expectation": ('{"id": "a", "task": "x", "expect": ' + '{"any": [' * 300 + "1" + "]}" * 300 + "}",
        "it is nested deeper than 16 levels"),
    "too deep a text": ('{"id": "a", "task": ' + "[" * 900 + "]" * 900 + "}", "it is nested deeper than 16 levels"),
    "too deep a list of texts": ('{"id": "a", "task": "x", "expect": {"text": ' + "[" * 900 + "]" * 900 + "}}",
        "it is nested deeper than 16 levels"),
    "too deep a policy": ('{"id": "a", "task": "x", "policy": {"environment": ' + '{"a": ' * 300 + "1" + "}" * 302,
        "it is nested deeper than 16 levels"),
    "too many files": ('{"id": "a", "task": "x", "files": [' + "0," * 1_000_000 + "0]}",
        "it holds more than 10000 values"),
    "too many bad files": ('{"id": "a", "task": "x", "files": [' + "0," * 5_000 + "0]}",
        "5001 things are wrong with it"),
    "too many keys": ('{"id": "a", "task": "x"' + "".join(f', "k{number}": 0' for number in range(200_000)) + "}",
        "it holds more than 10000 values"),
    "no task": ('{"id": "a"}', "it has no 'task'"),
    "an empty task": ('{"id": "a", "task": " "}', "task: the task is empty, not ' '"),
    "a taken id": ('{"id": "GOOD", "task": "x"}', "id 'GOOD' is already used by line 1; ids ignore case"),
    "an unknown key": ('{"id": "a", "task": "x", "expext": 1}', "unknown key 'expext'"),
    "no such file": ('{"id": "a", "task": "x", "files": ["/nowhere/a.csv"]}', "'/nowhere/a.csv' is not a file."),
    "one file": ('{"id": "a", "task": "x", "files": "a.csv"}', "'a.csv' is not a file."),
    "a limit alone": ('{"id": "a", "task": "x", "limits": 3}', "limits: it must be an object, not 3"),
    "a limit": ('{"id": "a", "task": "x", "limits": {"max_turns": 0}}',
        "limits.max_turns: input should be greater than or equal to 1, not 0"),
    "no such limit": ('{"id": "a", "task": "x", "limits": {"turns": 1}}', "unknown key 'limits.turns'"),
    "a policy": ('{"id": "a", "task": "x", "policy": {"network": "host"}}',
        "policy.network: a sandbox shares no network namespace with the host or a container, not 'host'"),
    "a sampling": ('{"id": "a", "task": "x", "sampling": {"temperature": 9}}',
        "sampling.temperature: input should be less than or equal to 2, not 9"),
    "an expectation": ('{"id": "a", "task": "x", "expect": " "}',
        "expect: it must be a number, a text, true or false, a list, or one of number, exact, text, regex, date, any, "
        "all as a key, not ' '"),
    "a regular expression": ('{"id": "a", "task": "x", "expect": {"regex": "["}}',
        "expect.pattern.value: it must be a regular expression: unterminated character set at position 0, not '['"),
    "a number that is none": ('{"id": "a", "task": "x", "expect": Infinity}',
        "expect.number.value: it must be a number like 42, -0.5 or 1.5e3, not 'inf'"),
    "a tolerance": ('{"id": "a", "task": "x", "expect": {"number": 1, "tolerance": -1}}',
        "expect.number.tolerance: input should be greater than or equal to 0, not -1"),
    "a surrogate": (r'{"id": "a", "task": "\ud800"}', r"task: the task is not valid UTF-8: '\ud800', not '\ud800'"),
    "not UTF-8": (b'{"id": "a", "task": "\xff"}', "it is not UTF-8: byte 0xff at column 22; save the file "
        "as UTF-8"),
    "a giant": (b"{" * (MAX_LINE_BYTES + 1), f"it is {MAX_LINE_BYTES + 1} bytes long, over the limit of "
        f"{MAX_LINE_BYTES}"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_reported_with_its_number(case: str) -> None:
    line, why = BAD[case]
    assert complaint("", line) == f"stdin has 1 bad line, and nothing was started:\n  line 3: {why}"


def test_all_bad_lines_are_reported_at_once() -> None:
    said = complaint("nope", '{"id": "ok", "task": "x"}', "{}")
    assert said == (
        "stdin has 2 bad lines, and nothing was started:\n"
        "  line 2: it is not JSON: Expecting value: line 1 column 1 (char 0)\n"
        "  line 4: it has no 'task'"
    )


def test_only_the_first_of_many_bad_lines_are_shown() -> None:
    lines = complaint(*["nope"] * 500).splitlines()
    assert lines[0] == "stdin has 500 bad lines, and nothing was started:"
    assert lines[-1] == "  and 480 more"
    assert len(lines) == 22


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "/a", "a\\b", ".hidden", "end.", "a b", "a\n", "x" * 101]
)
def test_an_id_that_cannot_name_a_directory_is_refused(name: str) -> None:
    said = complaint(json.dumps({"id": name, "task": "x"}))
    assert "line 2: id: an id names a directory: at most 100 letters, digits and any of . _ + = @ - between" in said


@pytest.mark.parametrize("name", ["a", "7", "geo-01", "v1.2_x", "größe", "a+b=c@d"])
def test_an_id_that_can_name_a_directory_is_accepted(name: str) -> None:
    assert from_stdin(json.dumps({"id": name, "task": "x"})) == [name]


def test_a_number_is_an_id() -> None:
    assert from_stdin('{"id": 17, "task": "x"}') == ["17"]


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_input_gives_tasks_or_a_usage_error(lines: list[bytes]) -> None:
    with suppress(UsageError):
        assert from_stdin(*lines)


def test_a_byte_order_mark_and_carriage_returns_are_ignored() -> None:
    lines = ['\ufeff{"id": "a", "task": "x"}\r', "\r", "  ", '{"id": "b", "task": "y"}\r', ""]
    assert from_stdin(*lines) == ["a", "b"]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_input_without_tasks_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^stdin contains no task\."):
        read_tasks("-", data)


def test_a_file_that_cannot_be_read_is_reported() -> None:
    with pytest.raises(UsageError, match=r"^Cannot read the tasks '/nowhere/t.jsonl': No such file or directory\."):
        read_tasks("/nowhere/t.jsonl")


def test_a_text_has_one_task_per_line_with_ids_that_new_lines_do_not_change(tmp_path: Path) -> None:
    path = tmp_path / "tasks.txt"
    path.write_text("What is 2 ** 100?\n\nWhat is 2 ** 100?\n最大的质数?\n")
    ids = [task.id for task in read_tasks(str(path))]
    assert ids[0].startswith("what-is-2-100-")
    assert ids[1] == f"{ids[0]}-2"
    assert ids[2].startswith("task-")
    path.write_text("Another?\n最大的质数?\n")
    assert read_tasks(str(path))[1].id == ids[2]


def test_stdin_that_does_not_begin_with_a_brace_is_text() -> None:
    assert len(from_stdin("What is 1?", '{"id": "a"}')) == 2


def test_files_are_relative_to_the_file_of_tasks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a")
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"id": "a", "task": "x", "files": ["a.csv"]}')
    assert read_tasks(str(path))[0].files == (tmp_path / "a.csv",)


HEAD = "id,task,files,expect,tolerance,limits.max_turns,policy.memory_bytes\r\n"
CSV = HEAD + '"a","Two\r\nlines?",a.csv; b.csv,4.5,0.1,3,1g\r\n'


def test_a_csv_has_a_column_for_each_field(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "tasks.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CSV.encode() + b"b,plain,,,,,\r\n")
    first, second = read_tasks(str(path))
    assert first.task == "Two\nlines?"
    assert [file.name for file in first.files] == ["a.csv", "b.csv"]
    assert first.expect == Number(value="4.5", tolerance=0.1)
    assert (first.limits.max_turns, first.policy.memory_bytes) == (3, 1 << 30)
    assert second.expect is None
    assert second.limits.model_fields_set == set()


def test_blank_lines_are_kept_in_the_text_of_a_csv_and_skipped_between_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text('\nid,task\n\n1,"One.\n\nTwo."\n,\n2,x\n\n')
    assert [(task.id, task.task) for task in read_tasks(str(path))] == [("1", "One.\n\nTwo."), ("2", "x")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("question\nx\n", "line 1: unknown column 'question'; columns are id, task, files, expect, tolerance and"),
        ("task,task\nx,y\n", "line 1: it needs a column task, and each column only once; columns are id"),
        ("id,task\na,x\nb\n", "line 3: it has 1 cells, but the header has 2"),
        ('id,task\na,x\n\nb,"x\n', "line 4: it is not CSV: unexpected end of data"),
        ("id,task\na,x\na,y\n", "line 3: id 'a' is already used by line 2"),
    ],
)
def test_errors_of_a_csv_are_reported_by_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_tasks(str(path))
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (42, Number(value="42")),
        (2.5, Number(value="2.5")),
        ("42", Number(value="42")),
        ("007", Text(any_of=["007"])),
        ("Paris", Text(any_of=["Paris"])),
        ({"number": "1e3", "tolerance": 1}, Number(value="1e3", tolerance=1)),
        ({"exact": "Paris"}, Exact(value="Paris")),
        ({"text": ["a", "b"], "not": "c"}, Text(any_of=["a", "b"], none_of=["c"])),
        ({"text": "aGk", "case": True}, Text(any_of=["aGk"], case=True)),
        ({"regex": "^a"}, Pattern(value="^a", case=True)),
        ({"date": "2026-02-10"}, Date.model_validate({"value": "2026-02-10"})),
        ([42, "forty-two"], AnyOf(choices=[Number(value="42"), Text(any_of=["forty-two"])])),
        ({"any": [42]}, AnyOf(choices=[Number(value="42")])),
    ],
)
def test_an_expectation_has_short_and_full_forms(said: object, meant: object) -> None:
    (task,) = read_tasks("-", json.dumps({"id": "a", "task": "x", "expect": said}).encode())
    assert task.expect == meant


def test_a_hundred_thousand_lines_are_read() -> None:
    assert (
        len(from_stdin(*(f'{{"id": "t{n}", "task": "What is {n}?", "expect": {n}}}' for n in range(100_000))))
        == 100_000
    )


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_choices_may_be_nested(depth: int) -> None:
    expect = '{"any": [' * depth + "1" + "]}" * depth
    (task,) = read_tasks("-", f'{{"id": "a", "task": "x", "expect": {expect}}}'.encode())
    assert task.matches("It is 1.")


@given(st.integers(16, 1000), st.sampled_from(["[1]", '{"any": [1]}', '{"text": 1}', '{"number": 1}']))
def test_an_expectation_that_is_nested_too_deep_is_a_usage_error(depth: int, form: str) -> None:
    opening, closing = form.split("1")
    line = f'{{"id": "a", "task": "x", "expect": {opening * depth}1{closing * depth}}}'
    with pytest.raises(UsageError, match=r"nested deeper than 16 levels|is not JSON"):
        read_tasks("-", line.encode())


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/urandom", "/"])
def test_endless_sources_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="are neither a file nor a pipe") as caught:
        read_tasks(path)
    assert str(caught.value) == f"The tasks {path!r} are neither a file nor a pipe. Try: ls -l {path}"


def test_tasks_in_a_socket_are_refused(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(tmp_path / "tasks"))
        with pytest.raises(UsageError, match="are neither a file nor a pipe"):
            read_tasks(str(tmp_path / "tasks"))


def test_tasks_may_come_through_a_named_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "tasks.txt"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("What is 6 * 7?\n",))
    writer.start()
    assert [task.task for task in read_tasks(str(pipe))] == ["What is 6 * 7?"]
    writer.join()


@pytest.mark.parametrize("from_file", [True, False])
def test_the_size_of_the_tasks_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_file: bool) -> None:
    monkeypatch.setattr(batch_input, "MAX_SOURCE_BYTES", 100)
    path = tmp_path / "tasks.txt"
    path.write_text("x" * 100)
    source = str(path) if from_file else "-"
    assert len(read_tasks(source, path.read_bytes())) == 1
    path.write_text("x" * 101)
    with pytest.raises(UsageError, match="has more than 100 bytes"):
        read_tasks(source, path.read_bytes())
