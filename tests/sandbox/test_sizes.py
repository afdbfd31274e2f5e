"""Sizes with units are parsed and formatted; any other text is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from sandbox.sizes import format_size, parse_size

SIZES = {
    "0": 0,
    "4096": 4096,
    "4096 bytes": None,
    "1k": 1 << 10,
    "512MiB": 512 << 20,
    "512 mb": 512 << 20,
    "1.5g": 3 << 29,
    "2G": 2 << 30,
    "2TiB": 2 << 40,
    "12x": None,
    "-1": None,
    "1e9": None,
    "inf": None,
    "": None,
    "\u0661k": None,
    "9" * 19: None,
}


@pytest.mark.parametrize("text", SIZES)
def test_a_size_is_read_as_docker_reads_it_or_refused(text: str) -> None:
    expected = SIZES[text]
    if expected is not None:
        assert parse_size(text) == expected
        return
    with pytest.raises(PydanticCustomError, match="a size is a number of bytes, or one with a unit"):
        parse_size(text)


@given(st.text())
def test_no_text_gives_anything_but_a_size_or_that_error(text: str) -> None:
    try:
        size = parse_size(text)
    except PydanticCustomError:
        return
    assert isinstance(size, int)
    assert size >= 0


@given(st.integers(0, 10**18 - 1))
def test_a_formatted_size_is_exact(size: int) -> None:
    text = format_size(size)
    assert parse_size(text.removesuffix(" bytes")) == size
