"""A traceback cut to what the code's author can act on: the cell's own lines and the error.

IPython writes a traceback as parts, one for each exception of a chain, and a part as frames, each a heading
(`Cell In[1], line 2`, `File /…/x.py:3, in f(x)`) and some lines around the place, all with their numbers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from agent.prompting.words import OBSERVATION
from agent.text import plain
from sandbox import ErrorOutput

_RULE = re.compile(r"-{20,}")
_TITLE = re.compile(r"\S.*\bTraceback \(most recent call last\)$")
_HEADING = re.compile(r"(?:Cell In\[|File )")
_OWN = re.compile(r"(?:Cell In\[|File (?:/workspace|~)/)")
_FRAME_LINE = re.compile(r"\s*(?:-*>\s*\d+|\d+|\(\.\.\.\))(?:\s|$)|\s*$")
_SOURCELESS = re.compile(r"^File [^\n]*\n-*> *\d+ 'Could not get source, [^\n]*'\n+", re.MULTILINE)
_LINK = re.compile(r"The above exception was the direct cause|During handling of the above exception")
_TOLD_OF_TB = "An exception has occurred, use %tb to see the full traceback."


@dataclass
class _Part:
    """One exception of a chain."""

    link: str = ""
    """The sentence that links it to the exception before."""
    frames: list[str] = field(default_factory=list)
    """The frames of the code itself."""
    message: list[str] = field(default_factory=list)


def shorten(error: ErrorOutput) -> str:
    """The traceback without colours and library frames; a cause that only libraries saw is its message alone."""
    text = plain("\n".join(error.traceback)).strip("\n").rstrip()
    message = plain(f"{error.ename}: {error.evalue}").strip()
    last_line = text.rpartition("\n")[2]
    if not text.endswith(message) and error.ename and last_line.startswith(f"{error.ename}:"):
        message = ""  # a syntax error is told in other words
    parts = list(_parts(text.removesuffix(message).split("\n")))
    last = parts.pop()
    causes = [part for part in parts if part.frames or "\n".join(part.message) != message]
    last.message = [line for line in (*last.message, message) if line]
    last.link = last.link if causes else ""
    return "\n".join(line for part in (*causes, last) for line in _lines(part))


def without_sourceless(text: str) -> str:
    """A traceback without the frames of compiled code, which show no line of it."""
    return _SOURCELESS.sub("", plain(text))


def _parts(lines: list[str]) -> Iterator[_Part]:
    part, frame = _Part(), list[str]()
    is_own = False
    for line in [*lines, ""]:
        if frame and not _HEADING.match(line) and _FRAME_LINE.match(line):
            frame.append(line)
            continue
        if is_own and frame:
            part.frames.append("\n".join(frame).rstrip())
        frame = [line] if _HEADING.match(line) else []
        is_own = _OWN.match(line) is not None
        if _LINK.match(line):
            yield part
            part = _Part(link=line)
        elif not frame and line.strip() and not _is_decoration(line):
            part.message.append(line)
    if frame and is_own:
        part.frames.append("\n".join(frame).rstrip())
    yield part


def _is_decoration(line: str) -> bool:
    return bool(_RULE.match(line) or _TITLE.match(line)) or line == _TOLD_OF_TB


def _lines(part: _Part) -> Iterator[str]:
    if part.link:
        yield part.link
    for frame, same in groupby(part.frames):
        count = len(list(same))
        yield frame
        if count > 1:
            yield OBSERVATION["repeated_frame"].format(count=count - 1)
    yield from part.message
