"""What is left on a terminal's screen after a text that moves its cursor back, as progress bars do."""

import re

_PAYLOAD = r"[^\x07\x1b\n\x80-\x9f]*"  # one without an end stops at the end of its line
SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor
    rf"|(?:\x1b\]|\x9d){_PAYLOAD}(?:\x07|\x1b\\|\x9c)"  # operating system commands: titles, links, clipboard
    rf"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f]){_PAYLOAD}(?:\x1b\\|\x9c)"  # strings
    r"|\x1b[ -/]*[0-~]"
)
MAX_CHARS = 1 << 20
"""A longer text is no progress bar, and is not drawn."""
_MOVE = re.compile(r"\x08|(?:\x1b\[|\x9b)[0-9]*[ABCDEFGJK]")
_MOVING = re.compile(r"(?:\x1b\[|\x9b)([0-9]{0,4})([A-GJK])")
_CHARACTERS = re.compile(r"[\r\n\x08]|[^\r\n\x08]+")


def moves_cursor(text: str) -> bool:
    """True if the text can be drawn, and does more than to begin lines."""
    return len(text) <= MAX_CHARS and _MOVE.search(text) is not None


def drawn(text: str) -> str:
    """The text after all its movements, without control sequences."""
    screen, begin = _Screen(), 0
    for sequence in SEQUENCES.finditer(text):
        screen.write(text[begin : sequence.start()])
        if moving := _MOVING.fullmatch(sequence[0]):
            screen.move(moving[2], int(moving[1] or 0))
        begin = sequence.end()
    screen.write(text[begin:])
    return screen.text()


class _Screen:
    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0
        self._padding_left = MAX_CHARS

    def text(self) -> str:
        return "\n".join("".join(line) for line in self._lines)

    def write(self, text: str) -> None:
        for part in _CHARACTERS.findall(text):
            match part:
                case "\r":
                    self._column = 0
                case "\n":
                    self._begin_line()
                case "\x08":
                    self._column = max(0, self._column - 1)
                case _:
                    self._put(part)

    def move(self, kind: str, count: int) -> None:
        """Obey a control sequence of this final byte (ECMA-48, 8.3). A cursor that goes down makes no lines."""
        steps = count or 1
        match kind:
            case "A" | "B" | "E" | "F":
                self._row = min(max(0, self._row + (steps if kind in "BE" else -steps)), len(self._lines) - 1)
                self._column = 0 if kind in "EF" else self._column
            case "C" | "D":
                self._column = max(0, self._column + (steps if kind == "C" else -steps))
            case "G":
                self._column = steps - 1
            case _:
                self._erase(kind, count)

    def _begin_line(self) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._lines):
            self._lines.append([])

    def _put(self, text: str) -> None:
        line = self._lines[self._row]
        missing = min(max(0, self._column - len(line)), self._padding_left)
        self._padding_left -= missing
        line.extend(" " * missing)
        column = min(self._column, len(line))
        line[column : column + len(text)] = text
        self._column = column + len(text)

    def _erase(self, kind: str, what: int) -> None:
        """Erase what is behind the cursor, or its whole line. A cleared screen stays: a reader can scroll back."""
        if kind == "J" and not what:
            del self._lines[self._row + 1 :]
        if what == 0 or (kind == "K" and what == 2):
            del self._lines[self._row][0 if what else self._column :]
