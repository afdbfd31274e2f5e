"""What all tests share: no network for unit tests, and real Docker or the real model only where asked for."""

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import cache
from typing import Any

import pytest
from hypothesis import settings

from agent.local import DEFAULT_MODEL, find
from sandbox import CellblockError, Session
from sandbox.docker import DockerLauncher, connect, default_image, require_image
from sandbox.hosts import is_this_machine
from tests.agent.export.chromium import find_chromium
from tests.chaos.harness import missing_for_private_engine
from tests.clients import NODE_CLIENTS

IN_CI = bool(os.environ.get("CI"))

# No example has a time limit: a busy machine makes any of them slow.
settings.register_profile("patient", deadline=None)
if settings.get_current_profile_name() == "default":
    settings.load_profile("patient")


def pytest_configure() -> None:
    """Answer Ctrl-C. A shell starts its background jobs so that they ignore it, and all that they start does then."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def missing_for_docker() -> str | None:
    """Why tests with the marker `docker` cannot run here, in one line."""
    try:
        with closing(connect()) as client:
            require_image(client, default_image())
    except CellblockError as error:
        return str(error)
    return None


@cache
def missing_for_model() -> str | None:
    """Why tests with the marker `model` cannot run here, in one line."""
    if find(DEFAULT_MODEL) is None:
        return "the built-in model is not downloaded: make model"
    return missing_for_docker()


def missing_for_browser() -> str | None:
    """Why tests with the marker `browser` cannot run here, in one line."""
    return None if find_chromium() else "chromium is not installed: make browser"


def missing_for_node() -> str | None:
    """Why tests with the marker `node` cannot run here, in one line."""
    return None if (NODE_CLIENTS / "node_modules").is_dir() else "the Node clients are not installed: make clients"


MISSING: dict[str, Callable[[], str | None]] = {
    "browser": missing_for_browser,
    "docker": missing_for_docker,
    "engine": missing_for_private_engine,
    "model": missing_for_model,
    "node": missing_for_node,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine lacks; in CI nothing may be lacking."""
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            if IN_CI:
                pytest.fail(f"CI must bring up what {marker!r} tests need: {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches beyond this machine: sockets connect to loopback and to unix paths only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not is_this_machine(address[0]):
            raise AssertionError(f"{request.node.nodeid} wanted to reach {address!r}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no endpoint."""
    for name in list(os.environ):
        if name.startswith(("CELLBLOCK_", "OPENAI_", "DASHSCOPE_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
async def launcher() -> AsyncIterator[DockerLauncher]:
    """The real engine."""
    async with DockerLauncher() as launcher:
        yield launcher


@pytest.fixture
async def session(launcher: DockerLauncher) -> AsyncIterator[Session]:
    """A session in a fresh real sandbox."""
    async with Session(launcher) as session:
        yield session
