"""For the server: a runtime without an engine, for tests of what has nothing to do with sandboxes."""

import pytest

from tests.agent.record.fuzz.readers import FakeLauncher, FakeSession


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sandboxes that print 42 whatever they run."""
    monkeypatch.setattr("agent.runtime.DockerLauncher", FakeLauncher)
    monkeypatch.setattr("agent.runtime.Session", FakeSession)
    monkeypatch.setattr("agent.runtime.Pool", _NoPool)


class _NoPool:
    def __init__(self, launcher: object, policy: object, **_: object) -> None:
        self._launcher = launcher

    async def __aenter__(self) -> "_NoPool":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def resize(self, size: int) -> None:
        pass

    def session(self, *, policy: object) -> FakeSession:
        return FakeSession(self._launcher)
