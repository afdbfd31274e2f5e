"""Whether an answer gives what the program printed, where that can only be given as it is.

A date, a short number or a sentence may be told in other words. A long number, or a word that no language has, such as
a hash or a text that was turned around, cannot; and models slip when they copy it.
"""

import re

from sandbox import Execution

MAX_CHARS = 200
_EXACT = re.compile(r"-?\d{10,}|-?\d+\.\d{17,}|[A-Za-z0-9+/]{10,}={0,2}")
_BETWEEN = re.compile(r"[\s,_'\u2019`*\\$(){}]")


def sole_output(execution: Execution) -> str | None:
    """The one word or number that a cell put out, where an answer has to give it as it is; else None."""
    text = execution.text.strip()
    return text if len(text) <= MAX_CHARS and _EXACT.fullmatch(text) else None


def gives(answer: str, output: str) -> bool:
    """Whether the answer has the output in it, however its digits are grouped or it is set."""
    return output.casefold() in _BETWEEN.sub("", answer).casefold()
