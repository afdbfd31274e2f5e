"""The desk: takes jobs, finds a sandbox or only the model for each, and lets them be answered."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from agent.endpoint.thinking import DeltaKind
from agent.loop.result import RunResult
from agent.loop.setup import Anew
from agent.messages import Message
from agent.progress import (
    ArgumentsDelta,
    CallBegun,
    Progress,
    ReasoningDelta,
    TextDelta,
    TurnRestarted,
    Waiting,
    ignore,
)
from agent.record.transcript import utc_now
from agent.runtime import OpenRuntime, Runtime
from agent.server.work.job import Job
from agent.server.work.mailbox import Answers
from agent.server.work.models import Models
from agent.server.work.plain import Turn, one_turn
from agent.server.work.sandboxes import Home, Live, Sandboxes

_DELTAS: Mapping[DeltaKind, Callable[[str], Progress]] = {
    "reasoning": ReasoningDelta,
    "text": TextDelta,
    "call": CallBegun,
    "arguments": ArgumentsDelta,
    "restart": TurnRestarted,
}
ADMITTED = Waiting("answering")
"""The first piece of each answer: the request is granted."""


class Desk:
    """Answers jobs over one open runtime.

    Each answer is a generator of its progress and, at last, its result. Before the first piece, which comes as soon as
    the job has what it needs, it raises Fault or UsageError if the request cannot be granted; later, what a
    conversation raises. A reader who leaves ends the answer.
    """

    def __init__(
        self,
        opened: OpenRuntime,
        models: Models,
        sandboxes: Sandboxes,
        runs_directory: Path,
        note: Callable[[Progress], None] = ignore,
    ) -> None:
        """`note` hears the progress of all answers."""
        self.models = models
        self.sandboxes = sandboxes
        self.opened = opened
        self.answers = Answers(note)
        self._runs = runs_directory

    async def answer_once(self, job: Job) -> AsyncGenerator[Progress | RunResult]:
        """Answer in a fresh sandbox, which ends with the answer."""
        runtime = await self.models.runtime_for(job)

        async def start(tell: Callable[[Progress], None]) -> RunResult:
            await self.sandboxes.places.take(job.owner)
            try:
                tell(ADMITTED)
                async with self.opened.conversation(self.new_directory(), tell, runtime=runtime) as conversation:
                    anew = Anew(await self.opened.setup(runtime), job.history, job.call_id, job.must_call)
                    return await conversation.ask(job.question, images=job.images, anew=anew)
            finally:
                self.sandboxes.places.release(job.owner)

        async with aclosing(self.answers.followed(start)) as pieces:
            async for piece in pieces:
                yield piece

    async def answer_in(
        self, home: Home, ask: Callable[[Live], Awaitable[RunResult]]
    ) -> AsyncGenerator[Progress | RunResult]:
        """Answer in the sandbox of a container, which stays. `ask` puts the question to its conversation."""

        async def start(tell: Callable[[Progress], None]) -> RunResult:
            async with self.sandboxes.held(home, tell) as live:
                tell(ADMITTED)
                result = await ask(live)
            if result.limit == "session":  # its time is over: the next question gets a fresh sandbox
                await self.sandboxes.end(home.id)
            return result

        async with aclosing(self.answers.followed(start)) as pieces:
            async for piece in pieces:
                yield piece

    async def one_turn(
        self, job: Job, runtime: Runtime, messages: list[Message], schema: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[Progress | Turn]:
        """Let the model alone answer, with the client's functions as its only tools."""
        setup = await self.opened.setup(runtime)
        yield ADMITTED

        async def start(tell: Callable[[Progress], None]) -> Turn:
            def on_delta(kind: DeltaKind, text: str) -> None:
                tell(_DELTAS[kind](text))

            return await one_turn(
                setup.model,
                messages,
                job.functions,
                on_delta,
                must_call=job.must_call,
                schema=schema,
                max_output_tokens=job.max_written_tokens,
            )

        async with aclosing(self.answers.followed(start)) as pieces:
            async for piece in pieces:
                yield piece

    def new_directory(self, name: str | None = None) -> Path:
        """A directory for a new run. It is not made yet."""
        return self._runs / (name or f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(6)}")
