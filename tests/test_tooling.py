"""People, hooks and CI call the same make targets, and what CONTRIBUTING says of them is so."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
MAX_CONTRIBUTING_LINES = 80


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def make_target(command: str) -> str:
    program, target = command.split()
    assert program == "make", command
    return target


def run_make(*arguments: str) -> str:
    """What make prints, also where a make has started these tests: that one hands its flags on."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    made = subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return made.stdout


def test_every_target_is_in_the_help() -> None:
    shown = run_make("help")
    assert [line.split()[0] for line in shown.splitlines()] == TARGETS
    phony = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[0]
    assert sorted(phony.replace("\\", "").split()) == sorted(TARGETS)


def test_hooks_call_make() -> None:
    hooks = [hook for repository in read(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert {make_target(hook["entry"]) for hook in hooks} == {"lint", "check"}
    assert {hook["language"] for hook in hooks} == {"system"}
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config"], cwd=ROOT, check=True, capture_output=True)


def test_the_workflow_calls_make() -> None:
    jobs = read(".github/workflows/check.yml")["jobs"].values()
    called = {make_target(step["run"]) for job in jobs for step in job["steps"] if "run" in step}
    assert called == {"check", "docs", "release-check", "test"}
    assert called <= set(TARGETS)


def test_check_is_lint_and_the_unit_tests() -> None:
    shown = run_make("--dry-run", "check")
    assert all(tool in shown for tool in ("mypy", "ruff check", "ruff format --check"))
    assert 'pytest --quiet --numprocesses auto -m "not docker and not model and not browser"' in shown


def test_contributing_is_short_and_names_targets_that_exist() -> None:
    assert len(CONTRIBUTING.splitlines()) <= MAX_CONTRIBUTING_LINES
    named = set(re.findall(r"`make ([a-z-]+)`", CONTRIBUTING))
    assert named
    assert named <= set(TARGETS)


def test_contributing_names_folders_that_exist() -> None:
    tree = re.findall(r"```text\n(.*?)```", CONTRIBUTING, re.DOTALL)[0]
    folders = [word for line in tree.splitlines() for word in line.split() if word.endswith("/")]
    assert folders
    assert [
        folder for folder in folders if not any((ROOT / top / folder).is_dir() for top in ("", "agent", "sandbox"))
    ] == []


def test_tests_in_the_background_of_a_shell_answer_ctrl_c() -> None:
    """Their programs do then, too: a program that is started ignores what its parent ignores."""
    look = "from tests import conftest; conftest.pytest_configure(); import signal; print(signal.getsignal(2).__name__)"
    shell = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-c", look]
    done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("default_int_handler\n", "")
