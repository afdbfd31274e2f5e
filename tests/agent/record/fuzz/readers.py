"""Every reader of a run directory, with a fake sandbox and a fake model that need no engine."""

import asyncio
import hashlib
import io
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

from agent import Agent, Endpoint
from agent.batch.batch import Batch
from agent.batch.tasks import BatchTask
from agent.batch.worker import Ran
from agent.cli.main import command_line
from agent.endpoint.config import Sampling
from agent.endpoint.model import Generation
from agent.export.formats import FORMATS
from agent.messages import Message, Reply, ToolCall
from agent.progress import Progress
from agent.record.events import ModelReplied, ReplyCut, SandboxChanged
from agent.record.history import messages_of
from agent.record.reading import Recorded, read
from agent.record.transcript import Transcript
from agent.replay.playback import Playback
from agent.replay.replaying import replay
from agent.runtime import Runtime
from sandbox import CellblockError, Change, Description, Execution, FileInfo, FileProfile, Policy
from sandbox.answering import make_offer
from sandbox.calls import AnswerCall, HostFunction
from sandbox.launcher import SandboxInfo
from sandbox.session import TransferredFile
from sandbox.testing import printed

LEFT = b"left by a cell"


class FakeLauncher:
    """A launcher without an engine."""

    def __init__(self, *_: object) -> None:
        pass

    async def __aenter__(self) -> "FakeLauncher":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def prepare(self, policy: Policy) -> None:
        pass


@dataclass
class FakeSession:
    """A sandbox that gives every cell the same output, and transfers files."""

    launcher: object
    policy: Policy = field(default_factory=Policy)
    on_change: Callable[[Change], None] = lambda _: None
    files: dict[str, str] = field(default_factory=dict)

    info = SandboxInfo("docker", "Docker 28.0", "Linux", "runc", "image", "sha256:" + "01" * 32, "id")

    async def start(self) -> None:
        self.on_change(Change("started", "id"))

    async def close(self) -> None:
        pass

    async def restart(self) -> None:
        pass

    async def describe(self) -> Description:
        return Description(python="3", implementation="CPython", platform="Linux", distribution="", packages={})

    async def __aenter__(self) -> "FakeSession":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def profile_files(self, names: Sequence[str]) -> dict[str, FileProfile]:
        return {}

    def offer(self, functions: Sequence[HostFunction], answer: AnswerCall) -> None:
        make_offer(functions, answer)

    async def execute(self, code: str, **_: object) -> Execution:
        self.files["left.txt"] = hashlib.sha256(LEFT).hexdigest()
        return printed("42\n")

    def interrupt(self) -> bool:
        return False

    async def list_files(self, *, hashed: bool = False) -> list[FileInfo]:
        return [FileInfo(name=name, size_bytes=1, modified_ns=1, sha256=sha256) for name, sha256 in self.files.items()]

    async def put_file(self, source: Path | IO[bytes], name: str) -> TransferredFile:
        data = _read(source)
        self.files[name] = hashlib.sha256(data).hexdigest()
        return TransferredFile(len(data), self.files[name])

    async def remove_files(self, names: Sequence[str]) -> None:
        for name in names:
            self.files.pop(name, None)

    async def get_file(self, name: str, target: Path | IO[bytes], **_: object) -> TransferredFile:
        _write(target)
        return TransferredFile(len(LEFT), hashlib.sha256(LEFT).hexdigest())


def _read(source: Path | IO[bytes]) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source.read()


def _write(target: Path | IO[bytes]) -> None:
    target.write_bytes(LEFT) if isinstance(target, Path) else target.write(LEFT)


class FakeModel:
    """A model that calls for one cell, and then answers."""

    sampling = Sampling()
    can_continue = False

    def __init__(self) -> None:
        self._asked = 0

    async def generate(
        self,
        messages: list[Message],
        tools: list[dict[str, Any]],
        on_delta: object,
        *,
        prefix: str = "",
        must_call: object = (),
        schema: Any = None,
        max_output_tokens: int | None = None,
    ) -> Generation:
        self._asked += 1
        call = ToolCall(id="c", name="run_python", arguments='{"code": "print(6*7)"}')
        reply = Reply(tool_calls=[call]) if self._asked == 1 else Reply(content="42", finish_reason="stop")
        return Generation(reply, ['{"choices":[]}'], [], 0.1)


@asynccontextmanager
async def fake_model(runtime: Runtime, on_waiting: object, **_: object) -> AsyncIterator[tuple[FakeModel, int | None]]:
    yield FakeModel(), None


@contextmanager
def without_engine() -> Iterator[None]:
    with (
        patch("agent.replay.rerun.Session", FakeSession),
        patch("agent.runtime.Session", FakeSession),
        patch("agent.runtime.DockerLauncher", FakeLauncher),
        patch("agent.cli.replaying.DockerLauncher", FakeLauncher),
    ):
        yield


class FakeWorker:
    """Records a run of one event for each task."""

    jobs = 1

    async def __aenter__(self) -> "FakeWorker":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> Ran:
        try:
            with Transcript(directory) as transcript:
                transcript.append(SandboxChanged(kind="started", reason="id"))
        except CellblockError as error:
            return Ran("error", 0.1, failure=error)
        return Ran("answered", 0.1, answer="42")

    async def check(self) -> None:
        pass

    async def tidy(self, pid: int) -> None:
        pass

    def set_remaining(self, tasks: int) -> None:
        pass


def _command(*arguments: str) -> Callable[[Path], str]:
    def run(directory: Path) -> str:
        told, (name, *options) = io.StringIO(), arguments
        nowhere = io.TextIOWrapper(io.FileIO(os.devnull, "w"), errors="backslashreplace")
        with nowhere, redirect_stdout(nowhere), redirect_stderr(told):
            code = command_line([name, str(directory), *options])
        if code in (2, 3):
            raise ToldError(told.getvalue().strip())
        return str(code)

    return run


class ToldError(Exception):
    """The message of a command on stderr."""


def _replay(directory: Path) -> str:
    return str(asyncio.run(replay(directory, FakeLauncher())).is_same)  # type: ignore[arg-type]


def _resume(directory: Path) -> str:
    with patch.object(Runtime, "open_model", fake_model):
        return str(asyncio.run(Agent.resume(directory, force=True)).answer)


def _resume_strictly(directory: Path) -> str:
    with patch.object(Runtime, "open_model", fake_model):
        return str(asyncio.run(Agent.resume(directory)).answer)


def _recorded(directory: Path) -> str:
    """Ask all recorded requests, and then those of a new run."""
    new, recorded = directory.parent / "new", read(directory)
    shutil.rmtree(new, ignore_errors=True)
    asyncio.run(_ask_again(recorded, new))
    shutil.rmtree(new, ignore_errors=True)
    task = recorded.started.task.strip() or "What?"
    return str(Agent(model=f"recorded:{directory}").run_sync(task, run_directory=new).answer)


async def _ask_again(recorded: Recorded, new: Path) -> None:
    """Ask the playback each request of the record."""
    playback, tools = Playback(recorded), recorded.started.tools
    with Transcript(new) as transcript:
        for place, event in enumerate(recorded.events):
            if isinstance(event, ModelReplied | ReplyCut):
                offered = [tool for tool in tools if event.tools is None or tool["function"]["name"] in event.tools]
                made = await playback.generate(messages_of(recorded.events[:place]), offered, lambda *_: None)
                transcript.keep_chunks(made.chunks, made.reply)


def _batch(directory: Path) -> str:
    """Put the run into the directory of a batch, which is a stranger's as well."""
    batch = directory.parent / "batch"
    (batch / "tasks").mkdir(parents=True, exist_ok=True)
    directory.rename(batch / "tasks" / "a")
    for name in ("results.jsonl", ".lock", "summary.json", "tasks", "abandoned", "replaced.jsonl"):
        planted = batch / "tasks" / "a" / name
        if planted.is_symlink() or planted.exists():
            place = batch / name
            if not place.exists():
                planted.rename(place)
    tasks = [BatchTask(id=name, task="What is 6*7?") for name in ("a", "b")]
    runtime = Runtime(Endpoint(base_url="http://127.0.0.1/v1", model="m"))

    async def work() -> int:
        return len([result async for result in Batch(tasks, batch, runtime, FakeWorker()).results()])

    return str(asyncio.run(work()))


WRITERS = ("resume", "resume strictly", "batch")
"""The readers that may change the run."""
READERS: dict[str, Callable[[Path], str]] = {
    "verify": _command("verify"),
    "show": _command("show"),
    "show --json": _command("show", "--json"),
    "show --turn": _command("show", "--turn", "1"),
    "show --follow": _command("show", "--follow"),
    **{f"export {name}": _command("export", "--to", name) for name in FORMATS},
    "replay": _replay,
    "resume": _resume,
    "resume strictly": _resume_strictly,
    "recorded:": _recorded,
    "batch": _batch,
}
