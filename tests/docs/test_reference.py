"""The tables in the documentation that follow from the code are up to date, and all of them are there."""

import pytest

from tests.docs.pages import PAGES
from tests.docs.reference import PARTS, parts_in, with_reference


@pytest.mark.parametrize("page", PAGES)
def test_what_follows_from_the_code_is_what_the_code_says(page: str) -> None:
    assert with_reference(PAGES[page]) == PAGES[page], "make reference"


def test_every_part_stands_in_one_page() -> None:
    assert sorted(part for page in PAGES.values() for part in parts_in(page)) == sorted(PARTS)
