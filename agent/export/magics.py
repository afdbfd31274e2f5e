"""Writes the commands of IPython in a cell as plain Python.

A `!command` and a magic that has a counterpart become calls of the functions in `agent.export.script_heads`. `%time`
and the like become the code that they measure. All other magics become comments.
"""

import re
from collections.abc import Callable, Iterator
from textwrap import dedent

from agent.export.commands import ALIASES, Command, commands
from agent.pycode import is_python

_CELL_MAGIC = re.compile(r"%%(\S+)[ \t]*([^\n]*)\n?")
_BLANK_LINES = re.compile(r"\A(?:[ \t\f]*+\n)++")
_MEASURING = ("time", "prun")
_MEASURED = re.compile(r"(?:%?(?:time|prun)[ \t]+)++")
_TIMEIT = re.compile(r"(?:-(?:[nrp] ?\d+|[tcqov]+)(?:[ \t]+|$))*+(.*)", re.DOTALL)
_SHELLS = ("bash", "sh", "perl", "ruby", "python", "python2", "python3", "pypy")
_ENV = re.compile(r"([^\s=]+)(?:[ \t]*=[ \t]*|[ \t]+)(.+)")
_VALUES = re.compile(r"[{$]")


def as_python(code: str) -> str:
    """The cell with its commands replaced. Some have no counterpart, so the result may still be invalid Python."""
    code = dedent(_BLANK_LINES.sub("", code, count=1))
    place, before, after = 0, "", ""
    while match := _CELL_MAGIC.match(code, place):
        place = match.end()
        name, argument = match[1], match[2].strip()
        if name == "capture":
            target = _captured_as(argument)
            before += f"{target} = ipython_capture()\n"
            after = f"\n{target}.end()\n{after}"
        elif name in _MEASURING:
            before += f"# %%{name} {argument}".rstrip() + "\n"
        else:
            return before + _cell_magic(name, argument, code[place:], code[match.start() :]) + after
    return before + "".join(_parts(code[place:])) + after


def _parts(code: str) -> Iterator[str]:
    place = 0
    for command in commands(code):
        yield code[place : command.begin]
        yield _command(command)
        place = command.end
    yield code[place:]


def _captured_as(argument: str) -> str:
    names = [word for word in argument.split() if word.isidentifier()]
    return names[0] if names else "ipython_captured"


def _cell_magic(name: str, argument: str, body: str, whole: str) -> str:
    if name in _SHELLS or (name == "script" and argument):
        program = "python3" if name == "python" else name
        command = argument if name == "script" else f"{program} {argument}".rstrip()
        return f"ipython_system({_text(command)}, input={body!r}, text=True)"
    if name in ("!", "sx", "system"):
        return f"ipython_getoutput({_text(body)})"
    if name in ("writefile", "file") and argument:
        mode = "a" if argument.startswith(("-a ", "--append ")) else "w"
        path = _unquoted(argument.partition(" ")[2].strip() if mode == "a" else argument)
        return f"with open({_text(path)}, {mode!r}, encoding='utf-8') as _file:\n    _file.write({body!r})"
    if name == "timeit" and (measured := _timeit(body, argument)):
        return measured
    return "\n".join(f"# {line}".rstrip() for line in whole.splitlines())


def _command(command: Command) -> str:
    """The Python in the place of a command. What has no counterpart is None."""
    text = command.text
    match command.mark:
        case "!" if command.is_assigned:
            return f"ipython_getoutput({_text(text)})"
        case "!":
            return f"ipython_system({_text(text)})"
        case "!!":
            return f"ipython_getoutput({_text(text)})"
        case "%":
            python = _line_magic(text.strip(), is_assigned=command.is_assigned)
            shown = f"%{text.strip()}"
        case "," | ";" | "/":
            python, shown = _called(command.mark, text), f"{command.mark}{text}"
        case _:
            python, shown = None, text
    nothing = "None" if command.is_assigned else "pass"
    return f"{python or nothing}  # {' '.join(shown.split())}"


def _called(mark: str, text: str) -> str | None:
    """The call that IPython makes of `,f a b`, `;f a b` and `/f a b`."""
    name, _, arguments = text.partition(" ")
    quoted = {",": ", ".join(map(repr, arguments.split())), ";": repr(arguments), "/": ", ".join(arguments.split())}
    call = f"{name}({quoted[mark]})"
    return call if is_python(call) else None


def _line_magic(text: str, *, is_assigned: bool) -> str | None:
    if measured := _MEASURED.match(text):
        statement = text[measured.end() :]
        python = statement if _MEASURED.search(statement) else "".join(_parts(statement))
        return python if is_python(f"x = {python}" if is_assigned else python) else None
    name, _, argument = text.partition(" ")
    argument = argument.strip()
    if name in ALIASES:
        return f"ipython_system({_text(f'{ALIASES[name]} {argument}'.rstrip())})"
    return _COUNTERPARTS[name](argument) if name in _COUNTERPARTS else None


def _cd(argument: str) -> str:
    return f"ipython_cd({_text(_unquoted(argument.removeprefix('-q').strip()))})"


def _run(argument: str) -> str | None:
    return f"ipython_run({_text(argument)})" if argument and not argument.startswith("-") else None


def _env(argument: str) -> str:
    if match := _ENV.fullmatch(argument):
        return f"ipython_env({match[1]!r}, {_text(match[2].strip())})"
    return f"ipython_env({argument!r})" if argument else "ipython_env()"


def _timeit(statement: str, first_line: str = "") -> str | None:
    """A measurement of one run. As in IPython, it binds no names."""
    options = _TIMEIT.fullmatch(first_line or statement)
    rest = options[1].strip() if options else ""
    setup, measured = (rest, statement) if first_line or "\n" in statement else ("", rest)
    if not is_python(measured) or not measured.strip() or not is_python(setup):
        return None
    with_setup = f", setup={setup!r}" if setup else ""
    return f"timeit.timeit({measured.strip()!r}{with_setup}, number=1, globals=globals())"


def _unquoted(path: str) -> str:
    return path[1:-1] if len(path) > 1 and path[0] == path[-1] and path[0] in "'\"" else path


def _text(text: str) -> str:
    """The argument of a command. IPython replaces `{expression}` and `$name` in it by their values."""
    return f"ipython_text({text!r})" if _VALUES.search(text) else repr(text)


_COUNTERPARTS: dict[str, Callable[[str], str | None]] = {
    "cd": _cd,
    "env": _env,
    "pwd": lambda _: "ipython_pwd()",
    "run": _run,
    "set_env": _env,
    "sx": lambda argument: f"ipython_getoutput({_text(argument)})",
    "system": lambda argument: f"ipython_getoutput({_text(argument)})",
    "timeit": _timeit,
}
"""The Python of the magics that have a counterpart, by name."""
