"""The promises of all formats: any transcript gives valid text, and equal runs give equal text."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agent
from agent import TranscriptError, UsageError
from agent.export.formats import FORMATS, exported
from agent.export.py import is_valid
from agent.messages import ToolCall
from agent.record.directory import is_inside
from agent.record.events import (
    Asked,
    Event,
    GivenFile,
    HistoryShortened,
    Instructed,
    Resumed,
    RunFinished,
    SandboxChanged,
    Shortening,
    ToolRan,
)
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, StreamOutput
from tests.agent.export.notebooks import check_notebook
from tests.agent.export.responses_api import check_items
from tests.agent.export.runs import cell, finished, placed, replied, run, started
from tests.golden.writing import RUNS
from tests.samples import STARTED, said


def test_an_unknown_format_is_refused_with_a_list_of_the_formats(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        agent.export_run(tmp_path, "pdf")
    assert caught.value.for_shell == (
        "There is no format 'pdf'; there are ipynb, md, html, py, messages, responses. "
        "Try: cellblock export RUN --to html"
    )


def test_a_missing_run_is_refused() -> None:
    with pytest.raises(TranscriptError, match=r"^No run at '/nowhere': No such file or directory\. Try: ls runs$"):
        agent.export_run("/nowhere", "md")


def test_a_run_is_exported_from_its_directory_or_its_transcript() -> None:
    assert agent.export_run(str(RUNS / "plain"), "md") == agent.export_run(RUNS / "plain" / "transcript.jsonl", "md")


_hostile_text = st.text(alphabet=st.characters(), max_size=60) | st.sampled_from(
    ["\ud800", "\udfff\ud83d", "\x00\x1b[31m\x1b]0;t\x07", "```\n````", "</script>]]>-->", "<!-- <p>", "a\r\rb\x85",
     "'''\\", '"""', "%%bash\nls", "!ls {x}\n%time x = 1\ny = !ls", "await x", "from __future__ import annotations",
     "global x\nx = 1", "return", "\\", "|", "# coding: latin-1", "- [ ] <details>", "$$", "{" * 50, ">" * 50]
)  # fmt: skip
hostile_text = st.deferred(lambda: _hostile_text)
"""Deferred, so that a failure prints a short description."""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | hostile_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile_text, inner, max_size=3),
    max_leaves=8,
)
mimes = hostile_text | st.sampled_from(
    ["text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/svg+xml", "image/jpeg",
     "application/json", "application/vnd.x+json", "application/javascript"]
)  # fmt: skip
bundles = st.dictionaries(mimes, json_values, max_size=4)
outputs = (
    st.builds(StreamOutput, name=st.sampled_from(["stdout", "stderr"]), text=hostile_text, omitted_bytes=st.integers(0))
    | st.builds(DisplayData, data=bundles, metadata=st.dictionaries(hostile_text, json_values, max_size=1))
    | st.builds(ExecuteResult, data=bundles, execution_count=st.none() | st.integers(0))
    | st.builds(ErrorOutput, ename=hostile_text, evalue=hostile_text, traceback=st.lists(hostile_text, max_size=3))
)
executions = st.builds(
    Execution,
    status=st.sampled_from(["ok", "error", "timeout", "died"]),
    outputs=st.lists(outputs, max_size=4),
    execution_count=st.none() | st.integers(0),
    cause=st.none() | st.sampled_from(["timeout", "out_of_memory", "signal SIGSEGV"]) | hostile_text,
    state_lost=st.booleans(),
    files_lost=st.booleans(),
    oom_kills=st.integers(0, 2),
    omitted_outputs=st.integers(0, 2),
)
names, hashes = hostile_text.filter(is_inside), st.sampled_from(["0" * 64, "0123456789abcdef" * 4])
files = st.lists(st.builds(GivenFile, name=names, size_bytes=st.integers(0, 2**53), sha256=hashes), max_size=2)
tool_calls = st.builds(ToolCall, id=hostile_text, name=hostile_text | st.just("run_python"), arguments=hostile_text)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(started, hostile_text),
    st.builds(Asked, task=hostile_text, files=files),
    st.builds(lambda text, thought, calls: replied(text, *calls, reasoning=thought), hostile_text, hostile_text,
              st.lists(tool_calls, max_size=2)),
    st.builds(ToolRan, tool=st.just("run_python") | hostile_text, call_id=hostile_text, arguments=hostile_text,
              code=st.none() | hostile_text, execution=st.none() | executions, observation=hostile_text),
    st.builds(Instructed, reason=st.sampled_from(["limit", "stopped"]), text=hostile_text),
    st.builds(HistoryShortened, observations=st.lists(st.builds(Shortening, seq=st.integers(0, 9),
              max_chars=st.integers(0, 9), content=hostile_text), max_size=2)),
    st.builds(Resumed, cellblock_version=hostile_text, cellblock_sha256=hashes, torn_bytes=st.integers(0, 2**53),
              different=st.lists(hostile_text, max_size=2), settings=st.just(STARTED.settings),
              limits=st.just(STARTED.limits)),
    st.builds(SandboxChanged, kind=st.sampled_from(["started", "restarted", "stopped"]), reason=hostile_text),
    st.builds(finished, st.none() | hostile_text),
).map(said)  # fmt: skip
CHECKS: dict[str, Callable[[str], object]] = {
    "ipynb": check_notebook,
    "md": lambda text: None,
    "html": lambda text: None,
    "py": lambda text: is_valid(text) or pytest.fail(text),
    "messages": lambda text: json.loads(text)["messages"],
    "responses": check_items,
}


@pytest.mark.parametrize("to", FORMATS)
@given(history=st.lists(events, max_size=8), normalize=st.booleans())
@settings(deadline=None, max_examples=60)
def test_whatever_a_transcript_holds_is_exported_to_valid_text(to: str, history: list[Event], normalize: bool) -> None:
    text = exported(placed(history), to, normalize=normalize)
    assert text.encode().endswith(b"\n")
    CHECKS[to](text)


LONG: dict[str, list[Event]] = {
    "a stream": cell("1", Execution(status="ok", outputs=[StreamOutput(name="stdout", text="<a`\n" * 2_500_000)])),
    "html": cell("1", Execution(status="ok", outputs=[DisplayData(data={"text/html": "<b a><p>" * 1_250_000})])),
    "svg": cell("1", Execution(status="ok", outputs=[DisplayData(data={"image/svg+xml": "<svg>" * 2_000_000})])),
    "markdown": cell("1", Execution(status="ok", outputs=[DisplayData(data={"text/markdown": "*a **" * 2_000_000})])),
    "code": cell("'" * 10_000_000, Execution(status="ok")),
    "code in lines": cell("!x {\n" * 2_000_000, Execution(status="ok")),
    "what the model wrote": [replied("[" * 10_000_000, reasoning="`" * 10_000_000)],
}


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("what", LONG)
def test_ten_megabytes_are_exported_whole_and_in_time(what: str, to: str) -> None:
    text = exported(run(LONG[what]), to)
    if to not in ("messages", "py"):  # where outputs are what the model read, or are none
        assert len(text) >= 10_000_000


def two_runs() -> list[list[Event]]:
    """The same run, recorded twice: only what depends on the machine differs."""
    made = []
    for place, address in enumerate(("0x7f44d4e18220", "0x7fb465434220")):
        data: dict[str, Any] = {"text/plain": f"<function f at {address}>"}
        execution = Execution(
            status="timeout", cause="interrupted", duration_s=1.5 + place, outputs=[ExecuteResult(data=data)]
        )
        text = f"<function f at {address}>\nThe code was stopped from outside after {2 + place} s."
        events = run(cell("f", execution, observation=text))
        made.append([
            event.model_copy(update={"time": f"2026-01-0{place + 1}T03:04:05.000+00:00", "sha256": str(place)})
            for event in events
        ])  # fmt: skip
    first, second = made
    second[0] = second[0].model_copy(update={"run_id": "another"})
    return [first, second]


@pytest.mark.parametrize("to", FORMATS)
def test_two_equal_runs_are_equal_when_they_are_normalized(to: str) -> None:
    first, second = two_runs()
    assert exported(first, to, normalize=True) == exported(second, to, normalize=True)


@pytest.mark.parametrize("to", ["ipynb", "md", "html", "messages", "responses"])
def test_without_it_they_differ(to: str) -> None:
    first, second = two_runs()
    assert exported(first, to) != exported(second, to)


def test_a_different_run_still_differs_when_it_is_normalized() -> None:
    one, other = run(cell("1", Execution(status="ok"))), run(cell("2", Execution(status="ok")))
    assert exported(one, "py", normalize=True) != exported(other, "py", normalize=True)


def test_an_answer_that_was_said_earlier_is_shown_at_the_end() -> None:
    """At a limit on money or time, the answer is the last text that the model wrote."""
    end: RunFinished = finished("Perhaps 41.").model_copy(update={"outcome": "limit", "limit": "seconds"})
    call = ToolCall(id="a", name="run_python", arguments='{"code": "1"}')
    text = exported(placed([started(), replied("Perhaps 41.", call), end]), "md")
    assert text.endswith("## Answer\n\nPerhaps 41.\n\n---\n\nOutcome: limit (seconds), 0 + 0 tokens, 2.2 s\n")


def test_a_resumed_run_says_so_and_has_its_last_end() -> None:
    resumed = Resumed(
        cellblock_version="0", cellblock_sha256="", torn_bytes=0, different=["2"], settings=STARTED.settings,
        limits=STARTED.limits,
    )  # fmt: skip
    first: RunFinished = finished(None).model_copy(update={"outcome": "limit", "limit": "turns"})
    text = exported(placed([started(), first, resumed, replied("That."), finished("That.")]), "md")
    assert "> The run was resumed: its cells were run again in a new sandbox; cells 2 gave something else.\n" in text
    assert text.endswith("## Answer\n\nThat.\n\n---\n\nOutcome: answered, 0 + 0 tokens, 2.2 s\n")
    assert "limit" not in text
