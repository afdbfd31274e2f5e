"""Ids that a test knows."""

from collections import Counter

from agent.server.ids import NewId


def counting() -> NewId:
    """Makes `resp_1`, `resp_2`, `file_1` and so on."""
    counts: Counter[str] = Counter()

    def make(prefix: str) -> str:
        counts[prefix] += 1
        return f"{prefix}_{counts[prefix]}"

    return make
