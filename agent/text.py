"""Make untrusted text safe to read, for the model and for a terminal, which obeys control characters.

Code and the arguments of calls go through `visible`, which drops nothing. The output of programs and models goes
through `plain`, which drops control sequences. `harmless` is the last step before a terminal, for all other text.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

from agent.pieces import gathered, pieces_of
from agent.terminal import SEQUENCES, drawn, moves_cursor

_SURROGATES = re.compile(r"[\ud800-\udfff]")
_LINE_BREAKS = str.maketrans(dict.fromkeys("\v\f\x85\u2028\u2029", "\n"))
_REWRITTEN = re.compile(r"^.*\r(?=[^\r\n])", re.MULTILINE)
_ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # text direction
    r"\u2028\u2029"  # line breaks for some readers only
    r"\xad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible; joiners and variations stay
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_PIECES = re.compile(r"\r\n?|<U\+|(?:[^\r<]|<(?!U\+)){1,4096}+")
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that are invisible although Python calls them printable."""
_MARKS = frozenset(("Mn", "Me"))
NAMED = "<U+{:04X}>"
MAX_NAMES_CHARS = 1 << 20
"""The most characters that names may add to a code: a name is eight times as long as its character."""
_CUT_BEGIN = "\n<U+…"
_CUT = _CUT_BEGIN + " {count} characters are left out here; the record of the run has them all>\n"
MAX_MARKS = 4
"""Combining marks on one character of code; more of them cover other lines."""


def encodable(text: str) -> str:
    """The text with surrogates joined or replaced by `?`: a JSON escape can produce them, but no file can hold them."""
    if text.isascii() or not _SURROGATES.search(text):
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined.encode("utf-8", "replace").decode()


def plain(text: str) -> str:
    """The text as a terminal shows it: no control sequences, and a line rewritten by `\\r` in its last state."""
    lines = _without(SEQUENCES, text).replace("\r\n", "\n")
    if has_control_characters(lines):
        lines = _without(_REWRITTEN, lines.translate(_LINE_BREAKS))
    return _replaced(lines, lambda _: "")


def printed(text: str) -> str:
    """The output of a program as `plain` text, after all that its progress bars have rewritten."""
    return plain(drawn(text) if moves_cursor(text) else text)


def _without(pattern: re.Pattern[str], text: str) -> str:
    """The text between the matches. `re.sub` would hold all of it as a list, which takes many times its length."""
    return "".join(gathered(_between(pattern, text)))


def _between(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    begin = 0
    for match in pattern.finditer(text):
        yield text[begin : match.start()]
        begin = match.end()
    yield text[begin:]


def visible(code: str) -> str:
    """Code exactly as it ran: each invisible or misleading character is replaced by its name, such as `<U+001B>`.

    A `<U+` in the code becomes `<U+003C>U+`. Python ends a line at `\\r`, so a line ends here after `<U+000D>` too;
    `\\r\\n` is `<U+000D><U+000A>` and the end of the line. Code in which names add more than MAX_NAMES_CHARS is cut,
    with a line that says so and that no code can imitate.
    """
    return "".join(_shown(code))


def is_cut(shown: str) -> bool:
    """True if `visible` has left out the end of a code."""
    return _CUT_BEGIN in shown


def has_hidden_characters(code: str) -> bool:
    """True if code has invisible or misleading characters, apart from the line ends of Windows."""
    return any(seen != piece and piece not in ("\r\n", "<U+") for piece, seen in _seen_pieces(code))


def _shown(code: str) -> Iterator[str]:
    place = names_chars = 0
    for piece, seen in _seen_pieces(code):
        yield seen
        place += len(piece)
        names_chars += len(seen) - len(piece)
        if names_chars > MAX_NAMES_CHARS and place < len(code):
            yield _CUT.format(count=len(code) - place)
            return


def _seen_pieces(code: str) -> Iterator[tuple[str, str]]:
    """Each piece of the code and its visible form. Pieces are short: a single character takes 50 bytes and more."""
    marks = 0
    for match in _PIECES.finditer(code):
        piece = match[0]
        if piece == "<U+":
            marks, seen = 0, f"{_named('<')}U+"
        elif piece.startswith("\r"):
            marks, seen = 0, "".join(map(_named, piece)) + "\n"
        elif _is_plain(piece):
            marks, seen = 0, piece
        else:
            marks, seen = _seen(piece, marks)
        yield piece, seen


def _is_plain(piece: str) -> bool:
    """True if a quick check proves that every character of a piece is visible."""
    if piece.isascii():
        return not _ACTING.search(piece)
    is_printable = piece.replace("\n", "").replace("\t", "").isprintable()
    return is_printable and not _BLANK.search(piece) and _MARKS.isdisjoint(map(unicodedata.category, piece))


def _seen(piece: str, marks: int) -> tuple[int, str]:
    """The number of combining marks at the end of a piece, and its visible form; `marks` precede the piece."""
    seen: list[str] = []
    for character in piece:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        is_seen = character in "\n\t" or (
            character.isprintable() and marks <= MAX_MARKS and not _BLANK.match(character)
        )
        seen.append(character if is_seen else _named(character))
    return marks, "".join(seen)


def _named(character: str) -> str:
    return NAMED.format(ord(character))


def has_control_characters(text: str) -> bool:
    """True if the text has control or invisible characters."""
    return _ACTING.search(text) is not None


def harmless(text: str, named: str = NAMED) -> str:
    """The text with each control or invisible character replaced by its name, in the format `named`."""
    return _replaced(text, lambda match: named.format(ord(match[0])))


def escaped_json(text: str) -> str:
    """JSON of the same value, with each of these characters as a JSON escape."""
    return _replaced(text, lambda match: "".join(f"\\u{unit:04x}" for unit in _utf16(match[0])))


def _replaced(text: str, name: Callable[[re.Match[str]], str]) -> str:
    """The text with each such character replaced, piece by piece: separate names take many times their length."""
    if not has_control_characters(text):
        return text
    return "".join(_ACTING.sub(name, piece) for piece in pieces_of(text))


def in_one_line(name: str) -> str:
    """A name with each line break and each invisible character as an escape."""
    return escaped_json(name).replace("\n", "\\n").replace("\t", "\\t")


def _utf16(character: str) -> Iterator[int]:
    data = character.encode("utf-16-be")
    return (int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2))


def cut_middle(text: str, limit: int, note: str) -> str:
    """At most about `limit` characters: the head, `note` with the `{count}` of omitted characters, and the tail."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return text[:half] + note.format(count=len(text) - 2 * half) + text[-half:]


def size_words(size_bytes: int) -> str:
    """A size for people, rounded: `1 byte`, `1.5 kB`, `8 kB`, `12 MB`."""
    if size_bytes < 1000:
        return f"{size_bytes} byte{'s' * (size_bytes != 1)}"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.5 or unit == "TB":
            break
    return f"{size:.1f}".removesuffix(".0") + f" {unit}" if size < 9.95 else f"{size:.0f} {unit}"
