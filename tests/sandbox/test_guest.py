"""The guest's pure parts: bounds, order, names. What needs a kernel is in tests/contract."""

import hashlib
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import Policy, frames
from sandbox.guest import main as guest
from sandbox.recording import Recording

MARK = b"0123456789abcdef"


class FakeSpool:
    """Takes what a spool file would hold."""

    def __init__(self) -> None:
        self.data = b""

    def add(self, data: bytes) -> None:
        self.data += data

    def close(self) -> dict[str, Any]:
        return {}


class FakeCell:
    """Takes what a stream sends and spools."""

    def __init__(self, head: int, tail: int) -> None:
        self.limits = {"stream_head_bytes": head, "stream_tail_bytes": tail}
        self.sent: list[tuple[dict[str, Any], bytes]] = []
        self.spool: FakeSpool | None = None

    def send(self, header: dict[str, Any], payload: bytes) -> None:
        self.sent.append((header, payload))

    def open_spool(self, name: str) -> FakeSpool:
        self.spool = FakeSpool()
        return self.spool


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(0, 50), st.integers(0, 50))
def test_a_stream_keeps_head_and_tail_counts_the_rest_and_spools_the_whole(
    pieces: list[bytes], head: int, tail: int
) -> None:
    cell: Any = FakeCell(head, tail)
    stream = guest.Stream(cell, "stdout")
    for piece in pieces:
        stream.add(piece)
    stream.finish()
    whole = b"".join(pieces)
    omitted = max(0, len(whole) - head - tail)
    assert sum(header.get("omitted_bytes", 0) for header, _ in cell.sent) == omitted
    assert b"".join(payload for _, payload in cell.sent) == (
        whole if not omitted else whole[:head] + (whole[-tail:] if tail else b"")
    )
    assert (cell.spool.data if cell.spool else None) == (whole if omitted else None)


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "spools"
    monkeypatch.setattr(guest, "SPOOL_DIR", str(folder))
    return folder


def test_a_spool_holds_the_start_of_what_is_over_its_limit(spools: Path) -> None:
    spool = guest.Spool("a.txt", 5)
    for piece in (b"abc", b"defg", b"h"):
        spool.add(piece)
    assert spool.close() == {"full_text_path": str(spools / "a.txt"), "full_text_bytes": 5}
    assert (spools / "a.txt").read_bytes() == b"abcde"


def test_the_oldest_spools_go_when_a_new_one_needs_their_room(spools: Path) -> None:
    kept = guest.Spools()
    for name in ("oldest", "old", "new", "now"):
        kept.open(name, 100).add(b"x" * 40)
    assert sorted(path.name for path in spools.iterdir()) == ["new", "now", "old"]


def test_a_spool_that_a_cell_has_removed_is_no_trouble(spools: Path) -> None:
    kept = guest.Spools()
    spool = kept.open("a", 0)
    (spools / "a").unlink()
    assert spool.close() == {}
    kept.open("b", 10).add(b"x" * 10)
    (spools / "b").unlink()
    kept.open("c", 5)


DEEP: list[object] = []
for _ in range(guest.MAX_JSON_DEPTH):
    DEEP = [DEEP]
MODEST = {"a": [1, "b", None, {"c": 2.5}]}


@pytest.mark.parametrize(("value", "modest"), [(MODEST, True), (DEEP, False), ([[]] * 200_000, False), ("x", True)])
def test_json_that_would_harm_who_parses_it_is_not_modest(value: object, modest: bool) -> None:
    assert guest.is_modest(value) is modest


def test_a_spool_folder_that_a_cell_has_replaced_is_left_alone(spools: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.txt").write_text("kept")
    spools.symlink_to(tmp_path / "elsewhere")
    spool = guest.Spool("a.txt", 100)
    spool.add(b"abc")
    assert spool.close() == {}
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["mine.txt"]


class Heard:
    """A host that decodes what it is sent, as the real one does."""

    def __init__(self) -> None:
        self.decoder = frames.Decoder()
        self.recording = Recording(1, Policy().max_cell_bytes, lambda _: None)
        self.frames: list[frames.Frame] = []

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        self.decoder.feed(guest.pack_frame(header, payload))
        while (frame := self.decoder.next()) is not None:
            self.frames.append(frame)
            self.recording.add(frame)


LIMITS = {"stream_head_bytes": 100, "stream_tail_bytes": 100, "spool_bytes": 100, "rich_bytes": 10_000}


@pytest.fixture
def heard(spools: Path) -> Heard:
    return Heard()


def cell_of(host: Heard, **limits: int) -> guest.Cell:
    owner: Any = SimpleNamespace(host=host, limits=LIMITS | limits, spools=guest.Spools())
    return guest.Cell(owner, 1, "")


HUGE = int("9" * 4300)
NESTED: list[object] = []
for _ in range(900):
    NESTED = [NESTED]
HOSTILE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=300)
    | st.sampled_from([HUGE, -HUGE, NESTED]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([
    "data", "metadata", "text/plain", guest.OMITTED, "execution_count", "ename", "evalue", "traceback", "text", "name",
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
        for kind in guest.RICH_MESSAGES:
            cell.on_rich(kind, content, 1000)
        for kind in ("status", "stream"):
            cell.on_iopub(kind, content)
        cell.on_reply(content)
    cell.finish("ok", None, state_lost=False)
    done = heard.frames[-1].header
    assert isinstance(done, frames.Done)
    assert 0 <= done.omitted_output_bytes <= guest.MAX_COUNT


@given(HOSTILE, st.booleans())
def test_the_parts_of_a_json_text_are_counted_and_not_what_its_texts_hold(value: Any, is_escaped: bool) -> None:
    packed = json.dumps([value, '[{,\\"' * 20, "\\"], ensure_ascii=is_escaped).encode("utf-8", "replace")
    parts = guest.count_openings(re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', packed))
    assert guest.count_parts(packed, parts) == parts
    assert guest.count_parts(packed, parts - 1) == parts


def shown_by(heard: Heard) -> list[dict[str, Any]]:
    return [json.loads(frame.payload)["data"] for frame in heard.frames]


@given(
    st.dictionaries(st.text(max_size=5) | st.just("text/plain"), st.text(max_size=60), max_size=9), st.integers(30, 400)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_largest_representations_go_first_and_are_counted(spools: Path, data: dict[str, str], limit: int) -> None:
    heard = Heard()
    cell = cell_of(heard, rich_bytes=limit)
    cell.on_rich("display_data", {"data": dict(data)}, 1000)
    [kept] = shown_by(heard) or [{}]
    dropped = data.keys() - kept.keys()
    assert bool(dropped) == (cell.rich_omitted_bytes > 0)
    assert sum(len(frame.payload) for frame in heard.frames) <= limit
    assert "text/plain" not in dropped or not kept
    sizes = {kind: len(guest.pack_json(kind) + guest.pack_json(data[kind])) for kind in data if kind != "text/plain"}
    assert all(sizes[big] >= sizes[small] for big in dropped & sizes.keys() for small in kept.keys() & sizes.keys())


def test_a_bundle_of_many_kinds_takes_time_by_its_size_and_keeps_its_text(heard: Heard) -> None:
    cell = cell_of(heard, rich_bytes=16 << 20)
    data = {f"a/{number}": "x" * 400 for number in range(99_000)} | {"text/plain": "kept"}
    cell.on_rich("display_data", {"data": data}, 1000)
    [kept] = shown_by(heard)
    assert (len(kept), kept["text/plain"]) == (guest.MAX_KINDS, "kept")
    assert cell.rich_omitted_bytes > 400 * (99_000 - guest.MAX_KINDS)


@pytest.mark.parametrize("text", ["\n", "\x01", "\U0001f600"])
def test_a_traceback_that_grows_in_its_frame_is_within_the_hosts_limit(heard: Heard, text: str) -> None:
    cell = cell_of(heard, stream_head_bytes=16 << 20, stream_tail_bytes=16 << 20)
    cell.on_rich("error", {"traceback": [text * 20_000_000]}, 1000)
    cell.finish("ok", None, state_lost=False)
    assert len(heard.frames) + cell.rich_omitted == 2


def test_errors_without_a_traceback_come_to_an_end(heard: Heard) -> None:
    cell = cell_of(heard)
    for _ in range(1000):
        cell.on_rich("error", {"evalue": "x" * 9000, "traceback": []}, 1000)
    cell.finish("ok", None, state_lost=False)
    assert sum(len(frame.payload) for frame in heard.frames) < 2 * guest.MAX_ERRORS_BYTES
    assert cell.rich_omitted > 800


class Recorded(guest.Merger):
    """A merger that notes what it would give to a cell."""

    def __init__(self) -> None:
        kernel: Any = SimpleNamespace(mark=MARK, stdout_fd=-1, stderr_fd=-1)
        super().__init__(kernel)
        self.said: list[tuple[str, bytes]] = []

    def read_all(self) -> None:
        pass

    def feed(self, data: bytes) -> None:
        self._stdout += data
        self._merge()

    def _add_text(self, name: str, data: bytes) -> None:
        if data and self.said and self.said[-1][0] == name:
            self.said[-1] = (name, self.said[-1][1] + data)
        elif data:
            self.said.append((name, data))

    def _add_rich(self, message: dict[str, Any]) -> None:
        self.said.append(("rich", message["n"]))


def stderr_mark(data: bytes) -> bytes:
    return MARK + guest.MARK_STDERR + len(data).to_bytes(2, "big") + data


@given(st.integers(1, 200))
def test_what_was_said_is_put_back_in_order_however_it_arrives(chunk: int) -> None:
    wire = b"a" + MARK + guest.MARK_RICH + b"b" + stderr_mark(b"oops") + b"c0123" + MARK + guest.MARK_RICH
    merger = Recorded()
    waiting = [b"1", b"2"]
    for start in range(0, len(wire), chunk):
        merger.feed(wire[start : start + chunk])
        while merger.blocked and waiting:
            merger.add_rich({"n": waiting.pop(0), "size_bytes": 1})
    merger.finish()
    assert merger.said == [
        ("stdout", b"a"), ("rich", b"1"), ("stdout", b"b"), ("stderr", b"oops"), ("stdout", b"c0123"), ("rich", b"2"),
    ]  # fmt: skip


def test_a_rich_output_that_never_comes_holds_nothing_back() -> None:
    merger = Recorded()
    merger.feed(b"a" + MARK + guest.MARK_RICH + b"b")
    assert merger.said == [("stdout", b"a")]
    merger.finish()
    assert merger.said == [("stdout", b"ab")]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "x\0y"])
def test_a_name_that_leaves_the_workspace_is_refused(name: str) -> None:
    with pytest.raises(guest.RefusedError, match="not inside /workspace"):
        guest.workspace_path(name)


@pytest.mark.parametrize("name", ["a", "a/b.csv", "./a", "图.png"])
def test_a_name_inside_the_workspace_is_taken(name: str) -> None:
    assert guest.workspace_path(name).startswith("/workspace/")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(36, "File name too long", "x"), "File name too long: 'x'"),
        (OSError("no number"), "no number"),
        (guest.RefusedError("'x' is no file"), "'x' is no file"),
        (RecursionError(), "RecursionError"),
        (ValueError("x" * 5000), "x" * guest.MAX_REASON_CHARS),
    ],
)
def test_any_error_of_a_request_is_one_line_without_what_is_not_known(error: Exception, reason: str) -> None:
    assert guest.reason_for(error) == reason


@pytest.fixture
def fifo(tmp_path: Any) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


def test_a_fifo_is_refused_without_waiting(fifo: str) -> None:
    with pytest.raises(guest.RefusedError, match="not a regular file"):
        guest.open_regular(fifo)


@pytest.mark.parametrize(
    ("wait_status", "ooms", "cause"),
    [
        (0, 0, "exit"),
        (3 << 8, 0, "exit"),
        (9, 1, "out_of_memory"),
        (9, 0, "signal SIGKILL"),
        (11, 0, "signal SIGSEGV"),
    ],
)
def test_causes_of_death_are_told_apart(wait_status: int, ooms: int, cause: str) -> None:
    assert guest.describe_death(wait_status, ooms) == cause


@given(st.text(max_size=200), st.integers(0, 50), st.integers(0, 50))
def test_a_text_is_cut_between_characters_and_the_count_is_exact(text: str, head: int, tail: int) -> None:
    data = text.encode("utf-8", "replace")
    cut, omitted_bytes = guest.cut_text(data, head, tail)
    if not omitted_bytes:
        assert cut.encode() == data
        return
    start, _, end = cut.partition(f"\n[... {omitted_bytes} bytes left out ...]\n")
    assert data.startswith(start.encode())
    assert data.endswith(end.encode())
    assert len(start.encode()) + omitted_bytes + len(end.encode()) == len(data)
    assert len(start.encode()) <= head
    assert len(end.encode()) <= tail


def test_only_the_init_of_a_container_kills_everything() -> None:
    with pytest.raises(RuntimeError, match="only the init"):
        guest.kill_all_but(set())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guest, "WORKSPACE", str(tmp_path))
    return tmp_path


def test_a_listing_passes_over_what_is_no_regular_file(workspace: Path) -> None:
    (workspace / "b.txt").write_text("12")
    (workspace / "a").mkdir()
    (workspace / "a" / "c.txt").write_text("3")
    (workspace / ".hidden").mkdir()
    (workspace / ".hidden" / "d.txt").write_text("4")
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "away").symlink_to("/etc")
    os.mkfifo(workspace / "fifo")
    found = guest.list_workspace(10, hashed=True, on_work=lambda: None)
    assert [(file["name"], file["size_bytes"], file["sha256"]) for file in found] == [
        ("b.txt", 2, hashlib.sha256(b"12").hexdigest()),
        ("a/c.txt", 1, hashlib.sha256(b"3").hexdigest()),
    ]
    assert len(guest.list_workspace(1, hashed=False, on_work=lambda: None)) == 1


def test_a_name_that_is_not_utf8_is_listed_with_escapes(workspace: Path) -> None:
    Path(os.fsdecode(os.fsencode(workspace) + b"/\xff.txt")).write_text("")
    assert [file["name"] for file in guest.list_workspace(10, hashed=True, on_work=lambda: None)] == ["\\xff.txt"]


def test_a_folder_that_is_a_link_leads_nowhere(workspace: Path) -> None:
    (workspace / "away").symlink_to("/etc")
    with pytest.raises(guest.RefusedError, match="'away/passwd' is not inside"):
        guest.workspace_path("away/passwd")


def test_a_file_that_grows_while_it_is_read_comes_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(bytes(guest.CHUNK_BYTES + 1))
    size_bytes = 0
    with path.open("rb") as file, path.open("ab", buffering=0) as writer:
        for piece in guest.read_pieces(file.fileno(), 1 << 30):
            size_bytes += len(piece)
            writer.write(piece)
    assert size_bytes == guest.CHUNK_BYTES + 1


def test_a_file_that_grows_without_end_after_it_was_listed_is_not_hashed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace / "f"
    path.write_bytes(b"")
    lstat = os.lstat

    def lstat_and_grow(path: str) -> os.stat_result:
        info = lstat(path)
        os.truncate(path, 1 << 40)
        return info

    monkeypatch.setattr(os, "lstat", lstat_and_grow)
    work: list[None] = []
    [file] = guest.list_workspace(10, True, lambda: work.append(None))
    assert (file["sha256"], len(work)) == (None, 1)


def test_links_to_one_file_are_hashed_once(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "f0").write_bytes(b"x" * 100)
    for number in range(1, 2000):
        os.link(workspace / "f0", workspace / f"f{number}")
    hashed: list[str] = []

    def hash_file(path: str, on_work: object) -> str:
        hashed.append(path)
        return "hash"

    monkeypatch.setattr(guest, "hash_file", hash_file)
    assert {file["sha256"] for file in guest.list_workspace(10_000, True, lambda: None)} == {"hash"}
    assert len(hashed) == 1


class FakeHost:
    """Takes what a guest says about its work."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.sent: list[dict[str, Any]] = []

    def is_waiting(self) -> bool:
        return self.waits

    def send(self, header: dict[str, Any]) -> None:
        self.sent.append(header)


def test_the_host_hears_that_a_long_answer_is_worked_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "WORKING_S", -1.0)
    (workspace / "f").write_bytes(bytes(3 * guest.CHUNK_BYTES))
    host: Any = FakeHost(waits=False)
    guest.list_workspace(10, True, guest.Work(host, 7).go_on)
    assert host.sent == [{"type": "working", "id": 7}] * 4  # a folder, and three pieces of a file


def test_work_that_nobody_waits_for_any_more_ends(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "WORKING_S", -1.0)
    host: Any = FakeHost(waits=True)
    with pytest.raises(guest.AbandonedError):
        guest.list_workspace(10, True, guest.Work(host, 7).go_on)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=12), st.integers(0, 1 << 18))
def test_data_and_holes_make_the_file(tmp_path_factory: pytest.TempPathFactory, parts: Any, max_bytes: int) -> None:
    path = tmp_path_factory.mktemp("holes") / "f"
    with path.open("wb") as file:
        for is_data, pages in parts:
            if is_data:
                file.write(b"x" * (pages * 4096 + pages))
            else:
                file.seek(pages * 8192, os.SEEK_CUR)
        file.truncate()
    with path.open("rb") as file:
        pieces = guest.data_and_holes(file.fileno(), max_bytes)
        assert b"".join(bytes(p) if isinstance(p, int) else p for p in pieces) == path.read_bytes()[:max_bytes]
