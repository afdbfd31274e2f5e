"""Web pages that are not named may not use the server."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.server.access.origins import OriginCheck
from tests.agent.server.access.asking import Inner, asked, scope_of

NAMED = "https://chat.example.com"


async def status_for(*origins: str, allowed: tuple[str, ...] = ()) -> int:
    headers = [("Origin", origin) for origin in origins]
    return (await asked(OriginCheck(Inner(), allowed=allowed), scope_of(headers=headers))).status


async def test_a_program_sends_no_origin() -> None:
    assert await status_for() == 200


async def test_a_page_of_this_server_may_ask() -> None:
    assert await status_for("http://127.0.0.1:8000") == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1:3000",
        "http://127.0.0.1",
        "file://",
        "https://127.0.0.1:80",
    ],
)
async def test_another_page_may_not(origin: str) -> None:
    assert await status_for(origin) == 403
    assert await status_for(origin, allowed=(NAMED,)) == 403


async def test_a_named_page_may_ask() -> None:
    assert await status_for(NAMED, allowed=(f"{NAMED}/",)) == 200
    assert await status_for("https://CHAT.example.com", allowed=(NAMED,)) == 200
    assert await status_for("https://evil.example", allowed=("*",)) == 200


async def test_two_origins_are_none() -> None:
    assert await status_for(NAMED, NAMED, allowed=(NAMED,)) == 403


@given(st.text(st.characters(max_codepoint=255)))
async def test_no_other_text_passes_for_a_named_page(origin: str) -> None:
    assume(origin.strip().lower() not in (NAMED, "http://127.0.0.1:8000", "https://127.0.0.1:8000"))
    assert await status_for(origin, allowed=(NAMED,)) == 403
    assert await status_for(f"{NAMED}.{origin}", allowed=(NAMED,)) == 403
