"""Runs cells in a real IPython, to compare what they print with what their script prints."""

import json
import subprocess
import sys
from pathlib import Path

from agent.record.events import Event
from sandbox import ErrorOutput, ExecuteResult, Execution
from tests.agent.export.runs import cell, run

_PROGRAM = """
import json, os, sys
os.environ.pop("SHELL", None)
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell

def main(codes):
    os.dup2(os.open("../" + Path.cwd().name + ".txt", os.O_CREAT | os.O_WRONLY), 1)
    shell = InteractiveShell.instance(colors="nocolor")
    shell.system = shell.system_raw
    show = type(shell.displayhook)
    show.write_output_prompt = show.finish_displayhook = lambda self: None
    show.compute_format_data = lambda self, value: ({"text/plain": repr(value)}, {})
    show.write_format_data = lambda self, data, metadata: print(data["text/plain"])
    shell.set_hook("show_in_pager", lambda *_, **__: None)
    shell._showtraceback = lambda *_: None
    ended, told = [], Path.cwd().with_suffix(".json")
    for code in codes:
        result = shell.run_cell(code, store_history=True)
        shown = result.result is not None and not code.rstrip().endswith(";")
        ended.append([result.success, shown])
        sys.stdout.flush()
    told.write_text(json.dumps(ended))

for place, codes in enumerate(json.load(sys.stdin)):
    if not (process := os.fork()):
        os.mkdir(str(place))
        os.chdir(str(place))
        try:
            main(codes)
        finally:
            os._exit(0)
    os.waitpid(process, 0)
"""


def in_ipython(cases: list[list[str]], directory: Path) -> list[tuple[str, list[Event]]]:
    """Of each list of cells, what they print, and a run of them with how each ended."""
    command = [sys.executable, "-c", _PROGRAM]
    subprocess.run(command, cwd=directory, input=json.dumps(cases), capture_output=True, text=True, check=True)
    return [_ran(codes, directory / str(place)) for place, codes in enumerate(cases)]


def _ran(codes: list[str], directory: Path) -> tuple[str, list[Event]]:
    ended = json.loads(directory.with_suffix(".json").read_text())
    turns = [cell(code, _execution(*one)) for code, one in zip(codes, ended, strict=True)]
    return directory.with_suffix(".txt").read_text(), run(*turns)


def _execution(succeeded: bool, shows: bool) -> Execution:
    if not succeeded:
        return Execution(status="error", outputs=[ErrorOutput(ename="E", evalue="e", traceback=[])])
    return Execution(status="ok", outputs=[ExecuteResult(data={"text/plain": ""}, execution_count=1)] if shows else [])
