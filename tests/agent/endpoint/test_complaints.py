"""The message about a failing endpoint has no secrets and no text that controls a terminal or shell, and is bounded."""

import base64
import json
import shlex
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from agent import AccessError, Agent, Endpoint, EndpointError, Sampling
from agent.endpoint.config import choose_model, endpoint_of_record
from agent.endpoint.model import Model
from agent.errors import UsageError
from tests.agent.endpoint.raw import HEAD, Step, event, raw_endpoint

KEY = "key-0123456789-abc"
PASSWORD = "secret-passw0rd'\""
USER_INFO = f"bob:{quote(PASSWORD, safe='')}"
PAIR = f"bob:{PASSWORD}"
OTHERS = "sk-proj-0123456789abcdefghij"
"""A text that only looks like a credential."""


def answered(status: int, body: str, *headers: str) -> list[Step]:
    data = body.encode()
    lines = [f"HTTP/1.1 {status} X", "Connection: close", f"Content-Length: {len(data)}", *headers, "", ""]
    return ["\r\n".join(lines).encode() + data]


def moved(location: str) -> list[Step]:
    return answered(307, "", f"Location: {location}")


async def failure(*answers: list[Step], user_info: str = USER_INFO) -> EndpointError:
    """The error from an endpoint with this answer."""

    async def no_wait(_: float) -> None:
        return

    async with raw_endpoint(*answers) as endpoint:
        url = endpoint.base_url.replace("://", f"://{user_info}@")
        asked = Endpoint(base_url=url, model="m", api_key=SecretStr(KEY))
        async with Model(asked, Sampling(), sleep=no_wait) as model:
            with pytest.raises(EndpointError) as caught:
                await model.generate([{"role": "user", "content": "?"}], [], lambda kind, text: None)
    return caught.value


def told(error: EndpointError) -> str:
    """All text of an error that is shown or recorded."""
    return "\n".join((str(error), error.message, str(error.hint), *(attempt.error for attempt in error.attempts)))


def forms(secret: str) -> Iterator[str]:
    """A secret as servers and libraries write it."""
    yield from (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(json.dumps(secret)))
    yield from (quote(secret, safe=""), base64.b64encode(secret.encode()).decode())


SECRETS = [KEY, PASSWORD, PAIR]
ECHOES = [OTHERS, *dict.fromkeys(form for secret in SECRETS for form in forms(secret))]


def is_kept(text: str) -> bool:
    """True if the text has no secret in any form, also not the beginning of one."""
    return not any(form[:8] in text for form in ECHOES) and "passw0rd" not in text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
@pytest.mark.parametrize("location", ["/x/v1/chat/completions", "/x?token=abcdef#abcdef", "{home}/y", "?{user_info}"])
async def test_a_redirect_shows_no_credentials_of_the_url(location: str, status: int) -> None:
    location = location.format(home=f"//{USER_INFO}@{{host}}", user_info=f"key={KEY}")
    if "{host}" in location:
        async with raw_endpoint([]) as other:
            location = location.replace("{host}", other.base_url.split("/")[2])
    error = await failure(moved(location), answered(status, "no"))
    assert is_kept(told(error)), told(error)
    assert "abcdef" not in told(error)
    assert "@" not in told(error)


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("before", ["", "x" * 190 + " ", "y" * 290 + " ", " " * 7_990])
async def test_secrets_that_an_endpoint_repeats_are_not_shown(echo: str, before: str) -> None:
    for body in (f"got {before}{echo}", json.dumps({"error": {"message": f"got {before}{echo}"}})):
        streamed: list[Step] = [HEAD + event({"error": {"message": before + echo}})]
        for answer in (answered(400, body), answered(500, body), streamed):
            error = await failure(answer)
            assert is_kept(told(error)), told(error)


@pytest.mark.parametrize("mark", ["\x1b[31m", "\x1b]0;x\x07", "<b>", "\u200b", "\x00"])
async def test_a_secret_that_is_split_by_invisible_characters_is_not_shown(mark: str) -> None:
    error = await failure(answered(400, f"got {KEY[:9]}{mark}{KEY[9:]} !"))
    assert KEY not in told(error)
    assert "\x1b" not in told(error)


@pytest.mark.parametrize(
    "url", ["htp://{}@h/v1", "http://{}@h:99999/v1", "{}@h/v1", "http://{}@", "http:{}@h", "x://h?key={}"]
)
def test_an_invalid_url_is_shown_without_its_credentials(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_model(model="m", base_url=url.format(USER_INFO), api_key=None, environ={})
    assert is_kept(str(caught.value)), str(caught.value)


SHELL = ["$(touch pwned);id", "`id`", "'\"$(id)", "a&&id|id>x", "~/*[a]"]


@pytest.mark.parametrize("code", SHELL)
async def test_a_path_that_a_server_names_is_one_word_of_the_suggested_command(code: str) -> None:
    error = await failure(moved(f"/f/v1/{code}/chat/completions"), answered(401, "no"))
    url = shlex.split(str(error.hint))[3]
    assert str(error.hint) == f"cellblock run --base-url {shlex.quote(url)} ..."
    assert url.startswith("http://127.0.0.1:")
    other = await failure(moved(f"http://other.test/{code}"))
    url = shlex.split(str(other.hint).removesuffix(" ..., if you trust it"))[3]
    assert str(other.hint) == f"cellblock run --base-url {shlex.quote(url)} ..., if you trust it"


@pytest.mark.parametrize("code", SHELL)
def test_a_url_and_a_model_of_a_record_are_one_word_each(code: str) -> None:
    url = f"http://h/ok/{code}/v1"
    with pytest.raises(UsageError) as caught:
        endpoint_of_record(Endpoint(base_url=url, model="m"), None, {})
    assert caught.value.hint == f"the same command with --base-url {shlex.quote(url)}, if you trust it"
    with pytest.raises(UsageError) as caught:
        choose_model(model=code, base_url=None, api_key=None, environ={})
    assert caught.value.hint == f"cellblock run --model {shlex.quote(code)} --base-url URL ..."


@pytest.mark.parametrize("origin", ["", "http://other.test"])
async def test_only_a_part_of_a_long_address_is_shown_and_it_is_not_suggested(origin: str) -> None:
    error = await failure(moved(f"{origin}/" + "x" * 60_000), answered(404, "no"))
    assert len(str(error)) < 600
    assert error.hint == "cellblock doctor"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ws://x.test/", "ftp://x.test/v1"])
async def test_an_address_other_than_http_is_not_suggested(url: str) -> None:
    error = await failure(moved(url))
    assert "redirects to another origin" in error.message
    assert error.hint == "cellblock doctor"


@pytest.mark.parametrize("location", ["/v1/chat/completions", "/v1/chat/completions?again", "{}x"])
async def test_a_redirect_loop_is_final_and_says_so(location: str) -> None:
    answers = [moved(f"/{number}") for number in range(30)] if location == "{}x" else [moved(location)]
    error = await failure(*answers)
    assert isinstance(error, AccessError)
    assert "redirects in a loop" in error.message
    assert len(error.attempts) == 1


async def test_content_that_is_nested_too_deeply_is_reported_as_such() -> None:
    content = "[" * 900 + "]" * 900
    answer = HEAD + b'data: {"choices":[{"delta":{"content":' + content.encode() + b"}}]}\n\n"
    error = await failure([answer])
    assert "answered with JSON that is nested too deeply" in error.message
    assert "RecursionError" not in str(error)


def test_no_view_of_an_agent_shows_the_credentials_of_its_url(clean_environ: pytest.MonkeyPatch) -> None:
    agent = Agent(model="m", base_url=f"http://{USER_INFO}@h/v1?key={KEY}", api_key=KEY)
    for shown in (
        repr(agent),
        str(vars(agent)),
        repr(agent.runtime.model),
        str(agent.runtime.model),
        f"{agent.runtime.model}",
    ):
        assert is_kept(shown), shown
    assert "base_url='http://h/v1'" in repr(agent.runtime.model)
