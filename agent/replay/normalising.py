"""Removes from a text what differs from run to run and has no meaning.

Only unmistakable patterns are replaced: an address in a repr, the notes of %time and %timeit, the times of `ls -l`, the
names of temporary files. A bare number is never touched: if it differs, that is a difference.
"""

import re

_TIME = r"(?<![\d.])[\d.]++ ?(?:ns|[µμu]s|ms|s|min|h)(?: [\d.]++ ?s)?"
_RULES = [
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"\bat 0x[0-9a-fA-F]{6,16}\b", "at 0x…"),
        (r"/tmp/ipykernel_\d+/\d+\.py", "/tmp/ipykernel/cell.py"),
        (r"/tmp/tmp[a-z0-9_]{8}(?![a-z0-9_])", "/tmp/tmp…"),
        (r"/workspace/\.cellblock/cell\d+\.", "/workspace/.cellblock/cell."),
        (rf"{_TIME} ± {_TIME} per loop \(mean ± std\. dev\. of (\d+) runs?, [\d,]+ loops? each\)", r"… per loop (\1)"),
        (r"^The slowest run took [\d.]+ times longer than the fastest\..*\n.*\n", ""),
        (r"^CPU times: .*$", "CPU times: …"),
        (rf"^Wall time: {_TIME}$", "Wall time: …"),
        (r"^([-bcdlps][-rwxsStT]{9}[.+]? +\d+ \S+ +\S+ +\d+) [A-Z][a-z]{2} [ \d]\d (?:\d\d:\d\d| \d{4})\b", r"\1 …"),
        (r"\bT_[0-9a-f]{5}(?=[_\W])", "T_…"),  # the ids of a styled frame of pandas
    )
]


def normalised(text: str, day: str = "") -> str:
    """Replace each pattern with a fixed form; also `day`, the ISO date of the output, if it is not empty."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.replace(day, "<today>") if day else text
