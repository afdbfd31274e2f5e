"""Whether an answer slips where it copies what the program printed.

A date, a short number or a sentence may be told in other words. A long number, or a word that no language has, such as
a hash or a text that was turned around, can only be given as it is.
"""

import re

from sandbox import Execution

MAX_CHARS = 200
ALIKE = 0.75
"""The share of its length from which a word of the answer stands in the output's place."""
_EXACT = re.compile(r"-?\d{10,}|-?\d+\.\d{17,}|[A-Za-z0-9+/]{10,}={0,2}")
_GROUPS = re.compile(r"(?<=\d)[\s,_'\u2019\\]+(?=\d)")
_BETWEEN = re.compile(r"[\s,_'\u2019`*\\$(){}]")


def sole_output(execution: Execution) -> str | None:
    """The one word or number that a cell put out, where an answer has to give it as it is; else None."""
    text = execution.text.strip()
    return text if len(text) <= MAX_CHARS and _EXACT.fullmatch(text) else None


def slips(answer: str, output: str) -> bool:
    """Whether the answer gives something like the output in its place; digits may be grouped, and it may be set."""
    plain = _BETWEEN.sub("", answer).casefold()
    if output.casefold() in plain:
        return False
    words = re.findall(r"[\w.+/=-]+", _GROUPS.sub("", answer))
    has_digits = any(map(str.isdigit, output))
    alike = [word for word in words if not has_digits or any(map(str.isdigit, word))]
    return any(len(word) > ALIKE * len(output) for word in alike)
