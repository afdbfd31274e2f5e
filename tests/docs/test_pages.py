"""The pages tell the truth: each of their commands and programs is run, and gives what it shows."""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent import read_results
from tests.docs.pages import PAGES, ROOT, blocks, commands, inline_code, programs
from tests.docs.reference import option_names

ANSWER = "77269364466549865653073473388030061522211723"
MAX_README_BYTES = 8000
PROGRAMS = programs()


def needs_model(code: str) -> bool:
    return "Agent(" in code and "ScriptedEndpoint" not in code and not needs_server(code)


def needs_server(code: str) -> bool:
    """True for a program that test_serve.py runs."""
    return "127.0.0.1:8000" in code


def needs_docker(code: str) -> bool:
    return "Agent(" in code or "DockerLauncher" in code


def environ() -> dict[str, str]:
    """The environment of a user who has configured nothing."""
    names = ("CELLBLOCK_", "OPENAI_", "DASHSCOPE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, env=environ(), capture_output=True, text=True, check=False)


TESTED_BY = {
    "make demo": "test_the_demo_prints_the_answer",
    "make test": "test_make_test_runs_all_tests",
    "pip install '.[local]'": "tests/test_release.py",
    'cellblock run "How many rows have a price above 100?" -f prices.csv -o runs/prices': "test_the_commands_in_turn",
    "cellblock show runs/prices": "test_the_commands_in_turn",
    "cellblock verify runs/prices": "test_the_commands_in_turn",
    "cellblock export runs/prices --to html -o prices.html": "test_the_commands_in_turn",
    "cellblock replay runs/prices": "test_the_commands_in_turn",
    "cellblock batch questions.jsonl -o runs/questions": "test_an_evaluation_ends_with_the_table_that_is_shown",
    "cellblock batch questions.jsonl -o runs/questions --ray HEAD:6379": "tests/chaos/test_ray.py",
    "cellblock chat": "tests/agent/cli/test_chat.py",
    "cellblock doctor": "test_a_command_succeeds",
    "cellblock gc --dry-run": "test_a_sweep_succeeds",
    "cellblock image build": "test_a_command_succeeds",
    "cellblock image ls": "test_a_command_succeeds",
    "cellblock model pull": "test_a_command_succeeds",
    "cellblock model ls": "test_a_command_succeeds",
    "cellblock ls": "tests/agent/cli/test_runs.py",
    "cellblock model serve": "tests/agent/local/test_served.py",
    "cellblock mcp": "tests/docs/test_mcp.py",
    "cellblock serve": "tests/docs/test_serve.py",
    "cellblock serve key add alice": "tests/agent/cli/test_serving.py",
    "cellblock --version": "tests/test_cli.py",
    "cellblock --install-completion": "tests/test_cli.py",
    "cellblock --show-completion": "tests/test_cli.py",
}
"""The test of each command that a page shows: one of these here, or a file."""


def commands_of(test: str) -> list[str]:
    return [command for command, name in TESTED_BY.items() if name == test]


def test_every_command_is_run_by_a_test() -> None:
    of_servers = set(re.findall(r"^\$ (.+)$", PAGES["docs/servers.md"], re.MULTILINE))  # tests/docs/test_servers.py
    assert commands() - of_servers == set(TESTED_BY)


@pytest.mark.parametrize("test", sorted(set(TESTED_BY.values())))
def test_every_test_that_is_named_exists(test: str) -> None:
    assert test in globals() or (ROOT / test).is_file()


@pytest.mark.parametrize("language", ["python", "js", "bash"])
def test_every_program_shows_what_it_prints(language: str) -> None:
    assert len(programs(language)) == sum(len(blocks(page, language)) for page in PAGES) > 0


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_is_mentioned_exists(page: str) -> None:
    of_others = {
        *("--head", "--address"),  # ray start
        *("--enable-auto-tool-choice", "--tool-call-parser", "--model-path", "--jinja"),  # servers of models
        "--set",  # benchmarks.solve
    }
    mentioned = {option for code in inline_code(page) for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)}
    assert mentioned - of_others - option_names() == set()


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].encode()) <= MAX_README_BYTES


def claims() -> list[str]:
    section = re.findall(r"## What is different\n(.*?)\n## ", PAGES["README.md"], re.DOTALL)[0]
    return [claim for claim in re.split(r"^- ", section, flags=re.MULTILINE) if claim.strip()]


@pytest.mark.parametrize("claim", claims())
def test_every_number_of_a_claim_stands_in_a_page_that_it_links_to(claim: str) -> None:
    linked = "".join(PAGES[page] for page in re.findall(r"\]\((docs/\w+\.md)", claim))
    numbers = re.findall(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?", re.sub(r"\]\([^)]*\)|`[^`]*`", "", claim))
    assert numbers
    assert [number for number in numbers if not re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d])", linked)] == []


def test_make_test_runs_all_tests() -> None:
    shown = run(["make", "--dry-run", "--always-make", "test"], ROOT).stdout
    assert ".venv/bin/pytest" in shown
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.model
@pytest.mark.parametrize("command", commands_of("test_a_command_succeeds"))
def test_a_command_succeeds(command: str, tmp_path: Path) -> None:
    done = run(shlex.split(command), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.docker
@pytest.mark.parametrize("command", commands_of("test_a_sweep_succeeds"))
def test_a_sweep_succeeds(command: str, tmp_path: Path) -> None:
    done = run(shlex.split(command), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")  # whether there is something to remove is not for us to say


@pytest.mark.model
def test_the_commands_in_turn(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("name,price\na,50\nb,150\nc,250\n")
    asked, shown, verified, exported, replayed = commands_of("test_the_commands_in_turn")
    done = run(shlex.split(asked), tmp_path)
    assert done.returncode in (0, 1), done.stderr  # that a small model finds the answer is not promised
    assert (tmp_path / "runs" / "prices" / "transcript.jsonl").exists()
    assert "How many rows" in run(shlex.split(shown), tmp_path).stdout
    assert run(shlex.split(verified), tmp_path).stdout.startswith("runs/prices: whole: ")
    assert run(shlex.split(exported), tmp_path).stderr == ""
    assert "How many rows" in (tmp_path / "prices.html").read_text()
    again = run(shlex.split(replayed), tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.model
def test_an_evaluation_ends_with_the_table_that_is_shown(tmp_path: Path) -> None:
    (asked,) = commands_of("test_an_evaluation_ends_with_the_table_that_is_shown")
    questions = blocks("docs/batch.md", "json")[0]
    (tmp_path / "questions.jsonl").write_text(questions)
    (tmp_path / "prices.csv").write_text(blocks("docs/batch.md", "text")[0])
    done = run([*shlex.split(asked), "--max-seconds", "50"], tmp_path)
    assert done.returncode in (0, 1), done.stderr  # how many a small model gets right is not promised
    page = PAGES["docs/batch.md"]
    shown = page[page.index(f"$ {asked}") :].splitlines()
    assert done.stdout.splitlines()[0].split() == shown[1].split()
    assert len(list(read_results(tmp_path / "runs" / "questions"))) == len(questions.splitlines()) == 5


@pytest.mark.model
def test_the_demo_prints_the_answer() -> None:
    done = run(["make", "--no-print-directory", "demo"], ROOT)
    assert done.returncode == 0, done.stderr
    assert ANSWER in done.stdout
    assert ANSWER in PAGES["README.md"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.docker if needs_docker(code) else ())
        for name, (code, _) in PROGRAMS.items()
        if not needs_model(code) and not needs_server(code)
    ],
)
def test_a_program_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    code, shown = PROGRAMS[name]
    (tmp_path / "program.py").write_text(code)
    done = run([sys.executable, "program.py"], tmp_path)
    assert done.stderr == ""
    assert done.stdout.strip() == shown.strip()


@pytest.mark.model
@pytest.mark.parametrize("name", [name for name, (code, _) in PROGRAMS.items() if needs_model(code)])
def test_a_program_with_a_model_prints_the_number_that_it_shows(name: str, tmp_path: Path) -> None:
    code, shown = PROGRAMS[name]
    (tmp_path / "program.py").write_text(code)
    done = run([sys.executable, "program.py"], tmp_path)
    numbers = [re.findall(r"\d{7,}", text.replace(",", "")) for text in (done.stdout, shown)]
    assert done.stderr == ""
    assert numbers[0][:1] == numbers[1][:1]
    assert done.stdout.splitlines()[-1] == shown.splitlines()[-1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_imports_public_names_alone(name: str) -> None:
    public = {"agent", "cellblock", "agent.progress", "agent.testing", "sandbox", "sandbox.docker"}
    imports = [node for node in ast.walk(ast.parse(PROGRAMS[name][0])) if isinstance(node, ast.ImportFrom)]
    modules = {node.module or "" for node in imports}
    assert {module for module in modules if module.split(".")[0] in ("agent", "cellblock", "sandbox")} <= public
