"""Code that a script begins with, if its cells need it."""

_RUN_CELL = '''\
import ast
import asyncio

_loop = asyncio.new_event_loop()


def run_cell(source):
    """Run a cell in a loop: one that awaits at its top level or makes tasks, or that an older Python cannot read."""
    code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)

    async def run():
        result = eval(code, globals())
        if result is not None:
            await result

    _loop.run_until_complete(run())

'''
_DISPLAY = """\
try:
    from IPython.display import display
except ImportError:
    display = print
"""
_TEXT = r'''
import re
import string
import sys


class IPythonText(string.Formatter):
    """Reads `{expression}` and `$name` in a command."""

    def parse(self, text):
        for before, field, rest_of_slice, conversion in super().parse(text):
            rest, kept = 0, ""
            for found in re.finditer(r"(.*?)\$(\$?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)", before):
                if found[2].startswith("$"):
                    kept += found[1] + found[2]
                else:
                    yield kept + found[1], found[2], "", None
                    kept = ""
                rest = found.end()
            yield kept + before[rest:], f"{field}:{rest_of_slice}" if rest_of_slice else field, "", conversion

    def get_field(self, field, args, names):
        return eval(field, names), field


def ipython_text(text):
    """The text of a command, with the values that the code around it sees."""
    frame = sys._getframe(1)
    try:
        return IPythonText().vformat(text, (), {**frame.f_globals, **frame.f_locals})
    except Exception:
        return text

'''.lstrip()
_SYSTEM = '''\
import subprocess
import sys


def ipython_system(command, **options):
    """Run a command in a shell, after what was printed before it."""
    global _exit_code
    sys.stdout.flush()
    _exit_code = subprocess.run(command, shell=True, **options).returncode

'''
_GETOUTPUT = '''\
import subprocess
import sys


class IPythonLines(list):
    n, s, l = property("\\n".join), property(" ".join), property(list)


def ipython_getoutput(command):
    """The lines that a command puts out."""
    sys.stdout.flush()
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return IPythonLines(done.stdout.splitlines())

'''
_CAPTURE = '''\
import io
import sys


class ipython_capture:
    """Keeps what is printed until its end."""

    def __init__(self):
        self._before = sys.stdout, sys.stderr
        self._kept = sys.stdout, sys.stderr = io.StringIO(), io.StringIO()

    def end(self):
        sys.stdout, sys.stderr = self._before

    stdout = property(lambda self: self._kept[0].getvalue())
    stderr = property(lambda self: self._kept[1].getvalue())
    __str__ = stdout.fget

    def show(self):
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)

    __call__ = show

'''
_CD = '''\
import os

_directories = []


def ipython_cd(directory):
    """Change the working directory."""
    directory = _directories[-1] if directory == "-" else os.path.expanduser(directory or "~")
    _directories.append(os.getcwd())
    os.chdir(directory)

'''
_PWD = """\
from os import getcwd as ipython_pwd
"""
_ENV = '''\
import os


def ipython_env(name=None, value=None):
    """Set or get a variable of the environment."""
    if value is None:
        return dict(os.environ) if name is None else os.environ[name]
    os.environ[name] = value

'''
_RUN = '''\
import runpy
import shlex
import sys


def ipython_run(command):
    """Run a script, and take the names that it binds."""
    before, sys.argv = sys.argv, shlex.split(command)
    path = sys.argv[0]
    try:
        names = runpy.run_path(path if path.endswith(".py") else path + ".py", run_name="__main__")
    finally:
        sys.argv = before
    globals().update((name, value) for name, value in names.items() if not name.startswith("__"))

'''
RECORDED_ANSWERS = '''\
import asyncio as _asyncio
import builtins as _builtins
import json as _json

_answers = {}


def _key(function, arguments):
    text = _json.dumps(arguments, default=lambda one: one.item() if _builtins.hasattr(one, "item") else one.isoformat())
    return _json.dumps([function, _json.loads(text, parse_constant=lambda _: None)], sort_keys=True)


def _error(name, message):
    kind = _builtins.getattr(_builtins, name, None)
    try:
        if _builtins.issubclass(kind, Exception):
            return kind(message)
    except TypeError:  # there is no such class, or it takes more than a text
        pass
    return _builtins.type(name, (RuntimeError,), {})(message)


def record_answers(function, lines):
    """Keep the answers that the calls of a function had in the run, one call a line."""
    for line in lines.strip().splitlines():
        arguments, *answer = _json.loads(line)
        _answers.setdefault(_key(function, arguments), []).append(answer)


def recorded_answer(function, /, **arguments):
    """The answer that a call had in the run. Equal calls get theirs in the order of the run."""
    key = _key(function, {name: value for name, value in arguments.items() if value is not ...})
    if not _answers.get(key):
        raise LookupError(f"The run has no such call: {key}")
    answer = _answers[key].pop(0)
    if not answer:
        raise _StoppedError("The cell has ended.")
    value, *error = answer
    if error:
        raise _error(*error)
    return value


async def recorded_coroutine(function, /, **arguments):
    """The same for a coroutine. A call that the run stopped never comes back, as it did then."""
    try:
        return recorded_answer(function, **arguments)
    except _StoppedError:
        await _asyncio.Event().wait()


class _StoppedError(RuntimeError):
    pass

'''
"""Cells and functions may use any name of Python's own, such as `json` or `type`; these lines still find theirs."""
HEADS = {
    "record_answers(": RECORDED_ANSWERS,
    "run_cell(": _RUN_CELL,
    "ipython_text(": _TEXT,
    "ipython_system(": _SYSTEM,
    "ipython_getoutput(": _GETOUTPUT,
    "ipython_capture(": _CAPTURE,
    "ipython_cd(": _CD,
    "ipython_pwd(": _PWD,
    "ipython_env(": _ENV,
    "ipython_run(": _RUN,
    "timeit.timeit(": "import timeit\n",
    "sys.displayhook(": "import sys\n",
    "display(": _DISPLAY,
}
"""Code before the cells, by the text in the cells that needs it."""
