import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from agent.errors import LocalModelError
from agent.local import LocalServer, find, serve
from agent.local.server import physical_cores
from tests.chaos.harness import wait_for

needs_xllamacpp = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")

SERVE_AND_STREAM = """
import asyncio, sys
from pathlib import Path
from openai import AsyncOpenAI
from agent.local import serve

async def main():
    async with serve(Path(sys.argv[1])) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key=server.api_key)
        messages = [{"role": "user", "content": "Count to a thousand."}]
        stream = await client.chat.completions.create(model=server.model, messages=messages, stream=True)
        async for _ in stream:
            print("generating", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def model_file() -> Path:
    path = find()
    if path is None:
        pytest.skip("the model file is not here: cellblock model pull")
    return path


def client_of(server: LocalServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.base_url, api_key=server.api_key, default_headers=server.headers, max_retries=0)


async def one_word(client: AsyncOpenAI, model: str) -> str:
    completion = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Reply with the single word: hello"}],
        temperature=0,
        max_tokens=8,
    )
    return completion.choices[0].message.content or ""


@pytest.fixture
def parent(model_file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that serves the model and streams from it."""
    command = [sys.executable, "-c", SERVE_AND_STREAM, str(model_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def servers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"serve.py" in Path(f"/proc/{child}/cmdline").read_bytes()]


def only_server_of(pid: int) -> int:
    wait_for(lambda: servers_of(pid), "the start of a server")
    return servers_of(pid)[0]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # one that nobody has waited for holds nothing any more


def test_physical_cores_are_no_more_than_usable_cpus() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


async def test_missing_xllamacpp_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LocalModelError) as caught:
        async with serve(tmp_path / "tiny.gguf"):
            pass
    assert str(caught.value) == (
        "xllamacpp, which serves the model, is not installed. Try: pip install 'cellblock[local]'"
    )


@needs_xllamacpp
async def test_file_that_does_not_load_says_why(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(b"GGUF" + b"\x03\x00\x00\x00")
    with pytest.raises(LocalModelError) as caught:
        async with serve(path):
            pass
    assert str(caught.value) == (f"Cannot serve {str(path)!r}: llama_model_loader: failed to load model from {path}.")


@pytest.mark.model
async def test_start_is_bounded_and_leaves_no_process(model_file: Path) -> None:
    with pytest.raises(LocalModelError, match=r"was not loaded within 0\.2 s\.$"):
        async with serve(model_file, start_timeout_s=0.2):
            pass
    assert not servers_of(os.getpid())


@pytest.mark.model
async def test_served_model_answers_and_ends_with_the_context(model_file: Path) -> None:
    async with serve(model_file, name="qwen") as server, client_of(server) as client:
        assert server.context_tokens == 16_384
        assert [model.id async for model in client.models.list()] == ["qwen"]
        assert "hello" in (await one_word(client, server.model)).lower()
    assert not is_running(server.pid)


@pytest.mark.model
async def test_served_model_streams_with_usage(model_file: Path) -> None:
    async with serve(model_file) as server, client_of(server) as client:
        stream = await client.chat.completions.create(
            model=server.model,
            messages=[{"role": "user", "content": "Count from 1 to 5."}],
            max_tokens=32,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert len(text) > 3
    assert "2" in "".join(text)
    assert chunks[-1].usage is not None


@pytest.mark.model
async def test_request_right_after_a_stream_is_answered(model_file: Path) -> None:
    async with serve(model_file) as server, client_of(server) as client:
        for _ in range(30):
            stream = await client.chat.completions.create(
                model=server.model, messages=[{"role": "user", "content": "Hi"}], max_tokens=1, stream=True
            )
            assert [chunk async for chunk in stream]


@pytest.mark.model
async def test_context_is_no_longer_than_the_model_was_trained_on(model_file: Path) -> None:
    async with serve(model_file, context_tokens=40_000) as server:
        assert server.context_tokens == 32_768


@pytest.mark.model
async def test_interrupt_at_the_terminal_does_not_end_the_server(model_file: Path) -> None:
    async with serve(model_file) as server, client_of(server) as client:
        os.kill(server.pid, signal.SIGINT)
        assert os.getsid(server.pid) != os.getsid(0)
        assert await one_word(client, server.model)


@pytest.mark.model
def test_server_is_gone_after_its_parent_is_killed_while_generating(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    assert parent.stdout.readline() == "generating\n"
    server_pid = only_server_of(parent.pid)
    parent.kill()
    wait_for(lambda: not is_running(server_pid), "the end of the server")


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server ends when the file is loaded")
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.5])
def test_server_is_gone_after_its_parent_is_killed_while_loading(parent: subprocess.Popen[str], after_s: float) -> None:
    server_pid = only_server_of(parent.pid)
    time.sleep(after_s)
    parent.kill()
    wait_for(lambda: not is_running(server_pid), "the end of the server")
