"""The directory of a batch: each task has one result, whenever the batch is killed."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from agent import TaskResult, TranscriptError, UsageError, read_results
from agent.batch.results import LOCK, MAX_ANSWER_CHARS, MAX_LINE_BYTES, REPLACED, RESULTS, BatchDirectory


def result(name: str, answer: str = "42") -> TaskResult:
    return TaskResult(id=name, outcome="answered", answer=answer, duration_s=1, run_directory=f"tasks/{name}")


def ids(directory: Path) -> list[str]:
    return [each.id for each in read_results(directory)]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("a"))
        directory.add(result("b", "line\nbreak \u2028"))
    assert list(read_results(tmp_path)) == [result("a"), result("b", "line\nbreak \u2028")]


@pytest.mark.parametrize("character", ["x", "\x01", "é", "\U0001f600", '"'])
@pytest.mark.parametrize("length", [MAX_ANSWER_CHARS, MAX_ANSWER_CHARS + 1, 20 << 20])
def test_a_written_result_can_be_read_whatever_the_length_of_its_answer(
    tmp_path: Path, length: int, character: str
) -> None:
    long = result("a", character * length)
    with BatchDirectory(tmp_path) as directory:
        directory.add(long.model_copy(update={"error": character * length}))
        directory.add(result("b"))
    with BatchDirectory(tmp_path) as directory:
        directory.keep(list(read_results(tmp_path)), [long])
        directory.add(result("c"))
    assert ids(tmp_path) == ["a", "b", "c"]
    read = next(read_results(tmp_path))
    assert read.answer is not None
    assert read.answer.startswith(character * 1000)
    assert read.answer.endswith(character * 1000)
    assert (read.answer == long.answer) == (length <= MAX_ANSWER_CHARS)
    assert ("characters are left out here" in read.answer) == (length > MAX_ANSWER_CHARS)


def test_a_result_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("a"))
        with pytest.raises(TranscriptError, match="longer than 16777216 bytes"):
            directory.add(result("b" * (MAX_LINE_BYTES + 1)))
        directory.add(result("c"))
    assert ids(tmp_path) == ["a", "c"]


@pytest.mark.parametrize("torn", [1, 10, 100])
def test_a_torn_last_line_is_not_a_result_and_is_cut_off(tmp_path: Path, torn: int) -> None:
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("a"))
        directory.add(result("b", "x" * 200_000))
    os.truncate(tmp_path / RESULTS, (tmp_path / RESULTS).stat().st_size - torn)
    assert ids(tmp_path) == ["a"]
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("c"))
    assert ids(tmp_path) == ["a", "c"]


def test_a_file_that_is_one_torn_line_is_empty(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / RESULTS).write_bytes(b"{" * 100_000)
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("a"))
    assert ids(tmp_path) == ["a"]


def test_a_line_that_is_not_a_result_is_reported(tmp_path: Path) -> None:
    (tmp_path / RESULTS).write_text("{}\n")
    with pytest.raises(TranscriptError) as caught:
        ids(tmp_path)
    path = tmp_path / RESULTS
    assert str(caught.value) == f"{str(path)!r}, line 1, is not the result of a task. Try: sed -i.bak 1d {path}"


def test_replaced_results_are_kept_apart(tmp_path: Path) -> None:
    with BatchDirectory(tmp_path) as directory:
        for name in ("a", "b"):
            directory.add(result(name))
        directory.keep([result("b")], [result("a")])
        directory.add(result("a", "43"))
    assert ids(tmp_path) == ["b", "a"]
    assert TaskResult.model_validate_json((tmp_path / REPLACED).read_text()) == result("a")


def test_a_second_batch_is_refused_while_one_is_running(tmp_path: Path) -> None:
    with BatchDirectory(tmp_path), pytest.raises(UsageError) as caught, BatchDirectory(tmp_path):
        pass
    assert caught.value.for_shell == (
        f"Another batch is running in {str(tmp_path)!r}: process {os.getpid()}. Try: -o DIR, with another one"
    )
    with BatchDirectory(tmp_path):
        pass


def test_the_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time; from agent.batch.results import BatchDirectory\n"
        "with BatchDirectory(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UsageError, match=f"process {holder.pid}"), BatchDirectory(tmp_path):
            pass
        holder.kill()
    with BatchDirectory(tmp_path):
        pass


def test_an_earlier_run_directory_is_moved_to_abandoned(tmp_path: Path) -> None:
    with BatchDirectory(tmp_path / "out") as directory:
        for text in ("first", "second"):
            place = directory.run_directory("a")
            place.mkdir(parents=True)
            (place / "kept").write_text(text)
        assert not directory.run_directory("a").exists()
        left = directory.unfinished_runs([])
    assert sorted((run / "kept").read_text() for run in left) == ["first", "second"]


def fill(where: Path) -> None:
    with BatchDirectory(where) as directory:
        for number in range(1000):
            directory.add(result(f"t{number}", "x" * 1000))


def test_a_full_disk_is_a_one_line_error_and_releases_the_lock(small_disk: Path) -> None:
    where = small_disk / "out"
    with pytest.raises(TranscriptError) as caught:
        fill(where)
    assert str(caught.value) == (
        f"Cannot write the batch's directory {str(where)!r}: No space left on device. Try: df -h {small_disk}"
    )
    written = ids(where)
    assert written == [f"t{number}" for number in range(len(written))]
    (where / RESULTS).unlink()
    with BatchDirectory(where) as directory:
        directory.add(result("a"))


def test_a_torn_line_of_replaced_results_damages_no_other_line(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / REPLACED).write_text('{"id": "torn')
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("a"))
        directory.keep([], [result("a")])
    assert TaskResult.model_validate_json((tmp_path / REPLACED).read_text()) == result("a")


def test_a_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TranscriptError) as caught, BatchDirectory(tmp_path / "file" / "out"):
        pass
    where = str(tmp_path / "file" / "out")
    assert str(caught.value) == (
        f"Cannot write the batch's directory {where!r}: Not a directory. Try: ls -ld {tmp_path / 'file'}"
    )


def test_a_sparse_file_of_results_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / RESULTS).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TranscriptError, match="The last line of its results is longer than"), BatchDirectory(tmp_path):
        pass


FOREIGN = {"summary.json": "{}", "results.jsonl": '{"score": 1}\n', "tasks/a.txt": "mine", "notes.md": "mine"}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_with_files_of_others_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(FOREIGN[name])
    with pytest.raises((UsageError, TranscriptError)), BatchDirectory(tmp_path):
        pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == FOREIGN[name]


def test_a_results_file_of_another_program_that_has_no_line_end_is_not_cut_off(tmp_path: Path) -> None:
    (tmp_path / RESULTS).write_text('{"score": 1}')
    with pytest.raises(UsageError, match="is not empty and holds no batch"), BatchDirectory(tmp_path):
        pass
    assert (tmp_path / RESULTS).read_text() == '{"score": 1}'


def test_a_run_directory_is_no_place_for_a_batch(tmp_path: Path) -> None:
    (tmp_path / "transcript.jsonl").touch()
    with pytest.raises(UsageError, match="is not empty and holds a run"), BatchDirectory(tmp_path):
        pass


def test_a_batch_is_continued_where_its_hidden_file_was_not_copied(tmp_path: Path) -> None:
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("a"))
    (tmp_path / LOCK).unlink()
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("b"))
    assert ids(tmp_path) == ["a", "b"]


GOOD = result("a").model_dump_json().removesuffix("}")
FLOODED = {
    "keys": GOOD + "," + ",".join(f'"k{number}":0' for number in range(300_000)) + "}",
    "items": GOOD + ',"cost":[' + "0," * 1_000_000 + "0]}",
    "items in a known key": GOOD.replace('"42"', "[" + "0," * 1_000_000 + "0]") + "}",
    "lists": GOOD + ',"usage":' + "[]," * 500_000 + "0}",
    "levels": GOOD + ',"usage":' + "[" * 1_000_000,
    "texts": GOOD + ',"x":[' + '"",' * 1_000_000 + '""]}',
    "a text without an end": GOOD + ',"x":"' + '\\"' * 1_000_000,
}


@pytest.mark.parametrize("case", FLOODED)
def test_reading_a_line_takes_at_most_three_times_its_length_in_memory(tmp_path: Path, case: str) -> None:
    (tmp_path / RESULTS).write_text(f"{GOOD}}}\n{FLOODED[case]}\n")
    tracemalloc.start()
    try:
        with pytest.raises(TranscriptError, match="line 2, is not the result of a task"):
            ids(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(FLOODED[case]) + (1 << 20)
    finally:
        tracemalloc.stop()


def test_an_answer_may_contain_any_number_of_brackets_and_quotes(tmp_path: Path) -> None:
    with BatchDirectory(tmp_path) as directory:
        directory.add(result("a", '"{[,:]}\\' * 100_000))
    assert ids(tmp_path) == ["a"]
