"""The session with a misbehaving guest: a scripted process in place of a container."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import FileTransferError, Policy, ProtocolError, Session, SessionClosedError, StartError
from sandbox.guest.wire import pack_frame
from sandbox.session import Change
from tests.sandbox.fakes import QUICK, READY, FakeLauncher, FakeProcess, done, started, stream


async def test_streams_join_and_results_follow_nbformat() -> None:
    result = pack_frame(
        {"type": "execute_result", "id": 1, "execution_count": 1},
        b'{"data": {"text/plain": "2"}, "metadata": {}}',
    )
    answer = stream(1, b"\xe4\xbd") + stream(1, b"\xa0 hi\n") + result + done(1)
    async with Session(FakeLauncher({"execute": answer})) as session:
        execution = await session.execute("1+1")
    assert [output.model_dump(exclude_defaults=True) for output in execution.outputs] == [
        {"name": "stdout", "text": "你 hi\n"},
        {"execution_count": 1, "data": {"text/plain": "2"}},
    ]
    assert execution.text == "你 hi\n2\n"


async def test_the_steps_of_the_ladder_are_taken_in_order() -> None:
    changes: list[Change] = []
    launcher = FakeLauncher({"execute": stream(1, b"partial")}, {})
    session = Session(launcher, QUICK, on_change=changes.append)
    execution = await session.execute("while True: pass")
    assert launcher.processes[0].seen == ["execute", "interrupt", "restart"]
    assert launcher.processes[0].killed == 1
    assert (execution.status, execution.cause, execution.text) == ("timeout", "timeout", "partial")
    assert execution.state_lost
    assert execution.files_lost
    assert [change.kind for change in changes] == ["started", "interrupted", "restarted", "stopped"]
    await session.start()
    assert launcher.launched == 2
    await session.close()


async def test_an_interrupt_that_works_keeps_the_state() -> None:
    answers = {"execute": stream(1, b"partial"), "interrupt": done(1, status="error")}
    async with Session(FakeLauncher(answers), QUICK) as session:
        execution = await session.execute("sleep")
    assert (execution.status, execution.cause, execution.state_lost) == ("timeout", "timeout", False)
    assert execution.text == "partial"


async def test_a_lost_sandbox_is_a_value_and_the_next_cell_gets_a_new_one() -> None:
    launcher = FakeLauncher({"execute": (started(1), None)}, {"execute": done(2)})
    async with Session(launcher) as session:
        lost = await session.execute("kill")
        assert (lost.status, lost.cause, lost.files_lost) == ("died", "sandbox_lost", True)
        assert (await session.execute("1")).status == "ok"
    assert [process.killed for process in launcher.processes] == [1, 1]


async def test_after_a_sandbox_is_lost_between_two_cells_the_next_one_runs_without_the_state() -> None:
    launcher = FakeLauncher({"execute": None}, {"execute": stream(2, b"ran") + done(2)})
    async with Session(launcher) as session:
        execution = await session.execute("1")
    assert (execution.status, execution.text) == ("ok", "ran")
    assert (execution.state_lost, execution.files_lost) == (True, True)


async def test_a_sandbox_lost_twice_before_a_cell_begins_is_a_value() -> None:
    async with Session(FakeLauncher({"execute": None}, {"execute": None})) as session:
        assert (await session.execute("1")).cause == "sandbox_lost"


async def test_a_guest_that_reads_nothing_does_not_block_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.channel.SILENCE_LIMIT_S", 0.05)

    class Deaf(FakeProcess):
        async def write(self, data: bytes) -> None:
            if b'"type": "execute"' in data:
                await asyncio.sleep(60)
            await super().write(data)

    launcher = FakeLauncher({}, {})
    launcher.processes = [Deaf({}), Deaf({})]
    async with Session(launcher) as session:
        assert (await session.execute("1")).cause == "sandbox_lost"


SILENT: dict[str, Callable[[Session, Path], Awaitable[object]]] = {
    "list": lambda session, _: session.list_files(),
    "describe": lambda session, _: session.describe(),
    "put": lambda session, path: session.put_file(path, "x"),
    "get": lambda session, path: session.get_file("x", path),
}


@pytest.mark.parametrize("request_kind", SILENT)
async def test_a_silent_guest_is_killed_and_reported(
    request_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.channel.SILENCE_LIMIT_S", 0.05)
    (tmp_path / "file").write_text("x")
    launcher = FakeLauncher({})
    async with Session(launcher) as session:
        with pytest.raises(SessionClosedError, match="went away"):
            await SILENT[request_kind](session, tmp_path / "file")
    assert launcher.processes[0].killed == 1


async def test_a_session_ends_at_its_time_in_the_middle_of_a_cell() -> None:
    class Mortal(FakeProcess):
        async def kill(self) -> None:
            await super().kill()
            self._say(None)

    launcher = FakeLauncher()
    launcher.processes = [Mortal({"execute": started(1) + stream(1, b"partial")})]
    async with Session(launcher, Policy(session_timeout_s=0.1)) as session:
        execution = await session.execute("sleep")
        assert (execution.status, execution.cause, execution.text) == ("timeout", "session_timeout", "partial")
        with pytest.raises(SessionClosedError, match=r"The session's time of 0.1 s is over"):
            await session.execute("1")
    assert launcher.processes[0].killed == 1


async def test_an_idle_session_ends_at_its_time_counted_from_its_first_use() -> None:
    launcher = FakeLauncher({"execute": started(1) + done(1)})
    session = Session(launcher, Policy(session_timeout_s=0.05))
    await session.start()
    await asyncio.sleep(0.1)
    assert (await session.execute("1")).status == "ok"
    await asyncio.sleep(0.1)
    assert launcher.processes[0].killed == 1
    await session.close()


async def test_a_session_closed_while_it_starts_leaves_nothing() -> None:
    class Slow(FakeLauncher):
        async def launch(self, policy: Policy) -> FakeProcess:
            await asyncio.sleep(0.05)
            return await super().launch(policy)

    launcher = Slow({})
    session = Session(launcher)
    starting = asyncio.create_task(session.start())
    await asyncio.sleep(0)
    await session.close()
    with pytest.raises(SessionClosedError, match="The session is closed"):
        await starting
    assert launcher.processes[0].killed == 1


async def test_output_of_another_cell_is_dropped() -> None:
    async with Session(FakeLauncher({"execute": stream(7, b"late") + stream(1, b"mine") + done(1)})) as session:
        assert (await session.execute("1")).text == "mine"


async def test_a_kernel_that_died_between_two_cells_is_reported_with_the_next() -> None:
    died = pack_frame({"type": "kernel_died", "cause": "signal SIGKILL"})
    async with Session(FakeLauncher({"execute": died + done(1)})) as session:
        assert (await session.execute("1")).state_lost


FORGED = [b"\xff" * 8, pack_frame({"type": "nonsense"}), pack_frame({"type": "error", "id": 1}, b"not json")]


@pytest.mark.parametrize("forged", FORGED, ids=["lengths", "type", "body"])
async def test_a_forged_frame_ends_the_sandbox_and_not_the_host(forged: bytes) -> None:
    launcher = FakeLauncher({"execute": forged}, {"execute": done(2)})
    async with Session(launcher) as session:
        with pytest.raises(ProtocolError):
            await session.execute("forge")
        assert launcher.processes[0].killed == 1
        assert (await session.execute("1")).status == "ok"


async def test_a_guest_that_floods_is_cut_off() -> None:
    policy = Policy(stream_head_bytes=0, stream_tail_bytes=0, rich_bytes=0)
    flood = stream(1, b"x" * (1 << 20)) * 65
    async with Session(FakeLauncher({"execute": flood}), policy) as session:
        with pytest.raises(ProtocolError, match="more output for one cell than its policy allows"):
            await session.execute("flood")


async def test_a_flood_of_empty_frames_is_cut_off() -> None:
    flood = stream(1, b"") * 1_100_000
    async with Session(FakeLauncher({"execute": flood}), Policy(rich_bytes=0)) as session:
        with pytest.raises(ProtocolError, match="more output for one cell than its policy allows"):
            await session.execute("flood")


@pytest.mark.parametrize("start", [b"", None], ids=["silent", "dead"])
async def test_a_start_that_fails_says_why_and_leaves_nothing(start: bytes | None) -> None:
    launcher = FakeLauncher({"start": start})
    with pytest.raises(StartError) as caught:
        await Session(launcher, QUICK).start()
    assert str(caught.value) == (
        "No kernel came up in image 'image' within 0.3 s; it wrote to stderr: 'no such module'. Try: cellblock doctor"
    )
    assert launcher.processes[0].killed == 1


async def test_a_cancelled_cell_does_not_continue_during_the_next() -> None:
    launcher = FakeLauncher({"restart": done(1, status="died", cause="restart") + READY})
    async with Session(launcher) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.execute("sleep")
        launcher.processes[0].answers["execute"] = done(2)
        execution = await session.execute("1")
        assert (execution.status, execution.state_lost, execution.files_lost) == ("ok", True, False)
        launcher.processes[0].answers["execute"] = done(3)
        assert not (await session.execute("1")).state_lost
    assert launcher.processes[0].seen == ["execute", "restart", "execute", "execute"]


async def test_a_sandbox_lost_during_a_file_transfer_is_reported_by_the_next_cell(tmp_path: Path) -> None:
    async with Session(FakeLauncher({"get": None}, {"execute": done(2)})) as session:
        with pytest.raises(SessionClosedError, match="went away"):
            await session.get_file("x", tmp_path / "x")
        execution = await session.execute("1")
        assert (execution.state_lost, execution.files_lost) == (True, True)


async def test_code_over_the_limit_is_not_sent() -> None:
    launcher = FakeLauncher({})
    async with Session(launcher) as session:
        execution = await session.execute("#" * (4 << 20) + "#")
    assert execution.text == "CodeTooLong: The code is 4194305 bytes long, over the limit of 4194304.\n"
    assert launcher.processes[0].seen == []


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
async def test_an_invalid_time_out_is_refused(timeout_s: float) -> None:
    async with Session(FakeLauncher({})) as session:
        with pytest.raises(ValueError, match="timeout_s must be more than 0"):
            await session.execute("1", timeout_s=timeout_s)


@pytest.mark.parametrize("name", ["a\ud800", "x" * 5000])
async def test_a_file_name_that_does_not_fit_into_a_frame_is_refused(name: str, tmp_path: Path) -> None:
    async with Session(FakeLauncher({})) as session:
        with pytest.raises(FileTransferError, match="is not a file name"):
            await session.get_file(name, tmp_path / "x")


async def test_a_closed_session_says_so() -> None:
    session = Session(FakeLauncher({}))
    await session.close()
    with pytest.raises(SessionClosedError, match="The session is closed"):
        await session.execute("1")


async def test_a_refused_file_names_itself_and_the_reason(tmp_path: Path) -> None:
    refused = pack_frame({"type": "refused", "id": 1, "reason": "'x' is not a regular file"})
    async with Session(FakeLauncher({"get": refused})) as session:
        with pytest.raises(FileTransferError, match="The sandbox refused 'x': 'x' is not a regular file"):
            await session.get_file("x", tmp_path / "x")
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


LIES: list[tuple[str, Callable[[Session, Path], Any]]] = [
    ("list", lambda session, _: session.list_files()),
    ("describe", lambda session, _: session.describe()),
]


@pytest.mark.parametrize(("kind", "ask"), LIES, ids=["list", "describe"])
async def test_a_malformed_answer_is_a_protocol_error(
    kind: str, ask: Callable[[Session, Path], Any], tmp_path: Path
) -> None:
    answer = {"list": "files", "describe": "description"}[kind]
    async with Session(FakeLauncher({kind: pack_frame({"type": answer, "id": 1}, b"{}[")})) as session:
        with pytest.raises(ProtocolError, match="malformed answer"):
            await ask(session, tmp_path)


async def test_an_interrupt_stops_only_a_running_cell() -> None:
    launcher = FakeLauncher({"execute": stream(1, b"begun"), "interrupt": done(1, status="error")})
    changes: list[Change] = []
    begun = asyncio.Event()
    async with Session(launcher, on_change=changes.append) as session:
        assert not session.interrupt()
        running = asyncio.create_task(session.execute("sleep", on_output=lambda output: begun.set()))
        await begun.wait()
        assert session.interrupt()
        execution = await running
        assert not session.interrupt()
    assert (execution.status, execution.cause, execution.state_lost) == ("timeout", "interrupted", False)
    assert changes[1] == Change("interrupted", "asked for")
