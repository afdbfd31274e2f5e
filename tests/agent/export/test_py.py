"""The script: what it says about the run, and that it runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.export.formats import exported
from agent.export.py import is_valid
from agent.record.events import Event
from sandbox import ErrorOutput, Execution
from tests.agent.export.runs import cell, run

OK = Execution(status="ok")


def script_of(*codes: str) -> str:
    return exported(run(*(cell(code, OK) for code in codes)), "py")


def running(script: str, directory: Path) -> str:
    """What the script prints."""
    (directory / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PRINTS = {
    "plain cells": (["x = 6", "print(x * 7)"], "42\n"),
    "a line magic": (["%matplotlib inline\nif True:\n    %autoreload 2\nprint(1)"], "1\n"),
    "a measured line": (["%time x = 5\nprint(x)"], "5\n"),
    "a measured cell": (["%%time\nx = 5\nprint(x)"], "5\n"),
    "a shell command": (["!echo one"], "one\n"),
    "a shell command with a value": (["x = 'two'\n!echo {x}"], "two\n"),
    "a shell command's lines": (["lines = !printf 'a\\nb\\n'\nprint(lines)"], "['a', 'b']\n"),
    "a cell of shell": (["%%bash\necho one\necho two"], "one\ntwo\n"),
    "a written file": (["%%writefile a.txt\none\n", "print(open('a.txt').read())"], "one\n\n"),
    "another language": (["%%javascript\nalert(1)", "print(1)"], "1\n"),
    "magics without a mark": (["pip install nothing\nmkdir a\nprint(1)", "import os\nprint(os.listdir('a'))"],
                              "1\n[]\n"),
    "help": (["print?\n?print\nprint(1)"], "1\n"),
    "a display": (["display(5)"], "5\n"),
    "a percent sign that is no magic": (["print('''\n%time x\n!ls\n''', 7 %3)"], "\n%time x\n!ls\n 1\n"),
    "await": (["import asyncio\nx = await asyncio.sleep(0, 5)", "print(x)"], "5\n"),
    "await over cells": (["import asyncio\nt = asyncio.ensure_future(asyncio.sleep(0, 5))\nawait asyncio.sleep(0)",
                          "print(await t)"], "5\n"),
    "a task of an earlier cell": (["import asyncio\nt = asyncio.create_task(asyncio.sleep(0, 5))", "print(await t)"],
                                  "5\n"),
    "a function that makes a task": (["import asyncio\nasync def f():\n    t = asyncio.create_task(asyncio.sleep(0, 5))"
                                      "\n    return await t\nprint(asyncio.run(f()))"], "5\n"),
    "a future import": (["x = 1", "from __future__ import annotations\nprint(x)"], "1\n"),
    "cells that are only valid apart": (["x = 1", "global x\nprint(x)"], "1\n"),
    "quotes of all kinds": (["await_me = '''a'''\nawait __import__('asyncio').sleep(0)\nprint(await_me)"], "a\n"),
    "a comment that names an encoding": (["# coding: latin-1\nprint('é')"], "é\n"),
    "windows newlines": (["x = 1\r\nprint(x)\r\n"], "1\n"),
}  # fmt: skip


@pytest.mark.parametrize("what", PRINTS)
def test_the_script_does_what_the_cells_did(what: str, tmp_path: Path) -> None:
    codes, printed = PRINTS[what]
    script = script_of(*codes)
    if what == "a display":  # IPython's own display shows the same
        script = script.replace("from IPython.display import display", "raise ImportError")
    assert running(script, tmp_path) == printed


def test_cells_that_failed_are_comments(tmp_path: Path) -> None:
    failed = Execution(status="error", outputs=[ErrorOutput(ename="ValueError", evalue="no\nmore", traceback=[])])
    died = Execution(status="died", cause="signal SIGSEGV")
    turns: list[list[Event]] = [cell("bad()\nworse()", failed), cell("os.abort()", died), cell("never()", None)]
    script = exported(run(*turns, cell("print(1)", OK)), "py")
    assert "# ── Cell 1, failed: ValueError: no\n# bad()\n# worse()\n" in script
    assert "# ── Cell 2, signal SIGSEGV\n# os.abort()\n" in script
    assert "# ── Cell 3, not run\n# never()\n" in script
    assert running(script, tmp_path) == "1\n"


def test_invalid_python_is_written_as_a_string() -> None:
    script = script_of("x = = 1")
    assert "run_cell(r'''\nx = = 1\n''')" in script
    assert is_valid(script)


def test_deeply_nested_magics_give_valid_python() -> None:
    assert is_valid(script_of("%%time\n" * 7_000))


def test_a_question_cannot_leave_its_comment() -> None:
    events = run(cell("1", OK), task="One\nimport os\r\nos.abort()\x0cx\u2028y\x85z")
    script = exported(events, "py")
    assert [line for line in script.splitlines() if not line.startswith("#") and line.strip()] == ["1"]


HOSTILE = [
    "!echo (\n",
    "!echo '''\n",
    "%time ",
    "%time x = ",
    "%%time\n",
    "%%capture\n",
    "a?\n",
    "a.",
    "/",
    "\\\n",
    "?",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_commands_alone_gives_valid_python(text: str) -> None:
    assert is_valid(script_of(text * (49_000 // len(text))))
