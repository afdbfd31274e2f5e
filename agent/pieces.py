"""Long text piece by piece. What escapes make of a text takes many times its place, so that it never exists whole."""

from collections.abc import Iterable, Iterator

PIECE_CHARS = 1 << 16


def pieces_of(text: str) -> Iterator[str]:
    """The text in short pieces; two surrogates that make one character stay together."""
    begin = 0
    while begin < len(text):
        end = begin + PIECE_CHARS
        end += "\ud800" <= text[end - 1 : end] <= "\udbff"
        yield text[begin:end]
        begin = end


def gathered(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in fewer pieces: each takes a call to escape, and another to write."""
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
    """The lines of a text, as `split` tells them: a list of them all takes many times the place of short ones."""
    begin = 0
    while (end := text.find("\n", begin)) >= 0:
        yield text[begin:end]
        begin = end + 1
    yield text[begin:]


def held_in(pieces: Iterable[str], marks: Iterable[str]) -> set[str]:
    """Those of the marks that stand in the text of the pieces."""
    marks, found, window = set(marks), set[str](), ""
    longest = max(map(len, marks))
    for piece in pieces:
        window = window[-longest:] + piece
        found |= {mark for mark in marks - found if mark in window}
    return found
