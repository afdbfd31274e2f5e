"""When a cell or file is the same, the same after normalisation or different, and when a difference is explained."""

import base64
import difflib
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.replay.comparing import (
    MAX_MATCHED_LINES,
    NOT_STOPPED,
    STOPPED_ELSEWHERE,
    Comparison,
    compare,
    compare_cells,
    is_chance,
)
from agent.replay.normalising import normalised
from agent.replay.showing import PNG, Shown, about_picture, shown_file
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput
from tests.agent.replay.test_normalising import EQUAL

DAYS = ("2026-01-31", "2026-02-01")


def cell(*outputs: Output, status: str = "ok", **values: object) -> Execution:
    return Execution.model_validate({"status": status, "outputs": outputs, **values})


def out(text: str) -> StreamOutput:
    return StreamOutput(name="stdout", text=text)


def err(text: str) -> StreamOutput:
    return StreamOutput(name="stderr", text=text)


def stopped(text: str, line: int = 1, ename: str = "KeyboardInterrupt", **values: object) -> Execution:
    error = ErrorOutput(ename=ename, evalue="", traceback=[f"line {line}"])
    return cell(out(text), error, status="timeout", cause="timeout", **values)


def verdict(recorded: Execution, replayed: Execution) -> str:
    return compare_cells(recorded, replayed, DAYS).verdict


def test_the_same_output_is_the_same_whatever_its_duration() -> None:
    assert compare_cells(cell(out("1\n"), duration_s=1), cell(out("1\n"), duration_s=2), DAYS) == Comparison("same")


def test_a_difference_comes_with_a_readable_diff() -> None:
    compared = compare_cells(cell(out("x\n1\n")), cell(out("x\n2\n")), DAYS)
    assert compared.diff == (
        "--- recorded", "+++ replayed", "@@ -1,3 +1,3 @@", " stdout| x", "-stdout| 1", "+stdout| 2", " stdout| ",
    )  # fmt: skip
    assert not compared.is_explained


def test_an_address_is_the_same_after_normalisation() -> None:
    one, other = [ExecuteResult(data={"text/plain": f"<object at 0x7f00000000{n}>"}) for n in ("aa", "bb")]
    assert verdict(cell(one), cell(other)) == "same_after_normalisation"


@pytest.mark.parametrize("case", EQUAL)
def test_meaningless_differences_are_ignored_in_every_kind_of_output(case: str) -> None:
    one, other = EQUAL[case]
    for kind in ("text/plain", "text/html"):
        values = [ExecuteResult(data={kind: text}) for text in (one, other)]
        assert verdict(cell(values[0]), cell(values[1])) == "same_after_normalisation"
    assert verdict(cell(out(one)), cell(out(other))) == "same_after_normalisation"
    errors = [ErrorOutput(ename="E", evalue="", traceback=text.split("\n")) for text in (one, other)]
    assert verdict(cell(errors[0]), cell(errors[1])) == "same_after_normalisation"


@pytest.mark.parametrize("ename", ["KeyboardInterrupt", "CancelledError", "RuntimeError"])
def test_a_stopped_cell_may_end_with_any_error(ename: str) -> None:
    assert verdict(stopped("begun\n"), stopped("begun\n", 2, ename)) == "same_after_normalisation"
    assert verdict(stopped("begun\n", 1, ename), stopped("other\n")) == "different"
    begun, error = stopped("begun\n", 3, ename).outputs
    early, late = ([begun, error, out("more\n")], [begun, out("more\n"), error])
    one, other = (cell(*outputs, status="timeout", cause="timeout") for outputs in (early, late))
    assert verdict(one, other) == "same_after_normalisation"


def test_the_time_limit_explains_a_stopped_cell_that_now_finishes() -> None:
    compared = compare_cells(stopped("1\n2\n"), cell(out("1\n2\n3\n")), DAYS)
    assert (compared.verdict, compared.why) == ("different", NOT_STOPPED)
    assert not compare_cells(stopped("1\n2\n"), cell(out("1\n3\n")), DAYS).is_explained
    assert not compare_cells(cell(out("1\n2\n")), stopped("1\n"), DAYS).is_explained


def test_another_ending_is_different() -> None:
    assert verdict(cell(out("1")), cell(out("1"), status="error")) == "different"
    assert verdict(cell(status="died", cause="exit"), cell(status="died", cause="signal SIGSEGV")) == "different"
    assert verdict(cell(out("1")), cell(out("1"), state_lost=True)) == "different"


def test_text_in_another_stream_or_without_its_last_newline_is_different() -> None:
    assert verdict(cell(out("1")), cell(err("1"))) == "different"
    assert verdict(cell(out("1")), cell(out("1\n"))) == "different"


def test_the_order_between_streams_may_change_but_not_within_one() -> None:
    one = cell(out("a\n"), err("b\n"), out("c\n"))
    assert verdict(one, cell(out("a\n"), out("c\n"), err("b\n"))) == "same_after_normalisation"
    assert verdict(one, cell(out("c\n"), err("b\n"), out("a\n"))) == "different"


def test_a_stopped_cell_is_the_same_if_one_text_begins_with_the_other() -> None:
    compared = compare_cells(stopped("1\n2\n3\n", line=2), stopped("1\n2\n", line=3), DAYS)
    assert compared == Comparison("same_after_normalisation", STOPPED_ELSEWHERE)
    assert verdict(stopped("1\n2\n"), stopped("1\n3\n")) == "different"
    assert verdict(stopped("1\n2\n"), stopped("1\n2\n3\n", state_lost=True)) == "different"


def test_a_stopped_cell_with_a_gap_is_compared_up_to_the_gap() -> None:
    tail = [StreamOutput(name="stdout", text=f"{n}\n", omitted_bytes=n) for n in (5, 6)]
    one, other = [cell(out("1\n2\n"), gap, status="timeout", cause="timeout") for gap in tail]
    assert verdict(one, other) == "same_after_normalisation"
    assert verdict(cell(out("1"), tail[0]), cell(out("1"), tail[1])) == "different"


def png(pixels: bytes, note: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", len(pixels), 1, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"tEXt", note), (b"IDAT", zlib.compress(b"\0" + pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def plot(data: bytes) -> Execution:
    return cell(DisplayData(data={"image/png": base64.b64encode(data).decode()}))


def test_pictures_are_compared_by_their_visible_parts() -> None:
    assert verdict(plot(png(b"\1\2", b"a")), plot(png(b"\1\2", b"b"))) == "same_after_normalisation"
    assert verdict(plot(png(b"\1\2", b"a")), plot(png(b"\1\3", b"a"))) == "different"
    assert compare(shown_file(png(b"\1", b"a"), ""), shown_file(png(b"\1", b"b"), "")).verdict != "different"


def text(*lines: str) -> Shown:
    return Shown(list(lines), list(lines))


def test_a_difference_is_explained_if_the_replays_differ_too_and_share_only_recorded_lines() -> None:
    assert is_chance(text("a", "0.1"), [text("a", "0.2"), text("a", "0.3")])
    assert not is_chance(text("a", "0.1"), [text("a", "0.2"), text("a", "0.2")])
    assert not is_chance(text("a", "0.1"), [text("b", "0.2"), text("b", "0.3")])


@given(st.binary(max_size=300))
def test_any_file_is_the_same_as_itself(data: bytes) -> None:
    for content in (data, b"\x89PNG\r\n\x1a\n" + data):
        assert compare(shown_file(content, ""), shown_file(content, "")) == Comparison("same")


@given(st.text(max_size=80), st.text(max_size=80))
def test_texts_that_differ_beyond_the_rules_are_different(one: str, other: str) -> None:
    if normalised(one, DAYS[0]) != normalised(other, DAYS[1]):
        assert verdict(cell(out(one)), cell(out(other))) == "different"


def packed_png(*bodies: bytes) -> bytes:
    """A PNG with one header and these compressed lines."""
    header = b"\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0"
    chunks = [(b"IHDR", header), *((b"IDAT", body) for body in bodies), (b"IEND", b"")]
    return PNG + b"".join(len(body).to_bytes(4, "big") + kind + body + b"crc." for kind, body in chunks)


def test_the_same_lines_with_other_compression_are_the_same_picture() -> None:
    lines = b"\0\x01\x02\x03" * 1000
    packed = zlib.compress(lines, 9)
    assert about_picture(packed_png(packed)) == about_picture(packed_png(zlib.compress(lines, 1)))
    assert about_picture(packed_png(packed)) == about_picture(packed_png(packed[:7], packed[7:]))
    assert about_picture(packed_png(packed)) != about_picture(packed_png(zlib.compress(lines + b"\0")))


def test_a_huge_picture_takes_little_memory_and_is_compared_by_its_bytes() -> None:
    packer = zlib.compressobj()
    bomb = b"".join([*(packer.compress(b"\0" * (1 << 20)) for _ in range(400)), packer.flush()])
    tracemalloc.start()
    try:
        one, other = about_picture(packed_png(bomb)), about_picture(packed_png(bomb[:9], bomb[9:]))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert one != other
    assert peak_bytes < 20 << 20


def test_a_truncated_picture_is_compared_by_its_bytes() -> None:
    packed = zlib.compress(b"\0\x01\x02\x03" * 1000)
    assert about_picture(packed_png(packed[:-9])) != about_picture(packed_png(packed[:5], packed[5:-9]))


def test_a_diff_compares_a_limited_number_of_lines() -> None:
    same = [f"line {number}" for number in range(10_000)]
    one, other = (Shown(lines, lines) for lines in ([*same, *map(str, range(50_000))], [*same, *"ab" * 50_000]))
    *head, last = compare(one, other).diff
    assert head[2].startswith("@@ -10000,")
    assert last == "[the rest is not compared line by line]"


def test_data_after_the_end_of_a_picture_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[bytes] = []

    class Counting:
        def __init__(self) -> None:
            self.inner = real()
            self.eof, self.unconsumed_tail = False, b""

        def decompress(self, data: bytes, max_length: int) -> bytes:
            fed.append(data)
            piece = self.inner.decompress(data, max_length)
            self.eof, self.unconsumed_tail = self.inner.eof, self.inner.unconsumed_tail
            return piece

    real = zlib.decompressobj
    monkeypatch.setattr("agent.replay.showing.zlib.decompressobj", Counting)
    packed = zlib.compress(b"\0\x01\x02\x03" * 1000)
    assert about_picture(packed_png(packed, *[b"abcd"] * 100)) == about_picture(packed_png(packed))
    assert fed == [packed, packed]


@pytest.mark.parametrize("size", [500, 5_000, 100_000])
def test_the_search_for_chance_matches_a_limited_number_of_lines(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    matched: list[int] = []

    def matcher(junk: None, one: list[str], other: list[str], *, autojunk: bool) -> difflib.SequenceMatcher[str]:
        matched.append(max(len(one), len(other)))
        return real(junk, one, other, autojunk=autojunk)

    real = difflib.SequenceMatcher
    monkeypatch.setattr(difflib, "SequenceMatcher", matcher)
    one, other = (["a", "b"] * size)[:size], (["b", "a", "c"] * size)[:size]
    is_chance(Shown(one, [*one, "z"]), [Shown(one, one), Shown(other, other)])
    assert matched == [MAX_MATCHED_LINES]


def test_the_record_must_contain_the_common_beginning_and_end_of_long_replays() -> None:
    lines = [f"line {number}" for number in range(10_000)]
    replays = [Shown([], [*lines, drawn, *lines]) for drawn in ("0.1", "0.2")]
    assert is_chance(Shown([], [*lines, "0.3", *lines]), replays)
    assert not is_chance(Shown([], [*lines, "0.3", *lines[:-1], "another"]), replays)
    assert not is_chance(Shown([], ["another", *lines[1:], "0.3", *lines]), replays)
