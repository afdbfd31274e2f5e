"""The incremental request equals the one made from all events, and only new events cost time."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent import TranscriptError
from agent.messages import Usage
from agent.record import requests as module
from agent.record.events import Asked, Event, HistoryShortened, ModelFailed, ReplyCut, SandboxChanged, Shortening
from agent.record.history import messages_of, request_sha256
from agent.record.requests import Requests
from tests.agent.record.test_history import ran, replied, started
from tests.samples import said

TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "run_python"}}]
texts = st.text(max_size=8)
cuts = st.builds(Shortening, seq=st.integers(0, 12), max_chars=st.just(1), content=texts)
CUT = ReplyCut(
    turn=1, content="", reasoning="", raw=None, usage=Usage(), duration_s=0, attempts=[], request_sha256="", tools=[]
)
later: st.SearchStrategy[Event] = st.one_of(
    st.builds(replied, texts),
    st.builds(ran, texts),
    st.builds(lambda task: said(Asked(task=task, files=[])), texts),
    st.builds(HistoryShortened, observations=st.lists(cuts, max_size=3)),
    st.builds(lambda text: CUT.model_copy(update={"content": text}), texts.filter(bool)),
    st.just(SandboxChanged(kind="started", reason="x")),
)


@example([CUT.model_copy(update={"content": "\r"})], False)
@given(st.lists(later, max_size=12), st.booleans())
def test_the_incremental_request_equals_the_request_made_from_all_events(turns: list[Event], is_marked: bool) -> None:
    first = started(explicit_cache=is_marked)
    events: list[Event] = [event.model_copy(update={"seq": place}) for place, event in enumerate([first, *turns])]
    growing = events[:1]
    requests = Requests(growing)
    for event in events[1:]:
        growing.append(event)
        assert requests.sha256(TOOLS) == request_sha256(messages_of(growing), TOOLS)
        assert requests.messages() == messages_of(growing, with_prefix=False)


def test_a_history_that_is_shortened_too_often_is_an_error() -> None:
    events: list[Event] = [started()]
    requests = Requests(events)
    for place in range(1, 2_000):
        events.append(ran("x" * 1_000).model_copy(update={"seq": place}))
    cut = HistoryShortened(observations=[Shortening(seq=1, max_chars=1, content="y")])

    def shorten() -> None:
        for _ in range(1_000):
            requests.sha256(TOOLS)
            events.append(cut)

    with pytest.raises(TranscriptError, match="shortens a long history too often"):
        shorten()


@pytest.mark.parametrize("is_marked", [False, True])
def test_each_request_costs_only_its_new_events(is_marked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dumped: list[object] = []

    def noted(value: object) -> str:
        dumped.append(value)
        return json.dumps(value)

    monkeypatch.setattr(module, "_dumped", noted)
    events: list[Event] = [started(explicit_cache=is_marked)]
    requests = Requests(events)
    for _ in range(200):
        events += [ran("1"), replied("2"), ModelFailed(turn=1, error="", attempts=[], request_sha256="", tools=[])]
        requests.sha256([])
    assert len(dumped) < 200 * 10
