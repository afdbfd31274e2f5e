"""The desk: takes jobs, finds a sandbox for each, and lets the loop answer."""

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from agent.loop.result import RunResult
from agent.loop.setup import Anew
from agent.progress import Progress, Waiting
from agent.record.transcript import utc_now
from agent.runtime import OpenRuntime
from agent.server.work.job import Job
from agent.server.work.mailbox import followed
from agent.server.work.models import Models
from agent.server.work.places import Places


class Desk:
    """Answers jobs over one open runtime."""

    def __init__(self, opened: OpenRuntime, models: Models, places: Places, runs_directory: Path) -> None:
        self.models = models
        self.places = places
        self._opened = opened
        self._runs = runs_directory

    async def answer_once(self, job: Job) -> AsyncGenerator[Progress | RunResult]:
        """The progress of a job in a fresh sandbox, which ends with it, and at last its result.

        The first piece comes at once, when the job has its place. Before it, raises Fault or UsageError if the request
        cannot be granted; later, what a conversation raises. A reader who leaves ends the answer.
        """
        runtime = await self.models.runtime_for(job)
        await self.places.take(job.owner)
        try:
            yield Waiting("answering")

            async def start(tell: Callable[[Progress], None]) -> RunResult:
                async with self._opened.conversation(self.new_directory(), tell, runtime=runtime) as conversation:
                    anew = Anew(await self._opened.setup(runtime), job.history, job.call_id)
                    return await conversation.ask(job.question, images=job.images, anew=anew)

            async with aclosing(followed(start)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            await self.places.release(job.owner)

    def new_directory(self) -> Path:
        """A directory for a new run. It is not made yet."""
        return self._runs / f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
