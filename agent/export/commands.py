"""Finds the syntax that IPython adds to Python in a cell, as IPython does: by tokens, so that strings stay strings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.pycode import parsed

ALIASES = {
    **{name: name for name in ("cat", "cp", "mkdir", "mv", "rm", "rmdir")},
    **{"ls": "ls -F", "ll": "ls -F -o"},
}
"""Magics that run a command of the shell."""
_MAGICS = frozenset((
    *ALIASES,
    "alias", "alias_magic", "autoawait", "autocall", "automagic", "bookmark", "cd", "clear", "code_wrap",
    "colors", "conda", "config", "connect_info", "debug", "dhist", "dirs", "doctest_mode", "ed", "edit", "env",
    "gui", "hist", "history", "killbgscripts", "ldir", "less", "lf", "lk", "load", "load_ext", "loadpy", "logoff",
    "logon", "logstart", "logstate", "logstop", "lsmagic", "lx", "macro", "magic", "mamba", "man", "matplotlib",
    "micromamba", "more", "notebook", "page", "pastebin", "pdb", "pdef", "pdoc", "pfile", "pinfo", "pinfo2",
    "pip", "popd", "pprint", "precision", "prun", "psearch", "psource", "pushd", "pwd", "pycat", "pylab",
    "qtconsole", "quickref", "recall", "rehashx", "reload_ext", "rep", "rerun", "reset", "reset_selective", "run",
    "save", "sc", "set_env", "store", "subshell", "sx", "system", "tb", "time", "timeit", "unalias", "unload_ext",
    "uv", "who", "who_ls", "whos", "xdel", "xmode",
))  # fmt: skip
"""Words that IPython reads as a magic without a mark before them, if no variable has the name."""

_TOKEN = re.compile(
    r"""
    (?P<text>"{3}(?:[^"\\]|\\.|"(?!""))*+(?:"{3}|\Z)|'{3}(?:[^'\\]|\\.|'(?!''))*+(?:'{3}|\Z)
        |"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?|\#[^\n]*+)
    |(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<end>\n)
    |(?P<assign>=)(?!=)|[=!<>:+\-*/%&|^@]{1,2}=|\\.|[^"'\#()\[\]{}\n=!<>:+\-*/%&|^@\\]++|.
    """,
    re.VERBOSE | re.DOTALL,
)
_MARK = re.compile(r"[ \t\f]*+(?P<mark>!!|\?\?|[!?%,;/])")
_ASSIGNED = re.compile(r"[ \t]*+(?P<mark>%(?=[^\W\d])|!)")
_BARE = re.compile(r"[ \t]*+(?P<name>[^\W\d]\w*+)(?P<rest>(?![.*])[^\n]*)")
_NO_COMMAND = re.compile(r"[ \t]*(?:=|,)")
_CONTINUED = re.compile(r"(?:[^\n]*+(?<=\\)\n)*+[^\n]*+")
_HELP_END = re.compile(r"%{0,2}(?!\d)[\w*]+(?:\.(?!\d)[\w*]+|\[-?[0-9]+\])*\?\??[ \t]*$")
_HELP_CHARS = 200
_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.|In \[\d+\]:|\.{3,}:)(?: |$)", re.MULTILINE)
_FIRST_PROMPT = re.compile(r"[ \t]*(?:>>>|In \[\d+\]:)(?: |$)", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A command of IPython in a cell."""

    begin: int
    end: int
    mark: str
    """What makes it a command, such as `%` or `!`. Of a magic without a mark, `%`."""
    text: str
    """What comes after the mark, on one line."""
    is_assigned: bool


def without_prompts(code: str) -> str:
    """The code without the prompts of a console, if it starts with one."""
    return _PROMPT.sub("", code) if _FIRST_PROMPT.match(code) else code


def commands(code: str) -> Iterator[Command]:
    """The commands in the code, in order. All of the code besides them is Python."""
    place = 0
    while place < len(code):
        found, end = _command_at(code, place)
        if found:
            yield found
        place = end + 1


def automagic(code: str) -> str | None:
    """The name of the magic that a single line calls if no variable has this name; None if it calls none."""
    match = _BARE.fullmatch(code.removesuffix("\n"))
    is_magic = match and match["name"] in _MAGICS and not _NO_COMMAND.match(match["rest"])
    return match["name"] if match and is_magic else None


def _command_at(code: str, begin: int) -> tuple[Command | None, int]:
    """The command in the statement at this place, and the end of the statement or of the command."""
    if match := _MARK.match(code, begin):
        return _marked(code, begin, match, is_assigned=False)
    text_begin, end = begin, len(code)
    depth = 0
    is_assigned = False
    for token in _TOKEN.finditer(code, begin):
        kind = token.lastgroup
        depth = max(0, depth + (kind == "open") - (kind == "close"))
        if kind == "assign" and not depth and not is_assigned:
            is_assigned = True
            if match := _ASSIGNED.match(code, token.end()):
                return _marked(code, begin, match, is_assigned=True)
        elif kind == "text":
            text_begin = token.end()
        elif kind == "end" and not depth:
            end = token.start()
            break
    return _unmarked(code, begin, text_begin, end), end


def _marked(code: str, begin: int, match: re.Match[str], *, is_assigned: bool) -> tuple[Command, int]:
    """The command from its mark to the end of its line, which a backslash continues."""
    found = _CONTINUED.match(code, match.end())
    end = found.end() if found else match.end()
    texts = [token.end() for token in _TOKEN.finditer(code, begin, end) if token.lastgroup == "text"]
    if asked := _help(code, begin, max(texts, default=begin), end):
        return asked, end
    *lines, last = code[match.end() : end].split("\n")
    text = " ".join([*(line.rstrip()[:-1] for line in lines), last.rstrip()])
    return Command(match.start("mark"), end, match["mark"], text, is_assigned), end


def _unmarked(code: str, begin: int, text_begin: int, end: int) -> Command | None:
    """A question for help, or a magic without a mark; the latter only if the statement is no Python."""
    if asked := _help(code, begin, text_begin, end):
        return asked
    match = _BARE.match(code, begin, end)
    if not match or match["name"] not in _MAGICS or match["rest"][:1] not in (" ", "\t"):
        return None
    if _NO_COMMAND.match(match["rest"]) or parsed(code[match.start("name") : end]) is not None:
        return None
    return Command(match.start("name"), end, "%", code[match.start("name") : end].rstrip(), is_assigned=False)


def _help(code: str, begin: int, text_begin: int, end: int) -> Command | None:
    """The question for help that the statement is; strings and comments of the statement end at `text_begin`."""
    if not _HELP_END.search(code, max(text_begin, end - _HELP_CHARS), end):
        return None
    statement = code[begin:end]
    start = begin + len(statement) - len(statement.lstrip())
    return Command(start, end, "?", statement.strip(), is_assigned=False)
