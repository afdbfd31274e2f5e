"""The code of a call while the model still writes its arguments."""

import re

_CODE = re.compile(r'^\s*\{\s*"code"\s*:\s*"')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
MAX_HEAD_CHARS = 200
"""The arguments of run_python begin with the code, or else it is read only when they are complete."""


class CodeText:
    """Reads the text of `{"code": "..."}` piece by piece. What it cannot read for certain it leaves to the end."""

    def __init__(self) -> None:
        self._held = ""
        self._is_open = False
        """True while the string of the code is read."""
        self._is_over = False

    def add(self, piece: str) -> str:
        """Take a piece of the arguments. Returns what it adds to the code."""
        if self._is_over:
            return ""
        self._held += piece
        if not self._is_open and not self._begins():
            return ""
        return "".join(self._characters())

    def _begins(self) -> bool:
        found = _CODE.match(self._held)
        if found:
            self._held, self._is_open = self._held[found.end() :], True
        else:
            self._is_over = len(self._held) > MAX_HEAD_CHARS
        return self._is_open

    def _characters(self) -> list[str]:
        """The characters that are complete. An escape at the end of a piece waits for its rest."""
        read: list[str] = []
        place = 0
        while place < len(self._held):
            mark = self._held[place]
            if mark == '"':
                self._is_over = True
                break
            length, text = self._escape(place) if mark == "\\" else (1, mark)
            if text is None:
                break
            read.append(text)
            place += length
        self._held = self._held[place:]
        return read

    def _escape(self, place: int) -> tuple[int, str | None]:
        """The length and the text of an escape, which is None if it is not complete."""
        kind = self._held[place + 1 : place + 2]
        if kind != "u":
            return 2, _ESCAPES.get(kind, kind) if kind else None
        return self._unicode(place)

    def _unicode(self, place: int) -> tuple[int, str | None]:
        digits = self._held[place + 2 : place + 6]
        if len(digits) < 4:
            return 6, None
        code = _hexadecimal(digits)
        if not 0xD800 <= code < 0xDC00:
            return 6, chr(code)
        low = self._held[place + 6 : place + 12]
        if len(low) < 6 and "\\u".startswith(low[:2]):
            return 12, None
        if not low.startswith("\\u"):
            return 6, "\ufffd"
        return 12, chr(0x10000 + ((code - 0xD800) << 10) + ((_hexadecimal(low[2:]) - 0xDC00) & 0x3FF))


def _hexadecimal(digits: str) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        return 0xFFFD
