"""A session: one kernel in one sandbox that runs cell after cell, and the time-out ladder.

The steps of the ladder, each taken only if the one before did not end the cell:

    1. `cell_timeout_s` passes        the cell is interrupted; variables are kept
    2. `interrupt_grace_s` passes     the kernel and its processes are killed, a new one is forked
    3. `restart_grace_s` passes       the container is killed; the next cell gets a new one
"""

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from pydantic import BaseModel, TypeAdapter, ValidationError

from sandbox import frames
from sandbox.answering import CellCalls, Offer, make_offer
from sandbox.calls import AnswerCall, HostFunction
from sandbox.channel import Channel, RefusedError, StreamEndedError
from sandbox.errors import FileTransferError, ProtocolError, SandboxError, SessionClosedError, StartError
from sandbox.execution import ErrorOutput, Execution, Output
from sandbox.launcher import Launcher, SandboxInfo, guest_source
from sandbox.packages import versions_in
from sandbox.pictures import SHRINKER, SHRINKER_TIMEOUT_S, Picture, picture_in, shrinker_input
from sandbox.policy import Policy
from sandbox.profiles import MAX_REPORT_BYTES, PROFILER, PROFILER_TIMEOUT_S, FileProfile, profiler_input, profiles_in
from sandbox.recording import Recording
from sandbox.remover import REMOVED, REMOVER, REMOVER_TIMEOUT_S

CHUNK_BYTES = 1 << 18
ZEROS = memoryview(bytes(CHUNK_BYTES))
MAX_LISTED_FILES = 10_000
MAX_CODE_BYTES = 4 << 20
MAX_NAME_BYTES = 4096
PING_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Change:
    """A change of the sandbox itself, for the record."""

    kind: Literal["started", "interrupted", "restarted", "stopped"]
    reason: str


@dataclass(frozen=True)
class Losses:
    """What was lost with a replaced kernel or sandbox."""

    state: bool
    files: bool


NOTHING_LOST = Losses(state=False, files=False)
ALL_LOST = Losses(state=True, files=True)


@dataclass(frozen=True)
class TransferredFile:
    """A file that was copied completely."""

    size_bytes: int
    sha256: str


class FileInfo(BaseModel):
    """A regular file in the workspace; `name` is relative to it."""

    name: str
    size_bytes: int
    modified_ns: int
    sha256: str | None = None
    """The hash of its content; None if not requested, or if the file cannot be read or has holes."""


class Description(BaseModel):
    """What is installed in the sandbox."""

    python: str
    implementation: str
    """The implementation of Python, such as "CPython"."""
    platform: str
    """Operating system, its release and the architecture, as a process inside sees them."""
    distribution: str
    """Name and version of the image's operating system; empty if unknown."""
    packages: dict[str, str]


_FILES = TypeAdapter(list[FileInfo])


def ignore(_: object) -> None:
    """Default no-op callback."""


class Session:
    """Runs cells in one sandbox. Use it as an async context manager, or call `start` and `close`.

    One operation runs at a time; others wait for it. A lost sandbox is replaced at the next operation.
    Every method except `close` may raise EngineError, ImageError or StartError if no sandbox can be
    started, ProtocolError if the guest breaks the protocol, and SessionClosedError.
    """

    def __init__(
        self,
        launcher: Launcher,
        policy: Policy | None = None,
        *,
        on_change: Callable[[Change], None] = ignore,
        described: dict[str, Description] | None = None,
    ) -> None:
        """`described` caches descriptions by image id; sessions under one policy may share it."""
        self.policy = policy or Policy()
        self._described = {} if described is None else described
        self._launcher = launcher
        self.on_change = on_change
        self._channel: Channel | None = None
        self._lock = asyncio.Lock()
        self._requests = 0
        self._abandoned = False
        """True if the caller left a cell before its end."""
        self._stream_dirty = False
        """True if the caller left another operation: the rest of its answer is still in the stream."""
        self._unreported_losses = NOTHING_LOST
        """Losses that no Execution has reported yet."""
        self._closed_reason = ""
        """Why no further operation is possible, in one sentence; empty while the session is open."""
        self._expired = False
        self._expiry: asyncio.TimerHandle | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._deadline: asyncio.Timeout | None = None
        """The time at which the running cell is interrupted; None if no cell runs."""
        self._interrupted = False
        self._offer: Offer | None = None
        self._offered: tuple[Channel, Offer] | None = None
        """What was last sent, and to whom."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def info(self) -> SandboxInfo:
        """Where the session runs now. Raises SessionClosedError if it has no sandbox."""
        if self._channel is None:
            raise SessionClosedError("The session has no sandbox.")
        return self._channel.process.info

    async def start(self) -> None:
        """Start a sandbox and wait until its kernel answers."""
        async with self._lock:
            self._check_open()
            await self._ready_channel()

    async def close(self) -> None:
        """End the sandbox with its files, even in the middle of a cell. Later calls raise SessionClosedError."""
        self._closed_reason = self._closed_reason or "The session is closed."
        if self._expiry is not None:
            self._expiry.cancel()
        if self._expiring is not None:
            await self._expiring
        await self._stop("closed")

    def offer(self, functions: Sequence[HostFunction], answer: AnswerCall) -> None:
        """Let cells call these from now on; replaces what was offered before.

        A call is cancelled if its cell ends or is interrupted. Raises SettingsError for a function that Python could
        not define.
        """
        self._offer = make_offer(functions, answer)

    async def execute(
        self,
        code: str,
        *,
        timeout_s: float | None = None,
        on_output: Callable[[Output], None] = ignore,
    ) -> Execution:
        """Run one cell and return what it did; `timeout_s` replaces the policy's `cell_timeout_s`.

        `on_output` is called with each piece of output as it arrives. Code of more than 4 MiB is not run; the
        Execution is then an error. Raises ValueError if the time-out is not positive.
        """
        limit_s = self.policy.cell_timeout_s if timeout_s is None else timeout_s
        source = code.encode("utf-8", "replace")
        if not limit_s > 0:
            raise ValueError(f"timeout_s must be more than 0, and is {timeout_s!r}.")
        if len(source) > MAX_CODE_BYTES:
            message = f"The code is {len(source)} bytes long, over the limit of {MAX_CODE_BYTES}."
            error = ErrorOutput(ename="CodeTooLong", evalue=message, traceback=[f"CodeTooLong: {message}"])
            return Execution(status="error", outputs=[error])
        async with self._operation() as channel:
            begun = time.monotonic()
            self._abandoned = True  # stays if the caller is cancelled
            self._interrupted = False
            execution = await self._run_cell(channel, source, limit_s, on_output)
            self._abandoned = False
            if self._interrupted and execution.cause == "timeout":
                execution = execution.model_copy(update={"cause": "interrupted"})
            losses, self._unreported_losses = self._unreported_losses, NOTHING_LOST
            return execution.model_copy(
                update={
                    "duration_s": time.monotonic() - begun,
                    "state_lost": execution.state_lost or losses.state,
                    "files_lost": execution.files_lost or losses.files,
                }
            )

    def interrupt(self) -> bool:
        """Interrupt the running cell as its time-out would, with the cause "interrupted"; False if none runs."""
        if self._deadline is None:
            return False
        self._interrupted = True
        self._deadline.reschedule(asyncio.get_running_loop().time())
        return True

    async def is_alive(self) -> bool:
        """True if the sandbox answers within a second. This never starts or replaces a sandbox."""
        if self._channel is None or self._lock.locked():
            return self._channel is not None
        async with self._lock:
            try:
                async with asyncio.timeout(PING_TIMEOUT_S):
                    await self._ask(self._channel, frames.Pong, "ping")
            except (StreamEndedError, ProtocolError, TimeoutError):
                return False
        return True

    async def restart(self) -> None:
        """Replace the kernel: variables are lost, files stay."""
        async with self._operation() as channel:
            await self._replace_kernel(channel, "asked for")

    async def describe(self) -> Description:
        """The sandbox's Python and its packages."""
        async with self._operation() as channel:
            image = channel.process.info.image_id
            if image not in self._described:  # the guest needs 0.1 s for it
                answer = await self._ask(channel, frames.Description, "describe")
                self._described[image] = Description.model_validate_json(answer)
            description = self._described[image]
            added = versions_in(channel.process.info.locked)
            return description.model_copy(update={"packages": dict(sorted((description.packages | added).items()))})

    async def list_files(self, *, hashed: bool = False) -> list[FileInfo]:
        """The regular files of the workspace by name, without hidden folders, at most 10,000.

        With `hashed`, each has its SHA-256; reading them takes about a second per GB.
        """
        async with self._operation() as channel:
            payload = await self._ask(channel, frames.Files, "list", max_files=MAX_LISTED_FILES, hashed=hashed)
            return _FILES.validate_json(payload)

    async def profile_files(self, names: Sequence[str]) -> dict[str, FileProfile]:
        """What these files of the workspace are, by name: kind, encoding, tables with their columns.

        A program beside the kernel looks at them for some seconds at most. A file that it cannot tell is missing.
        """
        given = await asyncio.to_thread(profiler_input, names)
        report = await self._run_beside(PROFILER, given, PROFILER_TIMEOUT_S, MAX_REPORT_BYTES)
        return profiles_in(report, names)

    async def shrink_picture(self, picture: bytes, *, side_pixels: int, max_bytes: int) -> Picture | None:
        """A copy of a picture for a reader with little room, made by a program beside the kernel.

        Returns None if the image has no Pillow, or if it cannot read the picture.
        """
        given = shrinker_input(picture, side_pixels=side_pixels, max_bytes=max_bytes)
        return picture_in(await self._run_beside(SHRINKER, given, SHRINKER_TIMEOUT_S, max_bytes))

    async def _run_beside(self, program: str, given: bytes, timeout_s: float, max_bytes: int) -> bytes:
        """What a program beside the kernel writes; nothing from a sandbox that is full of processes."""
        async with self._operation() as channel:
            number = self._next_id()
            asked = {"type": "run_beside", "id": number, "program": program}
            await channel.send(asked | {"timeout_s": timeout_s, "max_bytes": max_bytes}, given)
            try:
                return (await channel.receive_answer(number, frames.Report))[1]
            except RefusedError:
                return b""

    async def put_file(self, source: Path | IO[bytes], name: str) -> TransferredFile:
        """Copy a host file, or the rest of an open file, into the workspace as `name`.

        Raises FileTransferError.
        """
        async with self._operation() as channel:
            request = self._next_id()
            digest = hashlib.sha256()
            with _transfer_errors(name, source):
                with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
                    await channel.send({"type": "put", "id": request, "name": name})
                    while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                        digest.update(data)
                        await channel.send({"type": "data", "id": request}, data)
                await channel.send({"type": "end", "id": request})
                moved, _ = await channel.receive_answer(request, frames.File)
            if moved.sha256 != digest.hexdigest():
                raise ProtocolError(f"The sandbox does not have {name!r} as it was sent.")
            return TransferredFile(moved.size_bytes, moved.sha256)

    async def remove_files(self, names: Sequence[str]) -> None:
        """Remove files from the workspace, by name; one that is not there is no error. Raises FileTransferError."""
        async with self._operation() as channel:
            number = self._next_id()
            limits = {"timeout_s": REMOVER_TIMEOUT_S, "max_bytes": len(REMOVED)}
            given = json.dumps(list(names)).encode()
            await channel.send({"type": "run_beside", "id": number, "program": REMOVER} | limits, given)
            try:
                _, report = await channel.receive_answer(number, frames.Report)
            except RefusedError as error:  # such as of a sandbox that is full of processes
                raise FileTransferError(f"Cannot remove {names[0]!r} from the workspace: {error}.") from error
        if report != REMOVED:
            raise FileTransferError(f"Cannot remove {names[0]!r} from the workspace.")

    async def get_file(self, name: str, target: Path | IO[bytes], *, max_bytes: int | None = None) -> TransferredFile:
        """Copy a workspace file to the host path `target`, which appears when complete, or into an open file.

        Its size is that at the start, at most `max_bytes`, by default `policy.workspace_bytes`; holes stay holes.
        Raises FileTransferError.
        """
        limit = self.policy.workspace_bytes if max_bytes is None else max_bytes
        async with self._operation() as channel:
            request = self._next_id()
            with _transfer_errors(name, target), _partial_file(target) as file:
                incoming = _ReceivedFile(file)
                await channel.send({"type": "get", "id": request, "name": name, "max_bytes": limit})
                while True:
                    header, data = await channel.receive_answer(request, frames.Piece)
                    if isinstance(header, frames.Whole):
                        return await asyncio.to_thread(incoming.finish)
                    hole_bytes = header.size_bytes if isinstance(header, frames.Hole) else 0
                    if incoming.size_bytes + len(data) + hole_bytes > limit:
                        raise ProtocolError(f"The sandbox sent more of {name!r} than the {limit} bytes asked for.")
                    await asyncio.to_thread(incoming.add, data, hole_bytes)

    async def _ask(self, channel: Channel, kind: type[frames.AnyHeader], request: str, **fields: object) -> bytes:
        """Send a request that has one answer, and return the answer's payload."""
        number = self._next_id()
        await channel.send({"type": request, "id": number} | fields)
        _, payload = await channel.receive_answer(number, kind)
        return payload

    def _next_id(self) -> int:
        self._requests += 1
        return self._requests

    # --- the sandbox's life

    @asynccontextmanager
    async def _operation(self) -> AsyncIterator[Channel]:
        """One operation on a sandbox that answers; an error of the guest or its stream also ends the sandbox."""
        async with self._lock:
            self._check_open()
            channel = await self._ready_channel()
            if self._expiry is None:
                self._expiry = asyncio.get_running_loop().call_later(self.policy.session_timeout_s, self._expire)
            self._stream_dirty = True  # stays if the caller is cancelled
            try:
                yield channel
                self._stream_dirty = False
            except (ProtocolError, ValidationError, RefusedError) as error:
                self._unreported_losses = ALL_LOST
                await self._stop("the guest broke the protocol")
                if isinstance(error, ProtocolError):
                    raise
                raise ProtocolError("The sandbox sent a malformed answer.") from error
            except StreamEndedError as error:
                self._unreported_losses = ALL_LOST
                await self._stop_lost(channel)
                self._check_open()
                raise SessionClosedError("The sandbox went away; the next call starts a new one.") from error

    def _check_open(self) -> None:
        if self._closed_reason:
            raise SessionClosedError(self._closed_reason)

    def _expire(self) -> None:
        """End the sandbox because the session's time is over, even in the middle of a cell."""
        self._closed_reason = f"The session's time of {self.policy.session_timeout_s:g} s is over."
        self._expired = True
        self._expiring = asyncio.create_task(self._stop("session_timeout"))

    async def _ready_channel(self) -> Channel:
        if self._channel is not None and self._abandoned:
            self._unreported_losses = Losses(state=True, files=self._unreported_losses.files)
            try:
                await self._replace_kernel(self._channel, "its cell was abandoned")
            except SandboxError:
                self._unreported_losses = ALL_LOST
                await self._stop("the guest is silent")
        elif self._channel is not None and self._stream_dirty:
            try:
                await self._ask(self._channel, frames.Pong, "ping")  # drops every frame before the answer
            except (StreamEndedError, ProtocolError, RefusedError):
                self._unreported_losses = ALL_LOST
                await self._stop("the guest is silent")
        self._abandoned = self._stream_dirty = False
        channel = self._channel or await self._launch()
        if self._closed_reason:  # closed during the start
            await self._stop("closed")
            self._check_open()
        return channel

    async def _launch(self) -> Channel:
        await self._launcher.prepare(self.policy)
        try:
            async with asyncio.timeout(self.policy.start_timeout_s):
                channel = self._channel = Channel(await self._launcher.launch(self.policy))
                await channel.process.write(guest_source())
                await channel.send({"type": "configure", "limits": self.policy.output_limits()})
                await channel.receive_only(frames.KernelReady)
        except (StreamEndedError, ConnectionError, TimeoutError, ProtocolError) as error:
            raise await self._failed_start() from error
        except BaseException:
            await self._stop("start abandoned")
            raise
        self.on_change(Change("started", channel.process.info.sandbox_id))
        return channel

    async def _failed_start(self) -> StartError:
        if self._channel is None:
            message = f"The engine started no container within {self.policy.start_timeout_s:g} s."
            return StartError(message, hint="docker info, to see whether it is well")
        stderr = await self._channel.process.stderr_tail()
        image = self._channel.process.info.image
        await self._stop("no kernel came up")
        why = f"it wrote to stderr: {stderr!r}" if stderr else "it wrote nothing to stderr"
        return StartError(
            f"No kernel came up in image {image!r} within {self.policy.start_timeout_s:g} s; {why}.",
            hint="cellblock doctor",
        )

    async def _stop(self, reason: str) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await asyncio.shield(channel.process.kill())
            self.on_change(Change("stopped", reason))

    async def _stop_lost(self, channel: Channel) -> None:
        stderr = await channel.process.stderr_tail()
        await self._stop(f"sandbox_lost: {stderr}" if stderr else "sandbox_lost")

    async def _replace_kernel(self, channel: Channel, reason: str) -> None:
        try:
            async with asyncio.timeout(self.policy.restart_grace_s):
                await channel.send({"type": "restart"})
                await channel.receive_only(frames.KernelReady)
        except (StreamEndedError, TimeoutError) as error:
            await self._stop("the guest is silent")
            raise StartError("The kernel could not be replaced; the next call starts a new sandbox.") from error
        self.on_change(Change("restarted", reason))

    # --- one cell

    async def _run_cell(
        self, channel: Channel, source: bytes, limit_s: float, on_output: Callable[[Output], None]
    ) -> Execution:
        """Run the cell; if the sandbox was lost before the cell could begin, run it in a new one."""
        recording = Recording(self._next_id(), self.policy.max_cell_bytes, on_output)
        execution = await self._run_with_timeouts(channel, recording, source, limit_s)
        if execution.cause == "sandbox_lost" and not recording.started and not self._closed_reason:
            again = Recording(self._next_id(), self.policy.max_cell_bytes, on_output)
            self._unreported_losses = ALL_LOST
            return await self._run_with_timeouts(await self._ready_channel(), again, source, limit_s)
        return execution

    async def _run_with_timeouts(
        self, channel: Channel, recording: Recording, source: bytes, limit_s: float
    ) -> Execution:
        """Run the cell, and answer its calls, until it is over."""
        async with CellCalls(recording.cell_id, self._offer, self.policy, channel, self.interrupt) as calls:
            try:
                await self._send_offer(channel)
                await channel.send({"type": "execute", "id": recording.cell_id}, source)
                return await self._climb(channel, recording, calls, limit_s)
            except StreamEndedError:
                await self._stop_lost(channel)
                if self._expired:
                    return recording.lost("timeout", "session_timeout")
                return recording.lost("died", "sandbox_lost")

    async def _climb(self, channel: Channel, recording: Recording, calls: CellCalls, limit_s: float) -> Execution:
        """Take the steps of the ladder until the cell is over."""
        collect = partial(_collect, channel, recording, calls)
        if done := await self._until_interrupt(collect, limit_s):
            return recording.execution(done, kernel_died=channel.take_kernel_death())
        calls.stop()
        self.on_change(Change("interrupted", "asked for" if self._interrupted else "timeout"))
        await channel.send({"type": "interrupt"})
        if done := await collect(asyncio.timeout(self.policy.interrupt_grace_s)):
            return recording.execution(done, kernel_died=channel.take_kernel_death(), timed_out=True)
        self.on_change(Change("restarted", "timeout"))
        await channel.send({"type": "restart"})
        if done := await collect(asyncio.timeout(self.policy.restart_grace_s)):
            return recording.execution(done, kernel_died=True, timed_out=True)
        await self._stop("timeout")
        return recording.lost("timeout", "timeout")

    async def _send_offer(self, channel: Channel) -> None:
        """Send what is offered, unless the guest has it."""
        offer = self._offer
        if offer is not None and self._offered != (channel, offer):
            await channel.send({"type": "offer", "limits": self.policy.function_limits()}, offer.packed())
            self._offered = (channel, offer)

    async def _until_interrupt(
        self, collect: Callable[[asyncio.Timeout], Awaitable[frames.Done | None]], limit_s: float
    ) -> frames.Done | None:
        self._deadline = asyncio.timeout(limit_s)
        try:
            return await collect(self._deadline)
        finally:
            self._deadline = None


async def _collect(
    channel: Channel, recording: Recording, calls: CellCalls, deadline: asyncio.Timeout
) -> frames.Done | None:
    """Record the cell's frames up to its `done` frame, and let its calls begin; None if the deadline passes first."""
    try:
        async with deadline:
            while True:
                frame = await channel.receive()
                if isinstance(frame.header, frames.Done) and frame.header.id == recording.cell_id:
                    return frame.header
                if isinstance(frame.header, frames.Call):
                    calls.begin(frame.header, frame.payload)
                else:
                    recording.add(frame)
    except TimeoutError:
        return None


class _ReceivedFile:
    """A file that is being received; its holes take no space on the host's disk either."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def add(self, data: bytes, hole_bytes: int) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._file.seek(hole_bytes, os.SEEK_CUR)
        for left in range(hole_bytes, 0, -CHUNK_BYTES):
            self._digest.update(ZEROS[:left])
        self.size_bytes += len(data) + hole_bytes

    def finish(self) -> TransferredFile:
        self._file.truncate(self.size_bytes)
        return TransferredFile(self.size_bytes, self._digest.hexdigest())


@contextmanager
def _partial_file(target: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """A file that is renamed to `target` if the block succeeds, and removed if it fails."""
    if not isinstance(target, Path):
        yield target
        return
    partial = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _shown(file: Path | IO[bytes]) -> str:
    return str(file if isinstance(file, Path) else file.name)


@contextmanager
def _transfer_errors(name: str, path: Path | IO[bytes]) -> Iterator[None]:
    """Raise one exception for refusals of the sandbox about `name` and of the host about `path`."""
    if len(name) > MAX_NAME_BYTES or name.encode("utf-8", "replace").decode() != name:
        raise FileTransferError(f"{name[:80]!r} is not a file name: it is too long, or not valid UTF-8.")
    try:
        yield
    except RefusedError as error:
        raise FileTransferError(f"The sandbox refused {name!r}: {error}.") from error
    except OSError as error:
        raise FileTransferError(f"Cannot access {_shown(path)!r}: {error.strerror}.") from error
