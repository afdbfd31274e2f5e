"""What a cell makes of its streams for later cells: what still leads to the output goes on, the rest is set back."""

import pytest

from sandbox import Session

pytestmark = pytest.mark.docker

TEE = """
import sys
class Tee:
    def __init__(self, *files): self.files = files
    def write(self, text):
        for file in self.files: file.write(text)
    def flush(self): pass
log = open("log", "w", buffering=1)
sys.stdout = Tee(sys.stdout, log)
"""


async def test_a_tee_goes_on_and_its_log_holds_what_was_printed_alone(session: Session) -> None:
    assert (await session.execute(TEE)).text == ""
    for text in ("a", "b"):
        assert (await session.execute(f"print('{text}')")).text == f"{text}\n"
    assert (await session.execute("open('log').read()")).text == "'a\\nb\\n'\n"


async def test_a_stream_that_nobody_sees_is_set_back_and_the_cell_is_told(session: Session) -> None:
    execution = await session.execute("import io, sys\nkept = sys.stdout = io.StringIO()\nprint('hidden')")
    assert execution.text == "Nothing of sys.stdout was seen any more: set back.\n"
    assert (await session.execute("print('seen')\nkept.getvalue()")).text == "seen\n'hidden\\n'\n"


async def test_a_timer_that_still_runs_is_stopped_and_the_cell_is_told(session: Session) -> None:
    execution = await session.execute("import signal\nx = signal.alarm(100)")
    assert execution.text == "A timer (signal.alarm, setitimer) still ran at the cell's end, and is stopped.\n"
    assert (await session.execute("signal.alarm(0)")).text == "0\n"


async def test_a_traceback_that_was_to_come_later_does_not_end_a_later_cell(session: Session) -> None:
    await session.execute("import faulthandler\nfaulthandler.dump_traceback_later(0.3, exit=True)")
    execution = await session.execute("import time\ntime.sleep(0.5)\nprint('whole')")
    assert execution.text == "whole\n"


HONEST = {
    "a semicolon at the end": "1 + 1;",
    "a semicolon and a remark": "1 + 1;  # not shown",
    "no value is shown": "get_ipython().ast_node_interactivity = 'none'",
    "a redirection": "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): print('hidden')",
    "a captured cell": "%%capture caught\nprint('hidden')",
    "a log on stdout": "import logging, sys\nlogging.basicConfig(stream=sys.stdout, force=True)",
    "a print of one's own": "import builtins\nold = print\ndef mine(*a, **k): old(*a, **k)\nbuiltins.print = mine",
    "a callback": "runs = []\nget_ipython().events.register('post_execute', lambda: runs.append(1))",
}


@pytest.mark.parametrize("use", HONEST)
async def test_honest_uses_cost_nothing(session: Session, use: str) -> None:
    await session.execute("kept = 1")
    execution = await session.execute(HONEST[use])
    assert (execution.status, execution.text, execution.state_lost) == ("ok", "", False)
    assert "x\n" in (await session.execute("print('x')")).text
    assert (await session.execute("print(kept)")).text == "1\n"


async def test_the_look_at_a_cells_end_leaves_no_trace(session: Session) -> None:
    await session.execute("runs = []\nget_ipython().events.register('pre_execute', lambda: runs.append(1))")
    await session.execute("40 + 2")
    execution = await session.execute("print(_, Out, In[-2], len(In), len(runs))")
    assert (execution.text, execution.execution_count) == ("42 {2: 42} 40 + 2 4 2\n", 3)


PRINTERS = {
    "a printer for dicts": "text.for_type(dict, lambda o, p, c: (print('SIDE'), p.text('D')))",
    "a printer for every object": "text.for_type(object, lambda o, p, c: (print('SIDE'), p.text('D')))",
    "a page for every object": "formatters['text/html'].for_type(object, lambda o: print('SIDE', file=sys.stderr))",
    "a printer of an image": "formatters['image/png'].for_type_by_name('builtins', 'dict', lambda o: print('SIDE'))",
    "a printer that fails": "text.for_type(dict, lambda o, p, c: 1 / 0)",
    "a formatter of one's own": (
        "own = shell.display_formatter.format\n"
        "shell.display_formatter.format = lambda *a, **k: (print('SIDE'), own(*a, **k))[1]"
    ),
}


@pytest.mark.parametrize("kind", PRINTERS)
async def test_what_a_cell_has_made_print_values_is_not_heard_at_a_cells_end(session: Session, kind: str) -> None:
    prelude = "import sys; shell = get_ipython(); formatters = shell.display_formatter.formatters"
    await session.execute(f"{prelude}\ntext = formatters['text/plain']")
    for code in (f"{PRINTERS[kind]};", "x = 1"):
        said = await session.execute(code)
        assert (said.text, said.status, said.state_lost) == ("", "ok", False)


TRACEBACKS = {
    "of other types": "[1, None, {}]",
    "of one text": "'one text'",
    "of nothing": "None",
    "of a number": "7",
    "of no JSON": "[object()]",
    "of bytes": "[b'x']",
    "of lists": "[['a'], ['b']]",
    "without end": "itertools.repeat('x', 1000)",
    "that fails": "1 / 0",
    "that is interrupted": "(_ for _ in ()).throw(KeyboardInterrupt)",
}


@pytest.mark.parametrize("kind", TRACEBACKS)
async def test_a_traceback_of_ones_own_costs_its_cell_alone(session: Session, kind: str) -> None:
    await session.execute(
        "import itertools; kept = 1\n"
        f"class Odd(Exception):\n    def _render_traceback_(self): return {TRACEBACKS[kind]}"
    )
    execution = await session.execute("raise Odd('why')")
    assert (execution.status, execution.cause, execution.state_lost) == ("error", None, False)
    assert execution.outputs
    assert (await session.execute("kept")).text == "1\n"


async def test_a_thread_that_prints_all_the_time_loses_no_line_to_the_look_at_a_cells_end(session: Session) -> None:
    await session.execute("""
import sys, threading, time
class Tee:
    def write(self, text): sys.__stdout__.write(text)
    def flush(self): pass
sys.stdout = Tee()
said, go = [], threading.Event()
def talk():
    go.wait()
    for n in range(300):
        said.append(n); sys.__stdout__.write(f"<{n}>"); time.sleep(0.0005)
thread = threading.Thread(target=talk); thread.start()
""")
    execution = await session.execute("go.set(); thread.join()")
    assert execution.text == "".join(f"<{n}>" for n in range(300))
