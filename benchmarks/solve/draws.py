"""Numbers that are drawn by chance, and always the same."""

from collections.abc import Iterator


def draws(seed: int) -> Iterator[int]:
    """Numbers from 0 to 2**31 - 1 by the minimal standard generator of Park and Miller."""
    state = seed
    while True:
        state = state * 48271 % 0x7FFFFFFF
        yield state
