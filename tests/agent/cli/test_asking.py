"""`cellblock run`: what it says of an answer's support and type, and its exit codes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.cli.asking import _is_to_confirm_by_default
from agent.endpoint.config import Endpoint, LocalModel
from agent.record.transcript import read
from agent.testing import Reply, ScriptedEndpoint, calls, says
from tests.test_cli import cellblock

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environ")]
PRINT_42 = calls("print(6 * 7)")


def run(tmp_path: Path, script: Sequence[Reply], *options: str, task: str = "What is it?") -> Any:
    with ScriptedEndpoint(list(script)) as endpoint:
        target = ("--model", "m", "--base-url", endpoint.base_url, "-o", str(tmp_path / "run"))
        return cellblock("run", task, *target, *options, environ={"CELLBLOCK_API_KEY": "k"})


def test_what_comes_from_nowhere_is_named_after_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, [PRINT_42, says("It is 42, and 3 errors.")])
    assert (done.returncode, done.stdout) == (0, "It is 42, and 3 errors.\n")
    assert 'not computed: "3" is in no output' in done.stderr.splitlines()
    shown = cellblock("show", str(tmp_path / "run")).stdout
    assert shown.rstrip().endswith('It is 42, and 3 errors.\n42: cell 1\nnot computed: "3" is in no output')


def test_an_answer_of_outputs_alone_has_no_such_line(tmp_path: Path) -> None:
    done = run(tmp_path, [PRINT_42, says("It is 42.")])
    assert "not computed" not in done.stderr


def test_an_answer_that_a_second_run_confirms_is_said_to_be(tmp_path: Path) -> None:
    done = run(tmp_path, [PRINT_42, says("It is 42."), PRINT_42, says("42")], "--confirm")
    assert "confirmed: a second run, run-second, has the same values" in done.stderr.splitlines()
    assert "It is 42.\nasking a second time, to compare" in done.stderr


def test_an_answer_that_a_second_run_does_not_have_is_not_confirmed(tmp_path: Path) -> None:
    done = run(tmp_path, [PRINT_42, says("It is 42."), calls("print(43)"), says("43")], "--confirm")
    line = 'not confirmed: a second run has no "42"; it answers: "43"'
    assert line in done.stderr.splitlines()
    assert cellblock("show", str(tmp_path / "run")).stdout.rstrip().endswith(line)


@pytest.mark.parametrize(
    ("model", "files", "is_confirmed"),
    [
        (LocalModel(name="qwen2.5-coder-1.5b"), [Path("a.csv")], True),
        (LocalModel(name="qwen2.5-coder-1.5b"), [], False),
        (Endpoint(base_url="http://127.0.0.1:9/v1", model="m"), [Path("a.csv")], False),
    ],
)
def test_only_the_built_in_model_is_asked_twice_of_files_by_default(
    model: LocalModel | Endpoint, files: list[Path], is_confirmed: bool
) -> None:
    assert _is_to_confirm_by_default(Agent(model=model), files) is is_confirmed


def test_support_that_is_required_is_asked_for_once_and_its_lack_is_no_success(tmp_path: Path) -> None:
    done = run(tmp_path, [PRINT_42, says("It is 43."), says("It is 43.")], "--require-support", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["outcome"]) == (1, "unsupported")
    assert result["support"] == [{"kind": "number", "text": "43", "source": None, "seq": None, "cell": None}]
    assert ": unsupported, " in done.stderr


def test_support_can_be_required_beside_any_checks(tmp_path: Path) -> None:
    done = run(tmp_path, [PRINT_42, says("43"), says("42")], "--require-support", "--review", "none")
    assert (done.returncode, done.stdout) == (0, "42\n")
    assert read(tmp_path / "run").started.settings.review == ["support"]


def test_a_question_of_which_nothing_succeeded_is_no_success(tmp_path: Path) -> None:
    names = says("You need to check the column names.")
    done = run(tmp_path, [calls("1 / 0"), names, names, says("It failed: division by zero.")])
    assert (done.returncode, done.stdout) == (1, "It failed: division by zero.\n")
    assert ": failed, " in done.stderr


def test_an_answer_of_a_schema_is_printed_as_json(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object", "required": ["mean"]}')
    script = [PRINT_42, says("42"), says('```json\n{"mean":\n42}\n```')]
    done = run(tmp_path, script, "--answer-schema", str(tmp_path / "schema.json"))
    assert (done.returncode, done.stdout) == (0, '{"mean": 42}\n')


def test_an_answer_that_never_fits_its_schema_says_why(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "number"}')
    script = [PRINT_42, says("forty"), says("forty"), says('"forty"')]
    done = run(tmp_path, script, "--answer-schema", str(tmp_path / "schema.json"))
    assert (done.returncode, done.stdout) == (1, '"forty"\n')
    assert "The answer does not fit its schema: 'forty' is not of type 'number'" in done.stderr.splitlines()


def test_a_bad_schema_is_one_line_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": 5}')
    done = run(tmp_path, [], "--answer-schema", str(tmp_path / "schema.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "The schema is not valid at 'type'" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_batch_has_typed_answers_and_their_support(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"id": "a", "task": "What?", "answer_schema": {"type": "number"}}) + "\n")
    with ScriptedEndpoint([PRINT_42, says("It is 42."), says("42")]) as endpoint:
        target = ("--model", "m", "--base-url", endpoint.base_url, "-o", str(tmp_path / "out"), "-j", "1")
        done = cellblock("batch", str(tasks), *target, environ={"CELLBLOCK_API_KEY": "k"})
    assert done.returncode == 0, done.stderr
    [result] = map(json.loads, (tmp_path / "out" / "results.jsonl").read_text().splitlines())
    assert (result["value"], [claim["cell"] for claim in result["support"]]) == (42, [1])


def test_a_file_that_was_made_is_shown_with_its_first_lines_here_and_on_the_page(tmp_path: Path) -> None:
    write = calls(
        "open('monthly.csv', 'w').write('month,total\\n1,<b>\\n' + '2,3\\n' * 9)\nopen('a.bin', 'wb').write(b'\\0')"
    )
    done = run(tmp_path, [write, says("It is in monthly.csv.")], "--json", task="Save it as monthly.csv")
    lines = done.stderr.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith(f"{tmp_path}/run/files/monthly.csv "))
    assert lines[place + 1 : place + 6] == ["    month,total", "    1,<b>", "    2,3", "    2,3", "    2,3"]
    heads = {one["name"]: one["head"] for one in json.loads(done.stdout)["artifacts"]}
    assert heads == {"a.bin": "", "monthly.csv": "month,total\n1,<b>\n2,3\n2,3\n2,3"}
    page = cellblock("export", str(tmp_path / "run"), "--to", "html").stdout
    assert "month,total\n1,&lt;b&gt;\n2,3" in page
