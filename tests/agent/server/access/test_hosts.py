"""Only requests for the server's own names get in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.server.access.hosts import HostCheck, host_name, is_loopback
from tests.agent.server.access.asking import Inner, asked, scope_of

OWN = ["localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:8000", "[::1]:8000", "[0:0:0:0:0:0:0:1]"]
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:8000",
    "evil.example#localhost",
    "localhost@evil.example",
    "localhost:8000:8000",
    "localhost:",
    "localhost:http",
    "192.168.1.5",
    "0.0.0.0",
    "[::2]",
    "[::1",
    "[localhost]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "127.1",
    "..",
    ".",
    "",
    "local host",
    "localhost\t",
    "lo\xadcalhost",
]


async def status_for(host: str, *, bound_to: str = "127.0.0.1", further: tuple[str, ...] = ()) -> int:
    app = HostCheck(Inner(), host=bound_to, further=further)
    return (await asked(app, scope_of(headers=[("Host", host)]))).status


@pytest.mark.parametrize("host", OWN)
async def test_a_name_of_this_machine_gets_in(host: str) -> None:
    assert await status_for(host) == 200


@pytest.mark.parametrize("host", [host for host in FOREIGN if host != "localhost\t"])
async def test_another_name_does_not(host: str) -> None:
    assert await status_for(host) == 403


async def test_the_refusal_names_the_host_and_the_option() -> None:
    answer = await asked(HostCheck(Inner(), host="::1"), scope_of(headers=[("Host", "evil.example")]))
    assert answer.json["error"] == {
        "message": "The host 'evil.example' is none of this server's names; --allow-host adds one.",
        "type": "permission_error",
        "param": None,
        "code": "forbidden_host",
    }


@pytest.mark.parametrize("count", [0, 2])
async def test_a_request_has_one_host(count: int) -> None:
    scope = scope_of()
    scope["headers"] = [(b"host", b"localhost")] * count
    assert (await asked(HostCheck(Inner(), host="127.0.0.1"), scope)).status == 403


async def test_the_address_and_further_names_get_in() -> None:
    assert await status_for("10.0.0.5:8000", bound_to="10.0.0.5") == 200
    assert await status_for("[fe80::1]", bound_to="FE80::1") == 200
    assert await status_for("Chat.example.com:443", further=("chat.example.com:8443",)) == 200
    assert await status_for("other.example.com", further=("chat.example.com",)) == 403


@pytest.mark.parametrize("bound_to", ["0.0.0.0", "::", ""])
async def test_a_server_on_all_addresses_takes_addresses_but_no_names(bound_to: str) -> None:
    assert await status_for("192.168.1.5:8000", bound_to=bound_to) == 200
    assert await status_for("[fe80::1]:8000", bound_to=bound_to) == 200
    assert await status_for("evil.example", bound_to=bound_to) == 403
    assert await status_for("192.168.1.5.evil.example", bound_to=bound_to) == 403


async def test_a_web_socket_for_another_name_is_closed() -> None:
    inner, sent = Inner(), []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        sent.append(message)

    await HostCheck(inner, host="127.0.0.1")(
        scope_of(headers=[("Host", "evil.example")], kind="websocket"), receive, send
    )
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "forbidden_host"}]
    assert inner.owners == []


@given(st.text(st.characters(max_codepoint=255)))
def test_no_text_is_taken_for_a_name_of_this_machine_but_its_spellings(text: str) -> None:
    spelled = text.lower().split(":")[0].removesuffix(".")
    assert host_name(text) != "localhost" or spelled == "localhost"
    assert host_name(f"{text}.evil.example") not in ("localhost", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("Localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "", "10.0.0.5", "example.com", "localhost.example.com")],
)
def test_a_server_is_on_loopback_if_its_address_is(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
