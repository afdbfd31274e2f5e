"""Ids are short, differ, and begin with what they name."""

import re

from agent.server.ids import MAX_CHARS, new_id


def test_an_id_has_its_prefix_and_24_random_bytes() -> None:
    assert re.fullmatch(r"cfile_[0-9a-f]{48}", new_id("cfile"))
    assert len(new_id("cfile")) <= MAX_CHARS


def test_no_two_ids_are_the_same() -> None:
    assert len({new_id("resp") for _ in range(1_000)}) == 1_000
