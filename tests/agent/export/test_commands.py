"""A script prints what its cells printed in IPython, whatever they hold of IPython's syntax."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from agent.export.commands import commands
from agent.export.formats import exported
from agent.pycode import is_python
from agent.record.events import Event, ToolRan
from tests.agent.export.ipython import in_ipython
from tests.agent.export.test_py import running

Q = '"""'
CELLS = {
    "a name of a magic is assigned": ["cat = 'tom'", "cat", "print(cat)"],
    "a name of a magic beside a magic": ["!echo a\ncat = 'tom'\nprint(cat)"],
    "names of magics in one cell": ["!true\nls = [1]\ncd, rm = 2, 3\nprint(ls, cd, rm)\nls"],
    "names of magics with more after them": ["!true\nls = {}\nls ['a'] = 1\nls [ 'a' ] += 1\nprint(ls )"],
    "an attribute and a call of such a name": ["!true\nimport time\ntime.sleep(0)\nprint(time .sleep (0))"],
    "a name of a magic that is imported": ["import time", "time.sleep(0)", "from os import system", "system"],
    "a name of a magic that a loop binds": ["for ls in (1, 2): pass", "ls"],
    "a name of a magic that a function has": ["def who():\n    return 5", "who()", "who is None"],
    "a name of a magic that a failed cell bound": ["cat = 5\n1/0", "print(1)"],
    "a magic without a mark": ["open('a b', 'w').close()", "rm 'a b'", "import os\nprint(os.path.exists('a b'))"],
    "a magic that is an expression": ["mkdir d", "ls -d d", "ls -d ."],
    "a magic without a mark that gives a value": ["import os\nmark = os.getcwd()", "print(mark == os.getcwd())"],
    "commands in a string": [f"!true\nx = {Q}\n%d\n!ls\ncat a\n?x\nx?\n{Q}\nprint(x)"],
    "commands in a call": [f"!true\nprint(f{Q}\n%d\n!ls\n{Q})"],
    "commands in other quotes": ["!true\nprint('''\n%time x\n!ls\n\"\"\"\n%cd /\n''')"],
    "commands in a raw string": ["!true\nprint(r'''\n!ls \\\n%cd \\'''\n!ls''', 1)\n!echo a"],
    "commands in a string that a backslash continues": ["!true\nprint('a\\\n!ls\\\n%cd')"],
    "an escaped quote": ["!true\nprint('\\'', '''\n!ls\\'''\n!ls\n''', \"\\\\\")\n!echo \"it's\"\nprint('it')"],
    "a quote in a comment": ["!true\nx = 1  # it's\n!echo 'a'\nprint(x)  # \"\"\"\n!echo b"],
    "an operator at the start of a line": ["!true\nx = (7\n%4)\nprint(x, [x\n/3])"],
    "an operator after a backslash": ["!true\nx = 7 \\\n%4\nprint(x)"],
    "brackets in a string": ["!true\nprint('(')\n!echo ')'\nprint([')', \"]\"])\n!echo b"],
    "a bracket in a command": ["!echo '('\nprint(1)\n!echo ']'"],
    "a quote that a command leaves open": ["!echo \\'\nprint('a')\n!echo \\\"\nprint(\"b\")"],
    "a command that is continued": ["!echo a \\\n  b \\\n  c\nprint(1)"],
    "lines that are continued": ["x = !echo a \\\n  b\nprint(x)"],
    "a command in a block": ["for i in (1, 2):\n    !echo {i}\n    if i > 1:\n        !echo $i\nprint(i)"],
    "a command in a function": ["def f(name):\n    lines = !echo {name} $name\n    return lines", "f('a')"],
    "a command at the end of a block": ["if True:\n    x = 1\n    !echo $x\nelse:\n    !echo no\nprint(2)"],
    "values": ["d = {'k': 2}\nx = 'a b'\n!echo {d['k']} {x[0:1]} $x ${x} $$x '$x' \"$x\" {x!r}"],
    "values that there are not": ["!echo $HOME_OF_NOBODY {nothing} a{b,c}\nprint(1)"],
    "a value of a list": ["names = ['a', 'b']\n!echo {' '.join(names)} {len(names) + 1}"],
    "awk": ["!echo 'a b' | awk '{print $2}'"],
    "the order of what is printed": ["print('a')\n!echo b\nprint('c')\n!echo d"],
    "lines": ["x = !printf 'a\\nb\\n'\nprint(x, x[0], x.n, x.s, len(x))"],
    "lines of an error": ["x = !echo a >&2\nprint(x)"],
    "lines that are shown": ["!!printf 'a\\nb'"],
    "lines into an item": ["d = {}\nd['a=b'] = !echo c\nprint(d)"],
    "an annotated line": ["x: list = !echo c\nprint(x)"],
    "lines in a block": ["if True: x = !echo c\nprint(x)"],
    "an alias assigned": ["!touch q", "x = %cat q\nprint(x)"],
    "the exit code": ["!exit 3\nprint(_exit_code)"],
    "a default that is no assignment": ["!true\ndef f(a=7, *, b = (1\n!= 2)):\n    return a, b\nprint(f())"],
    "a comparison at the end": ["!true\nx = 1\nx == 1"],
    "help": ["x = [1]\nx?\nx.append??\n?x\n??x\nprint(1)"],
    "no help": ["!true\nx = 'what?'\nprint('why?')  # why?\nprint(\"?\")\n!echo why ?"],
    "an assigned question": ["x = 1\ny = x?\nprint(x)"],
    "automatic calls": ["def f(*a):\n    print(a)", ",f a b", ";f a b", "/f 1 2\n,f c"],
    "a last value": ["x = 5\nx"], "a last text": ["'a'"], "a last tuple": ["1, 'b'"], "no last value": ["5;", "None"],
    "a last value of many lines": ["(1 +\n 2) # three"], "last of one line": ["a = 'é'; a; # b", "a = 'é'; a"],
    "a last value that awaits": ["import asyncio\nawait asyncio.sleep(0, 5)"],
    "the last value again": ["5", "print(_ + 1)"],
    "await and a command": ["import asyncio\nx = await asyncio.sleep(0, 5)\n!echo $x"],
    "a future import and a command": ["!echo a", "from __future__ import annotations\n!echo b"],
    "indented lines": ["  x = 1\n  print(x)", "\n\n    !echo a\n    print(2)", "\tif x:\n\t\tprint(x)"],
    "prompts": [">>> x = 1\n>>> if x:\n...     print(x)", "In [1]: print(5)"],
    "capture": ["%%capture out\nprint('a')\nx = 1", "print(x, repr(out.stdout))\nout.show()"],
    "capture without a name": ["%%capture\nprint('a')", "print('b')"],
    "a cell of shell": ["print('x')", "%%bash\nx=1\necho $x it\\'s\n", "%%sh\necho a", "%%script bash\necho b"],
    "a cell of shell with arguments": ["y = 5", "%%bash -s {y} b\necho $1 $2"],
    "a cell of lines": ["%%sx\necho a\necho b"],
    "a cell of another Python": ["%%python3\nprint(3)"],
    "timeit binds no name": ["x = 1", "%timeit -n 1 -r 1 -q x = 2", "%%timeit -n 1 -r 1 -q\nx = 3", "print(x)"],
    "the environment": ["import os\nx = %env HOME\nprint(x == os.environ['HOME'])"],
    "the directory": ["import os\nhere = %pwd\nprint(here == os.getcwd())\n!mkdir d",
                      "%%capture\n%cd -q d", "print(os.path.basename(os.getcwd()))"],
    "a script that is run": ["open('s.py', 'w').write('import sys\\nname = sys.argv[1]\\nprint(name)');",
                             "%run s.py a", "name"],
    "a cell that failed": ["!true\n1/0", "print(1)"],
}  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[Event]]]:
    """What each list of cells prints in IPython, and its run."""
    return dict(zip(CELLS, in_ipython(list(CELLS.values()), tmp_path_factory.mktemp("cells")), strict=True))


@pytest.mark.parametrize("what", CELLS)
def test_a_script_prints_what_the_cells_printed(
    what: str, ran: dict[str, tuple[str, list[Event]]], tmp_path: Path
) -> None:
    printed, events = ran[what]
    ends = [event.execution.status for event in events if isinstance(event, ToolRan) and event.execution]
    assert (set(ends) == {"ok"}) != ("failed" in what), ends
    assert running(exported(events, "py"), tmp_path) == printed


LINES = st.sampled_from([
    "x = 1\n", "!ls\n", "%time x\n", "x = %pwd\n", "x = !ls\n", "x?\n", "if x:\n    !ls\n",
    ",f a\n", "# it's\n", '"""\n', "'''\n", "x = (\n", ")\n", "%d\n", "x = 'it\\'s \\\n!ls'\n",
    "d['a=b'] = !ls\n", "f(a=7\n%4)\n", "cat = 1\n", "!ls \\\n", "r'\\'\n", "x = f'{x}'\n", '\'#\' # "\n',
    "x == 1\n", "x \\\n%4\n", '[\'(\', ")"]\n', "!echo '\n", "y?  # a\n",
])  # fmt: skip


@given(st.lists(LINES, max_size=8).map("".join))
def test_commands_are_where_ipython_finds_them(code: str) -> None:
    """Where what IPython makes of a cell is Python, it is what the commands give, each by itself."""
    reader: Any = TransformerManager()  # type: ignore[no-untyped-call]
    code = f"x = 0\n{code}x = 1\n"
    expected = reader.transform_cell(code)
    if is_python(expected):
        found = code
        for command in reversed(list(commands(code))):
            target = "x = " if command.is_assigned else ""
            written = reader.transform_cell(f"{target}{code[command.begin : command.end]}\n").rstrip("\n")
            found = found[: command.begin] + written.removeprefix(target) + found[command.end :]
        assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(expected))
