"""Finds an answer that contains a damaged copy of what the program printed.

Only the characters are compared, so the language of the answer makes no difference. Another notation of the same number
(rounded, grouped, in per cent, with a decimal comma) is no damage. An answer that does not repeat the output at all is
not judged.
"""

import ast
import re
from itertools import pairwise

from agent.pycode import parsed
from sandbox import Execution

MAX_CHARS = 200
MIN_DIGITS = 4
MIN_LONG = 8
"""From this length on, a text that differs in one or two characters is a copy and no coincidence."""
MAX_DISTANCE = 3
"""No rule asks whether two texts differ in more characters than this."""
MIN_LISTED = 3

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_WORD = re.compile(r"[^\W_](?:[\w+/=-]*[\w+/=])?")
_ASCII_WORD = re.compile(_WORD.pattern, re.ASCII)
"""Chinese writes no space before such a word."""
_SAID_NUMBER = re.compile(r"\d(?:[.,'_\u2019\\{}\u4e07\u4ebf]*\d|\s(?=\d{3}(?!\d))\d)*", re.ASCII)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def sole_output(execution: Execution) -> str | None:
    """What a cell printed if that is a single value: a number, a day, a word or a list. Otherwise None."""
    text = execution.text.strip()
    if not text or len(text) > MAX_CHARS:
        return None
    return text if _NUMBER.fullmatch(text) or _WORD.fullmatch(text) or _listed(text) else None


def miscopies(answer: str, output: str, task: str) -> bool:
    """True if the answer contains a near-copy of the output, and not the output itself."""
    if day := _DAY.fullmatch(output):
        return _miscopies_day(answer, {int(day[1]), int(day[3])}, task)
    if _NUMBER.fullmatch(output):
        return _miscopies_number(answer, output, task)
    if items := _listed(output):
        return sum(item not in answer for item in items) == 1
    return _miscopies_word(answer, output, task)


def _listed(text: str) -> list[str]:
    """The items of a printed list, if it has a few of them."""
    tree = parsed(text) if text[:1] in ("[", "(", "{") else None
    match tree.body if tree else []:
        case [ast.Expr(value=ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items))] if (
            len(items) >= MIN_LISTED
        ):
            values = [item.value for item in items if isinstance(item, ast.Constant)]
            texts = [str(value) for value in values if isinstance(value, str | int | float)]
            return texts if len(texts) == len(items) else []
    return []


def _miscopies_day(answer: str, wanted: set[int], task: str) -> bool:
    """The month may be a word, so only the year and the day of the month are compared."""
    said = {int(digits) for digits in re.findall(r"(?<!\d)\d{1,4}(?!\d)", answer, re.ASCII)}
    names_a_day = any(1000 <= number < 3000 for number in said) and any(1 <= number <= 31 for number in said)
    return names_a_day and not wanted <= said and any(str(number) not in task for number in said)


def _miscopies_number(answer: str, output: str, task: str) -> bool:
    digits = _significant(output.lower().partition("e")[0])
    said = _digits_in(answer)
    if len(digits) < MIN_DIGITS or any(_is_rounded(one, digits) for one in said):
        return False
    return any(_is_near_number(one, digits) for one in said - _digits_in(task))


def _digits_in(text: str) -> set[str]:
    """The significant digits of each number; marks and spaces between thousands are passed over."""
    return {_significant(found[0]) for found in _SAID_NUMBER.finditer(text)}


def _significant(number: str) -> str:
    return re.sub(r"\D", "", number).strip("0")


def _is_rounded(short: str, digits: str) -> bool:
    """True for the number itself, too."""
    if not short or len(short) > len(digits):
        return False
    kept, rest = digits[: len(short)], digits[len(short) :]
    return short == kept or (rest[:1] >= "5" and short == str(int(kept) + 1).strip("0"))


def _is_near_number(one: str, digits: str) -> bool:
    if min(len(one), len(digits)) >= MIN_LONG:
        return _distance(one, digits) <= 2
    return len(one) == len(digits) and _is_swapped(one, digits)


def _miscopies_word(answer: str, output: str, task: str) -> bool:
    word = _ASCII_WORD if output.isascii() else _WORD
    said = set(word.findall(answer))
    if output.casefold() in (map(str.casefold, said) if _has_digits(output) else answer.casefold()):
        return False
    return any(_is_near_word(one, output) for one in said - set(word.findall(task)))


def _is_near_word(one: str, output: str) -> bool:
    if _has_digits(output):
        return min(len(one), len(output)) >= MIN_LONG and _distance(one, output) <= MAX_DISTANCE
    if _CJK.search(output):
        return min(len(one), len(output)) >= MIN_LISTED and _lacks_inside(output, one)
    return min(len(one), len(output)) >= MIN_LONG and (
        _is_swapped(one, output) or _lacks_inside(one, output) or _lacks_inside(output, one)
    )


def _has_digits(text: str) -> bool:
    """A hash, or base64: no word of any language, which could be inflected."""
    return any(map(str.isdigit, text))


def _is_swapped(one: str, other: str) -> bool:
    """True if two neighbouring characters have changed places."""
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    return (
        len(one) == len(other)
        and len(places) == 2
        and places[0] + 1 == places[1]
        and one[places[0]] == other[places[1]]
        and one[places[1]] == other[places[0]]
    )


def _lacks_inside(long: str, short: str) -> bool:
    """True if one or two characters are left out, and not at the end, where a plural has one more."""
    if not 0 < len(long) - len(short) <= 2 or long.startswith(short):
        return False
    rest = iter(long)
    return all(char in rest for char in short)


def _distance(one: str, other: str) -> int:
    """How many characters are to be inserted, deleted or replaced; above MAX_DISTANCE, only that it is more."""
    if abs(len(one) - len(other)) > MAX_DISTANCE:
        return MAX_DISTANCE + 1
    row = list(range(len(other) + 1))
    for count, char in enumerate(one, 1):
        above, row = row, [count]
        for (diagonal, up), wanted in zip(pairwise(above), other, strict=True):
            row.append(min(up + 1, row[-1] + 1, diagonal + (char != wanted)))
        if min(row) > MAX_DISTANCE:
            return MAX_DISTANCE + 1
    return row[-1]
