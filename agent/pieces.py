"""Handles long text piece by piece. Escaped text can take many times the memory, so it is never held as a whole."""

from collections.abc import Iterable, Iterator

PIECE_CHARS = 1 << 16


def pieces_of(text: str) -> Iterator[str]:
    """The text in short pieces. A pair of surrogates, which is one character, is never separated."""
    begin = 0
    while begin < len(text):
        end = begin + PIECE_CHARS
        end += "\ud800" <= text[end - 1 : end] <= "\udbff"
        yield text[begin:end]
        begin = end


def gathered(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in fewer pieces, because each piece costs a call to escape and a call to write."""
    held: list[str] = []
    chars = 0
    for piece in pieces:
        held.append(piece)
        chars += len(piece)
        if chars >= PIECE_CHARS:
            yield "".join(held)
            held, chars = [], 0
    yield "".join(held)


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text, as `split` gives them, one at a time: a list of short lines takes many times the memory."""
    begin = 0
    while (end := text.find("\n", begin)) >= 0:
        yield text[begin:end]
        begin = end + 1
    yield text[begin:]


def held_in(pieces: Iterable[str], marks: Iterable[str]) -> set[str]:
    """The marks that occur in the text of the pieces, also across two of them."""
    marks, found, window = set(marks), set[str](), ""
    longest = max(map(len, marks))
    for piece in pieces:
        window = window[-longest:] + piece
        found |= {mark for mark in marks - found if mark in window}
    return found
