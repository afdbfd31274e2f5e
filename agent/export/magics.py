"""Rewrites the syntax that IPython adds to Python as plain Python, line by line.

`!command` becomes a call of subprocess. `%time` and the like become the code that they measure. All other magics become
comments.
"""

import re

from agent.pycode import is_python

_CELL_MAGIC = re.compile(r"\s*%%(\w+)[ \t]*([^\n]*)\n?")
_ALIASES = ("cat", "cp", "ls", "mkdir", "mv", "rm", "rmdir")
_BARE = (*_ALIASES, "cd", "conda", "mamba", "pip", "uv")
"""Words that IPython reads as a command or a magic without a mark before them."""
_LINE = re.compile(
    r"^(?P<indent>[ \t]*+)(?:(?P<target>[\w, .\[\]'\"]{1,80}?)[ \t]*+=[ \t]*+)?"
    rf"(?P<mark>!!?|%(?=[a-zA-Z])|(?=(?:{'|'.join(_BARE)}) ))(?P<rest>[^\n]*)",
    re.MULTILINE,
)
_HELP = re.compile(r"^([ \t]*+)(\?{1,2}[\w.]++|[\w.]++\?{1,2})[ \t]*$", re.MULTILINE)
_MEASURING = ("time", "timeit", "prun", "capture")
_SHELLS = ("bash", "sh")


def as_python(code: str) -> str:
    """The cell with its magics replaced. Some magics have no counterpart, so the result may still be invalid Python."""
    if magic := _CELL_MAGIC.match(code):
        return _cell_magic(magic[1], magic[2].strip(), code[magic.end() :], code)
    return _lines(code)


def _lines(code: str) -> str:
    code = _HELP.sub(lambda match: f"{match[1]}pass  # {match[2]}", code)
    return _LINE.sub(_line, code)


def _cell_magic(name: str, argument: str, body: str, whole: str) -> str:
    if name in _MEASURING:
        return f"# %%{name} {argument}".rstrip() + "\n" + _lines(body)
    if name in _SHELLS:
        return f"subprocess.run([{name!r}, '-c', {body!r}])"
    if name == "writefile" and argument and not argument.startswith("-"):
        return f"with open({argument!r}, 'w') as _file:\n    _file.write({body!r})"
    return "\n".join(f"# {line}".rstrip() for line in whole.splitlines())


def _line(match: re.Match[str]) -> str:
    indent, target, rest = match["indent"], match["target"], match["rest"].strip()
    name, _, expression = rest.partition(" ")
    if match["mark"].startswith("!") or (not match["mark"] and name in _ALIASES):
        return indent + _shell(target, rest)
    if name in _MEASURING and expression and is_python(expression):
        return f"{indent}{f'{target} = ' if target else ''}{expression}  # %{name}"
    return f"{indent}{f'{target} = None' if target else 'pass'}  # %{rest}"


def _shell(target: str | None, command: str) -> str:
    """IPython replaces `{name}` by the value of the variable, so an f-string does so too."""
    text = f"f{command!r}" if "{" in command and is_python(f"f{command!r}") else repr(command)
    if target is None:
        return f"subprocess.run({text}, shell=True)"
    return f"{target} = subprocess.run({text}, shell=True, capture_output=True, text=True).stdout.splitlines()"
