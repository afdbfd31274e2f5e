"""Does an answer state anything of what the last program printed?

Only numbers make a program's output a result here, and only those that the question and the program do not have: a
small count may be a word in the answer, and so may True or a name in another language.
"""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

from agent.record.question import Question
from agent.review.promised_files import asked_for
from agent.spellings.numerals import LETTER, Numeral, loose_numerals, numerals
from agent.spellings.readable import folded, without_programs
from agent.text import cut_middle, printed
from sandbox import DisplayData, ExecuteResult, Execution, StreamOutput
from sandbox.bundles import bundle_text

MAX_READ_CHARS = 1 << 14
MAX_TOLD_CHARS = 300
MAX_COUNTED = 20
"""A whole number up to this may be written as a word."""
MIN_ANSWER_WIDTH = 20
"""A shorter answer, such as "Yes." or a name, is no talk about a program."""


def unstated(question: Question, last: Execution, code: str, answer: str) -> str:
    """What the last program printed if the answer states none of it; otherwise an empty text.

    An answer that fits a schema, or that is about a file, a picture or a rendered table, may have no number.
    """
    asked, text = question.asked, folded(without_programs(answer))
    shown = printed_by(last)
    given = [file.name for file in asked.files]
    if (
        last.status != "ok"
        or asked.answer_schema
        or _is_rendered(last)
        or sum(1 + (east_asian_width(character) in "WF") for character in text.strip()) < MIN_ANSWER_WIDTH
        or asked_for(asked.task, given)
        or asked_for(answer, given)
    ):
        return ""
    known = f"{asked.task}\n{code}"
    if not any(map(_is_telling, _new_numbers(shown, known))) or any(_new_numbers(text, asked.task)):
        return ""
    is_stated = any(_is_in(word, text.casefold()) for word in _words(shown) - _words(known))
    return "" if is_stated else cut_middle(shown.strip(), MAX_TOLD_CHARS, " ... ")


def printed_by(execution: Execution) -> str:
    """What a cell has printed and its last value, without its complaints."""
    texts = []
    for output in execution.outputs:
        match output:
            case StreamOutput(name="stdout", text=text):
                texts.append(printed(text))
            case DisplayData(data=data) | ExecuteResult(data=data):
                texts.append(bundle_text(data))
    return cut_middle("\n".join(texts), MAX_READ_CHARS, " ")


def _is_rendered(execution: Execution) -> bool:
    """True if it has a picture or a table that a reader of the run sees as such."""
    outputs = [output for output in execution.outputs if isinstance(output, DisplayData | ExecuteResult)]
    return any(kind != "text/plain" for output in outputs for kind in output.data)


def _new_numbers(text: str, known: str) -> Iterator[Numeral]:
    """The numbers of a text that are not known."""
    old = {reading for numeral in (*numerals(known), *loose_numerals(known)) for reading in numeral.readings}
    return (numeral for numeral in loose_numerals(text) if old.isdisjoint(numeral.readings))


def _is_telling(numeral: Numeral) -> bool:
    return all(reading.denominator > 1 or abs(reading) > MAX_COUNTED for reading in numeral.readings)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", folded(text).casefold()))


def _is_in(word: str, text: str) -> bool:
    """True if a text has a word; a longer one also inside of another, as an ending may follow it."""
    return (
        word in text if len(word) > 2 else re.search(rf"(?<!{LETTER}){re.escape(word)}(?!{LETTER})", text) is not None
    )
