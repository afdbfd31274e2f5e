"""No secret is written to a run directory: known ones are redacted everywhere, others in text from outside."""

import gzip
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Agent, EndpointError, UsageError
from agent.credentials import REDACTED, secrets_among, secrets_in_url, without_credentials
from agent.messages import Reply
from agent.record.events import Instructed, ModelReplied, RunStarted, ToolRan
from agent.record.history import messages_of, request_sha256
from agent.record.redaction import Redactor
from agent.record.transcript import read
from agent.testing import Refusal, ScriptedCall, ScriptedEndpoint, calls, stream_of
from agent.testing.profiles import Answer
from sandbox import Policy

KEY = 'qk-"7f3a\\9c2e/51d0+b8'
"""A key with every character that JSON or a URL escapes."""
PASSWORD = "hunter2hunter2"
TOKEN = "tok-1234567890"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("See https://bob:pa55@example.com/x?a=1.", "See https://[redacted]@example.com/x?a=1."),
        ("GET /v1?api_key=abc&x=1", "GET /v1?api_key=[redacted]&x=1"),
        ("?X-Amz-Signature=abc'", "?X-Amz-Signature=[redacted]'"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("{'authorization': 'Basic Ym9i'}", "{'authorization': 'Basic [redacted]'}"),
        ("my key is sk-proj-0123456789abcdef.", "my key is [redacted]."),
        ("ghp_0123456789abcdefghij", "[redacted]"),
        ("api key: 0123456789abcdefghij!", "api key: [redacted]!"),
    ],
)
def test_text_that_looks_like_a_credential_is_redacted(text: str, clean: str) -> None:
    assert without_credentials(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@example.com/x",
        "the keyboard: qwertyuiop",
        "Group by key=name and count tokens.",
        "https://example.com/a@b?page=2",
        "bob@example.com, sk-learn, task-0123456789abcdefghij",
        "a basic question about authorization",
    ],
)
def test_harmless_text_similar_to_a_credential_stays(text: str) -> None:
    assert without_credentials(text) == text


@pytest.mark.parametrize("piece", ["a.", "a-", "eyJ-", "?key", "1.5+"])
def test_redacting_a_long_text_takes_linear_time(piece: str) -> None:
    text = piece * (500_000 // len(piece))
    assert without_credentials(text) == text


def test_secrets_are_found_in_urls_and_variables() -> None:
    assert secrets_in_url("http://bob:p%40ss@h/v1?api_key=k1&page=2") == {
        "bob:p%40ss",
        "bob:p@ss",
        "p%40ss",
        "p@ss",
        "k1",
    }
    variables = {"HF_TOKEN": "t", "DATABASE_URL": "postgres://u:pw@h/d", "LANG": "C", "PYTHONHASHSEED": "0"}
    assert secrets_among(variables) == {"t", "u:pw", "pw"}


def escaped(secret: str) -> str:
    return json.dumps(secret)[1:-1]


@given(st.text(min_size=8, max_size=20), st.text(), st.text())
def test_a_secret_is_redacted_in_text_json_python_and_urls(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    in_json = (escaped(secret), escaped(escaped(secret)), escaped(repr(secret)))
    in_python = (repr(secret)[1:-1], ascii(secret)[1:-1], repr(secret.encode())[2:-1], repr(f"{secret}'\"")[1:-4])
    for form in (secret, *in_json, *in_python, quote(secret, safe=""), quote_plus(secret)):
        assert form not in redactor.text(f"{before}{form}{after}")


def test_a_short_value_is_no_secret() -> None:
    event = Instructed(reason="limit", text="none of these")
    assert Redactor(["none", ""]).clean(event) is event


def test_characters_that_utf_8_cannot_encode_are_replaced() -> None:
    assert Redactor().clean(Instructed(reason="limit", text="a\ud800")).text == "a?"


def test_chunks_of_a_reply_with_a_secret_are_not_recorded() -> None:
    def chunk(text: str) -> str:
        return json.dumps({"choices": [{"delta": {"content": text}}]})

    redactor = Redactor(["abcdefghij"])
    assert redactor.chunks([chunk("abcde"), chunk("fghij")], Reply(content="abcdefghij")) is None
    assert redactor.chunks([chunk("abcdefghij"), chunk("abc")], Reply(content="abc")) == [chunk(REDACTED), chunk("abc")]
    assert redactor.chunks([chunk("\ud83d")], Reply(content="\ud83d")) == [chunk("\ud83d")]


def contents(run: Path) -> dict[str, bytes]:
    """All files of a run directory, unpacked."""
    found = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    return {name: gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data for name, data in found.items()}


def assert_clean(run: Path, *secrets: str) -> None:
    for name, data in contents(run).items():
        for secret in secrets:
            for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
                assert form.encode() not in data, name
                assert form not in name


def echoing() -> list[Answer]:
    """Replies that repeat the key in the thinking, the text, a call's arguments and its id."""
    code = f"import os\nprint({KEY!r}, os.environ['HF_TOKEN'])\nopen('key.txt', 'w').write(os.environ['HF_TOKEN'])"
    call = ScriptedCall("call_" + KEY, "run_python", json.dumps({"code": code}))
    return [
        Answer(content=f"I use {KEY}.", reasoning=f"The key is {KEY}.", calls=(call,), finish_reason="tool_calls"),
        calls("print(open('key.txt').read())\nopen('other.txt', 'w').write('fine')"),
    ]


@pytest.mark.docker
@pytest.mark.usefixtures("clean_environ")
async def test_a_key_echoed_in_every_field_is_not_in_the_run_directory(tmp_path: Path) -> None:
    spread = stream_of([{"content": piece} for piece in ("It is ", KEY[:9], KEY[9:], ".")], "stop")
    refusal = Refusal(500, json.dumps({"error": {"message": f"bad key {KEY}"}}), retry_after_s=0)
    with ScriptedEndpoint([refusal, *echoing(), spread]) as endpoint:
        url = endpoint.base_url.replace("://", f"://bob:{PASSWORD}@")
        policy = Policy(environment={"HF_TOKEN": TOKEN, "MODE": "fast"})
        agent = Agent(model="m", base_url=url, api_key=KEY, policy=policy, runs_directory=tmp_path)
        result = await agent.run(f"My key is {KEY}, see https://eve:s3cret@example.com/.")
        requests = endpoint.requests
    assert result.answer == "It is [redacted]."
    assert_clean(result.run_directory, KEY, PASSWORD, TOKEN, "s3cret")
    events = read(result.run_directory).events
    started, *_ = events
    assert isinstance(started, RunStarted)
    assert started.environment.policy.environment == {"HF_TOKEN": REDACTED, "MODE": "fast"}
    assert started.task == "My key is [redacted], see https://[redacted]@example.com/."
    assert [artifact.name for artifact in result.artifacts] == ["other.txt"]
    ran = [event for event in events if isinstance(event, ToolRan)]
    assert "[redacted]" in ran[0].observation
    sent = requests[1:]
    for place, event in enumerate(events):
        if isinstance(event, ModelReplied):
            request = sent.pop(0)
            assert request["messages"] == messages_of(events[:place])
            assert event.request_sha256 == request_sha256(request["messages"], request["tools"])


@pytest.mark.docker
@pytest.mark.usefixtures("clean_environ")
async def test_an_error_that_holds_the_key_is_recorded_without_it(tmp_path: Path) -> None:
    refusal = Refusal(400, json.dumps({"error": {"message": f"bad key {KEY}, Authorization: Bearer s3cret"}}))
    with ScriptedEndpoint([refusal]) as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, api_key=KEY)
        with pytest.raises(EndpointError):
            await agent.run("Hi", run_directory=tmp_path / "run")
    assert_clean(tmp_path / "run", KEY, "s3cret")
    finished = read(tmp_path / "run").finished
    assert finished is not None
    assert "bad key [redacted], Authorization: Bearer [redacted]" in str(finished.error)


@pytest.mark.docker
@pytest.mark.usefixtures("clean_environ")
async def test_a_file_that_holds_the_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(b"x" * (1 << 20) + KEY.encode())
    with ScriptedEndpoint([]) as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, api_key=KEY)
        with pytest.raises(UsageError) as raised:
            await agent.run("Hi", files=[file], run_directory=tmp_path / "run")
    assert str(raised.value) == f"'{file}' holds a key or password of this run, and a run keeps its files."
    assert not (tmp_path / "run").exists()
