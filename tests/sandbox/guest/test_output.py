"""Whatever a kernel says becomes frames within the limits of a cell and of the host."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import Policy, frames
from sandbox.guest.cell import Cell
from sandbox.guest.messages import OMITTED, RICH_MESSAGES
from sandbox.guest.output import MAX_ERRORS_BYTES, MAX_KINDS, CellOutput
from sandbox.guest.spool import Spools
from sandbox.guest.untrusted import MAX_COUNT
from sandbox.guest.wire import pack_frame, pack_json
from sandbox.recording import Recording
from tests.sandbox.guest.hostile import HOSTILE


class Heard:
    """A host that decodes what it is sent, as the real one does."""

    def __init__(self) -> None:
        self.decoder = frames.Decoder()
        self.recording = Recording(1, Policy().max_cell_bytes, lambda _: None)
        self.frames: list[frames.Frame] = []

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        self.decoder.feed(pack_frame(header, payload))
        while (frame := self.decoder.next()) is not None:
            self.frames.append(frame)
            self.recording.add(frame)


LIMITS = {"stream_head_bytes": 100, "stream_tail_bytes": 100, "spool_bytes": 100, "rich_bytes": 10_000}


@pytest.fixture
def heard(spools: Path) -> Heard:
    return Heard()


def cell_of(host: Heard, **limits: int) -> Cell:
    return Cell(1, "", CellOutput(1, LIMITS | limits, host.send, Spools()))


def message(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"header": {"msg_type": kind}, "parent_header": {"msg_id": ""}, "content": content, "size_bytes": 1000}


NAMES = st.sampled_from([
    "data", "metadata", "text/plain", OMITTED, "execution_count", "ename", "evalue", "traceback", "text", "name",
    "status", "payload", "execution_state",
])  # fmt: skip
CONTENTS = st.dictionaries(NAMES, HOSTILE | st.dictionaries(NAMES, HOSTILE, max_size=3) | st.lists(HOSTILE, max_size=4))


@given(st.lists(CONTENTS, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_kernel_says_becomes_frames_that_the_host_takes(
    heard: Heard, contents: list[dict[str, Any]]
) -> None:
    cell = cell_of(heard)
    for content in contents:
        for kind in RICH_MESSAGES:
            cell.on_rich(message(kind, content))
        for kind in ("status", "stream"):
            cell.on_iopub(kind, content)
        cell.on_reply(content)
    cell.finish("ok", None, state_lost=False)
    done = heard.frames[-1].header
    assert isinstance(done, frames.Done)
    assert 0 <= done.omitted_output_bytes <= MAX_COUNT


def shown_by(heard: Heard) -> list[dict[str, Any]]:
    return [json.loads(frame.payload)["data"] for frame in heard.frames]


@given(
    st.dictionaries(st.text(max_size=5) | st.just("text/plain"), st.text(max_size=60), max_size=9), st.integers(30, 400)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_largest_representations_go_first_and_are_counted(spools: Path, data: dict[str, str], limit: int) -> None:
    heard = Heard()
    cell = cell_of(heard, rich_bytes=limit)
    cell.on_rich(message("display_data", {"data": dict(data)}))
    [kept] = shown_by(heard) or [{}]
    dropped = data.keys() - kept.keys()
    assert bool(dropped) == (cell.output.omitted_bytes > 0)
    assert sum(len(frame.payload) for frame in heard.frames) <= limit
    assert "text/plain" not in dropped or not kept
    sizes = {kind: len(pack_json(kind) + pack_json(data[kind])) for kind in data if kind != "text/plain"}
    assert all(sizes[big] >= sizes[small] for big in dropped & sizes.keys() for small in kept.keys() & sizes.keys())


def test_a_bundle_of_many_kinds_takes_time_by_its_size_and_keeps_its_text(heard: Heard) -> None:
    cell = cell_of(heard, rich_bytes=16 << 20)
    data = {f"a/{number}": "x" * 400 for number in range(99_000)} | {"text/plain": "kept"}
    cell.on_rich(message("display_data", {"data": data}))
    [kept] = shown_by(heard)
    assert (len(kept), kept["text/plain"]) == (MAX_KINDS, "kept")
    assert cell.output.omitted_bytes > 400 * (99_000 - MAX_KINDS)


@pytest.mark.parametrize("text", ["\n", "\x01", "\U0001f600"])
def test_a_traceback_that_grows_in_its_frame_is_within_the_hosts_limit(heard: Heard, text: str) -> None:
    cell = cell_of(heard, stream_head_bytes=16 << 20, stream_tail_bytes=16 << 20)
    cell.on_rich(message("error", {"traceback": [text * 20_000_000]}))
    cell.finish("ok", None, state_lost=False)
    assert len(heard.frames) + cell.output.omitted_outputs == 2


def test_errors_without_a_traceback_come_to_an_end(heard: Heard) -> None:
    cell = cell_of(heard)
    for _ in range(1000):
        cell.on_rich(message("error", {"evalue": "x" * 9000, "traceback": []}))
    cell.finish("ok", None, state_lost=False)
    assert sum(len(frame.payload) for frame in heard.frames) < 2 * MAX_ERRORS_BYTES
    assert cell.output.omitted_outputs > 800
