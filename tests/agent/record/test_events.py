"""Any event is read from a run directory as it was written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Attempt, ToolCall, Usage
from agent.record.events import Asked, Event, Instructed, ModelReplied, RunFinished, SandboxChanged, ToolRan
from agent.record.reading import read
from agent.record.transcript import Transcript
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, StreamOutput
from tests.samples import said

TEXT = (
    st.text(st.characters(exclude_categories=[]), max_size=20)
    | st.just("long " * 1000)
    | st.just("\ud83d\ude00 \udc00 \x00\x1b\n\u2028")
)
"""Texts, also with lone surrogates, which JSON can contain."""
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
DATA: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.just("$text"), inner, max_size=3),
    max_leaves=8,
)
BUNDLES = st.dictionaries(TEXT, DATA, max_size=3)
HASHES = st.sampled_from(["", "0" * 64, "0123456789abcdef" * 4])
COUNTS = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e9)
OUTPUTS = st.one_of(
    st.builds(StreamOutput, name=st.sampled_from(["stdout", "stderr"]), text=TEXT, omitted_bytes=COUNTS),
    st.builds(DisplayData, data=BUNDLES, metadata=BUNDLES),
    st.builds(ExecuteResult, execution_count=st.none() | COUNTS, data=BUNDLES),
    st.builds(ErrorOutput, ename=TEXT, evalue=TEXT, traceback=st.lists(TEXT, max_size=3)),
)
EXECUTIONS = st.builds(
    Execution,
    status=st.sampled_from(["ok", "error", "timeout", "died"]),
    outputs=st.lists(OUTPUTS, max_size=3),
    duration_s=SECONDS,
    cause=st.none() | TEXT,
)
CALLS = st.builds(ToolCall, id=TEXT, name=TEXT, arguments=TEXT)
ATTEMPTS = st.builds(Attempt, error=TEXT, status=st.none() | COUNTS, waited_s=SECONDS)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Asked, task=TEXT, files=st.just([])),
    st.builds(
        ModelReplied,
        turn=COUNTS,
        content=TEXT,
        reasoning=TEXT,
        tool_calls=st.lists(CALLS, max_size=2),
        finish_reason=st.none() | TEXT,
        usage=st.builds(Usage, input_tokens=COUNTS),
        duration_s=SECONDS,
        attempts=st.lists(ATTEMPTS, max_size=2),
        request_sha256=HASHES,
        raw_content=st.none() | TEXT,
    ),
    st.builds(
        ToolRan, tool=TEXT, call_id=TEXT, arguments=TEXT, code=TEXT, execution=st.none() | EXECUTIONS, observation=TEXT
    ),
    st.builds(Instructed, reason=st.just("no_code"), text=TEXT),
    st.builds(SandboxChanged, kind=st.just("started"), reason=TEXT),
    st.builds(
        RunFinished,
        outcome=st.just("answered"),
        answer=st.none() | TEXT,
        error=st.none(),
        usage=st.just(Usage()),
        cost=st.none(),
        duration_s=SECONDS,
        artifacts=st.just([]),
    ),
)


@given(events=st.lists(EVENTS, min_size=1, max_size=3))
def test_any_event_is_read_as_it_was_recorded(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> None:
    run = tmp_path_factory.mktemp("runs") / "run"
    with Transcript(run) as transcript:
        recorded = [transcript.append(said(event)) for event in events]
    assert read(run).events == recorded
