"""The README tells the truth: each of its commands and programs is run, and gives what it shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent import read_results
from tests.policy_table import README as README_PATH
from tests.policy_table import with_table

ROOT = Path(__file__).parents[1]
README = README_PATH.read_text()
ANSWER = "77269364466549865653073473388030061522211723"
COMMANDS = re.findall(r"^\$ (.+)$", README, re.MULTILINE)
PROGRAMS = re.findall(r"```python\n(.*?)```\s*```text\n(.*?)```", README, re.DOTALL)


def needs_model(code: str) -> bool:
    return "Agent" in code and "ScriptedEndpoint" not in code


def environ() -> dict[str, str]:
    """The environment of a user who has configured nothing."""
    names = ("CELLBLOCK_", "OPENAI_", "DASHSCOPE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, env=environ(), capture_output=True, text=True, check=False)


RUN_HERE = {
    "make demo": "test_the_demo_prints_the_answer",
    "make test": "this very run: the target calls pytest",
    'cellblock run "How many rows have a price above 100?" -f prices.csv -o runs/prices': "test_the_commands_in_turn",
    "cellblock show runs/prices": "test_the_commands_in_turn",
    "cellblock verify runs/prices": "test_the_commands_in_turn",
    "cellblock export runs/prices --to html -o prices.html": "test_the_commands_in_turn",
    "cellblock replay runs/prices": "test_the_commands_in_turn",
    "cellblock batch questions.jsonl -o runs/questions": "test_an_evaluation_ends_with_the_table_that_is_shown",
    "cellblock batch questions.jsonl -o runs/questions --ray HEAD:6379": "tests/chaos/test_ray.py, on a real cluster",
    "cellblock chat": "tests/agent/cli/test_chat.py, in a terminal",
    "cellblock doctor": "test_a_command_succeeds",
    "cellblock gc --dry-run": "test_a_sweep_succeeds",
    "cellblock image build": "test_a_command_succeeds",
    "cellblock image ls": "test_a_command_succeeds",
    "cellblock model pull": "test_a_command_succeeds",
    "cellblock model ls": "test_a_command_succeeds",
}


def test_every_command_is_run_by_a_test_here() -> None:
    assert set(COMMANDS) == set(RUN_HERE)


def test_the_table_of_sandbox_options_is_what_the_code_says() -> None:
    assert with_table(README) == README, "make readme"


def test_make_test_runs_the_tests() -> None:
    shown = run(["make", "--dry-run", "--always-make", "test"], ROOT).stdout
    assert ".venv/bin/pytest" in shown
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.model
@pytest.mark.parametrize(
    "command", [command for command, test in RUN_HERE.items() if test == "test_a_command_succeeds"]
)
def test_a_command_succeeds(command: str, tmp_path: Path) -> None:
    done = run(shlex.split(command), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.docker
def test_a_sweep_succeeds(tmp_path: Path) -> None:
    command = next(command for command, test in RUN_HERE.items() if test == "test_a_sweep_succeeds")
    done = run(shlex.split(command), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")  # with nothing to remove, there is nothing to say


@pytest.mark.model
def test_the_commands_in_turn(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("name,price\na,50\nb,150\nc,250\n")
    asked, shown, verified, exported, replayed = [
        command for command, test in RUN_HERE.items() if test == "test_the_commands_in_turn"
    ]
    done = run(shlex.split(asked), tmp_path)
    assert done.returncode in (0, 1), done.stderr  # whether a small model finds the answer is not the README's promise
    assert (tmp_path / "runs" / "prices" / "transcript.jsonl").exists()
    assert "How many rows" in run(shlex.split(shown), tmp_path).stdout
    assert run(shlex.split(verified), tmp_path).stdout.startswith("runs/prices: whole: ")
    assert run(shlex.split(exported), tmp_path).stderr == ""
    assert "How many rows" in (tmp_path / "prices.html").read_text()
    again = run(shlex.split(replayed), tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.model
def test_an_evaluation_ends_with_the_table_that_is_shown(tmp_path: Path) -> None:
    name = "test_an_evaluation_ends_with_the_table_that_is_shown"
    asked = next(command for command, test in RUN_HERE.items() if test == name)
    questions = re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0]
    (tmp_path / "questions.jsonl").write_text(questions)
    (tmp_path / "prices.csv").write_text(re.findall(r"```csv\n(.*?)```", README, re.DOTALL)[0])
    done = run([*shlex.split(asked), "--max-seconds", "50"], tmp_path)
    assert done.returncode in (0, 1), done.stderr  # how many a small model gets right is not the README's promise
    shown = README[README.index(f"$ {asked}") :].splitlines()
    assert done.stdout.splitlines()[0].split() == shown[1].split()
    assert len(list(read_results(tmp_path / "runs" / "questions"))) == len(questions.splitlines()) == 5


@pytest.mark.model
def test_the_demo_prints_the_answer() -> None:
    done = run(["make", "--no-print-directory", "demo"], ROOT)
    assert done.returncode == 0, done.stderr
    assert ANSWER in done.stdout
    assert ANSWER in README


@pytest.mark.docker
@pytest.mark.parametrize("number", [number for number, (code, _) in enumerate(PROGRAMS) if not needs_model(code)])
def test_a_program_prints_what_it_shows(number: int, tmp_path: Path) -> None:
    code, shown = PROGRAMS[number]
    (tmp_path / "program.py").write_text(code)
    done = run([sys.executable, "program.py"], tmp_path)
    assert done.stderr == ""
    assert done.stdout.strip() == shown.strip()


@pytest.mark.model
@pytest.mark.parametrize("number", [number for number, (code, _) in enumerate(PROGRAMS) if needs_model(code)])
def test_a_program_with_a_model_prints_what_it_shows_but_for_the_words(number: int, tmp_path: Path) -> None:
    code, shown = PROGRAMS[number]
    (tmp_path / "program.py").write_text(code)
    done = run([sys.executable, "program.py"], tmp_path)
    numbers = [re.findall(r"\d{7,}", text.replace(",", "")) for text in (done.stdout, shown)]
    assert done.stderr == ""
    assert numbers[0][:1] == numbers[1][:1]
    assert done.stdout.splitlines()[-1] == shown.splitlines()[-1]
