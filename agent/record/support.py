"""What a reader is told of the claims of an answer."""

from collections.abc import Iterable, Sequence

from agent.record.events import Claim, Compared, UnaskedFilter
from agent.text import cut_middle, plain

MAX_QUOTED = 5
"""How many texts one sentence names."""
MAX_SAID_CHARS = 200
"""How much is told of the answer of a second run."""


def unsupported(claims: Iterable[Claim]) -> list[str]:
    """The texts of the claims that come from nowhere."""
    return [claim.text for claim in claims if claim.source is None]


def source_of(claim: Claim) -> str:
    """Where a claim comes from, in words."""
    match claim.source:
        case "cell":
            return f"cell {claim.cell}"
        case "function":
            return f"a function, event {claim.seq}"
        case "question":
            return "the question"
        case "file":
            return "a given file"
        case _:
            return "no output"


def not_computed(claims: Iterable[Claim]) -> str:
    """One line about the claims that come from nowhere; empty if there are none."""
    texts = unsupported(claims)
    are = "is" if len(texts) == 1 else "are"
    return f"not computed: {quoted(texts)} {are} in no output" if texts else ""


def not_asked(filters: Iterable[UnaskedFilter]) -> list[str]:
    """A line about each value that a program chose rows by and that the question does not have."""
    return [f'not in the question: "{plain(one.value)}" filters in cell {one.cell}' for one in filters]


def not_confirmed(second: Compared | None) -> str:
    """One line about a second run that did not find the same; empty if there is none, or if it did."""
    if second is None:
        return ""
    if second.outcome != "answered":
        return "not confirmed: a second run came to no answer"
    said = f' answers: "{cut_middle(plain(second.answer or ""), MAX_SAID_CHARS, " … ")}"'
    if not second.compared:
        return f"not confirmed: the answer has no value that could be compared; a second run{said}"
    return f"not confirmed: a second run has no {quoted(second.missing)}; it{said}" if second.missing else ""


def quoted(texts: Sequence[str]) -> str:
    """The texts in quotes, as a list; no more than MAX_QUOTED of them."""
    more = [f"and {len(texts) - MAX_QUOTED} more"] if len(texts) > MAX_QUOTED else []
    return ", ".join([*(f'"{plain(text)}"' for text in texts[:MAX_QUOTED]), *more])
