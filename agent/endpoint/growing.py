"""A text that comes in pieces. Some servers send the whole again at the end, or in each piece all that was said."""

MIN_CHARS = 8
"""A shorter text may be repeated by chance."""
MIN_KINDS = 4
"""A text of fewer different characters, such as a line of dashes, may be repeated by chance."""
MIN_STEPS = 3
"""So many pieces, each of which begins with the one before it, are no chance."""
MAX_COMPARED = 1_000
"""How often a whole is compared with all that was said: each time costs as much as that is long."""


class Growing:
    """The text so far. `add` and `fill` return what is new in it, or None if it is replaced."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._chars = 0
        self._added = 0
        """The number of pieces that were added."""
        self._last = ""
        self._steps = 0
        """How many pieces began with the one before it; -1 if one did not."""
        self._compared = 0
        self._is_cumulative = False
        """True if the server sends in each piece all that was said."""

    @property
    def text(self) -> str:
        """All that was said."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return "".join(self._pieces)

    def add(self, piece: str, *, is_last: bool = False) -> str | None:
        """Take the next piece, or the whole in place of one. `is_last`: the server says that this is the end."""
        if not piece:
            return ""
        if self._is_whole(piece, is_last=is_last):
            return self._complete(piece)
        is_step = self._steps >= 0 and len(piece) > len(self._last) and piece.startswith(self._last)
        self._steps = self._steps + 1 if is_step else -1
        self._is_cumulative = self._steps >= MIN_STEPS and _is_distinct(self._last)
        self._added, self._last = self._added + 1, piece
        return self._replace(piece) if self._is_cumulative else self._append(piece)

    def fill(self, whole: str, core: str | None = None) -> str | None:
        """Take the whole. What was said is completed by it or, if it lacks the `core` of the whole, replaced."""
        if whole and self._begins(whole):
            return self._complete(whole)
        if not self._added:  # the server labels its pieces as messages
            return self._append(whole)
        self._compared += 1
        if whole == self._last or self._compared > MAX_COMPARED or (core or whole) in self.text:
            return ""
        return self._replace(whole)

    def _is_whole(self, piece: str, *, is_last: bool) -> bool:
        if not self._begins(piece):
            return False
        is_sure = self._is_cumulative or (is_last and self._added > 1)
        return is_sure or (self._chars >= MIN_CHARS and _is_distinct(self.text))

    def _begins(self, whole: str) -> bool:
        """True if a text begins with all that was said."""
        return len(whole) >= self._chars and whole.startswith(self.text)

    def _complete(self, whole: str) -> str:
        return self._append(whole[self._chars :])

    def _append(self, piece: str) -> str:
        self._pieces.append(piece)
        self._chars += len(piece)
        return piece

    def _replace(self, whole: str) -> str | None:
        self._pieces, self._chars = [whole], len(whole)
        return None


def _is_distinct(text: str) -> bool:
    return len(set(text)) >= MIN_KINDS
