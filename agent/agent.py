"""The library's face: an Agent that answers tasks, each in a fresh sandbox and with a run directory."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files as package_files
from pathlib import Path

from agent.artifacts import Artifacts, check_files, collect_artifacts, put_files
from agent.config import Endpoint, LocalModel, Sampling, choose_model
from agent.errors import LocalModelError, UsageError
from agent.events import (
    Environment,
    FileRecord,
    ModelReplied,
    ModelSettings,
    Outcome,
    RunFinished,
    RunStarted,
    SandboxChanged,
)
from agent.limiter import Limiter
from agent.local import find, model_named, own_file, serve
from agent.loop import Finish, Loop
from agent.messages import Cost, Usage
from agent.model import Model
from agent.pricing import Prices, cost_of, read_prices, total_cost
from agent.progress import Progress, Waiting
from agent.text import encodable
from agent.toolcalls import TOOL
from agent.transcript import Transcript, utc_now
from sandbox import CellblockError, Change, Policy, SandboxError, Session
from sandbox.docker import DockerLauncher

DEFAULT_MAX_TURNS = 12
MAX_TASK_CHARS = 200_000


@dataclass(frozen=True)
class RunResult:
    """What a run came to."""

    outcome: Outcome
    answer: str | None
    run_directory: Path
    """Holds `transcript.jsonl` and, under `files/`, what the run produced."""
    usage: Usage
    cost: Cost | None
    """None where the price table has no price for the model."""
    artifacts: list[FileRecord]


def _ignore(_: object) -> None:
    """The listener of a caller who does not listen."""


class Agent:
    """Answers tasks by letting a model write Python and running it in a locked sandbox.

    Without arguments, the endpoint is what the environment names (`CELLBLOCK_BASE_URL`, `OPENAI_BASE_URL`,
    `DASHSCOPE_API_KEY`, …), and the built-in local Qwen coder where it names none. `provider` names the kind of
    server where its host does not tell; `prices` is a table of prices or its file; a `limiter` is shared with others
    who ask the same endpoint. Raises UsageError where the arguments and the environment do not fit together.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        provider: str | None = None,
        sampling: Sampling | None = None,
        prices: Prices | Path | str | None = None,
        limiter: Limiter | None = None,
        policy: Policy | None = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        runs_directory: Path | str = "runs",
    ) -> None:
        self.model = choose_model(
            model=model, base_url=base_url, api_key=api_key, provider=provider, environ=os.environ
        )
        self._endpoint = self.model if isinstance(self.model, Endpoint) else self.model.endpoint("local")
        self.sampling = (sampling or Sampling()).for_endpoint(self._endpoint)
        self.prices = prices if prices is None or isinstance(prices, Prices) else read_prices(Path(prices))
        self.limiter = limiter
        self.policy = policy or Policy()
        self.max_turns = max_turns
        self.runs_directory = Path(runs_directory)

    def run_sync(
        self,
        task: str,
        *,
        files: Iterable[Path | str] = (),
        run_directory: Path | str | None = None,
        on_progress: Callable[[Progress], None] = _ignore,
    ) -> RunResult:
        """`run` for callers without an event loop."""
        run = self.run(task, files=files, run_directory=run_directory, on_progress=on_progress)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(run)
        run.close()
        raise UsageError("run_sync was called inside a running event loop.", mend="await agent.run(...)")

    async def run(
        self,
        task: str,
        *,
        files: Iterable[Path | str] = (),
        run_directory: Path | str | None = None,
        on_progress: Callable[[Progress], None] = _ignore,
    ) -> RunResult:
        """Answer one task. `files` are copied into the sandbox's /workspace first.

        The run directory is new, by default a fresh one under `runs_directory`. Raises UsageError for a bad
        task or file, SandboxError where no sandbox can be had, EndpointError or LocalModelError where no
        model can; what the model's code does wrong is never raised.
        """
        _check_task(task)
        given = check_files(Path(file) for file in files)
        directory = Path(run_directory) if run_directory else self.runs_directory / _fresh_run_id()
        run = _Run(self, task, directory, on_progress)
        async with DockerLauncher() as launcher:
            session = Session(launcher, self.policy, on_change=run.note_change)
            starting = asyncio.create_task(session.start())
            try:
                async with self._open_model(on_progress) as model:
                    await starting
                    return await run.conduct(model, session, given)
            finally:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                await session.close()

    @asynccontextmanager
    async def _open_model(self, on_progress: Callable[[Progress], None]) -> AsyncIterator[Model]:
        """The model behind its endpoint; the local one is served for as long as the run lasts."""
        if isinstance(self.model, Endpoint):
            async with Model(self.model, self.sampling, limiter=self.limiter) as model:
                yield model
            return
        on_progress(Waiting(f"loading {self.model.name}"))
        path = await asyncio.to_thread(find_local_file, self.model)
        async with serve(path, name=self.model.name) as server:
            endpoint = self.model.endpoint(server.base_url, server.api_key)
            async with Model(endpoint, self.sampling, headers=server.headers) as model:
                yield model

    def settings(self) -> ModelSettings:
        """The model and its sampling, as the transcript records them."""
        endpoint = self._endpoint
        return ModelSettings(
            model=endpoint.model,
            base_url="local" if isinstance(self.model, LocalModel) else endpoint.public_url,
            provider=endpoint.switches.name,
            reasoning_field=endpoint.reasoning_field,
            explicit_cache=endpoint.explicit_cache,
            **self.sampling.model_dump(),
        )

    def cost(self, replies: Iterable[ModelReplied]) -> Cost | None:
        """What these turns cost together; None where one has no price."""
        return total_cost(
            cost_of(self._endpoint.model, reply.usage, self.prices, thought=bool(reply.reasoning)) for reply in replies
        )


def find_local_file(model: LocalModel) -> Path:
    """The file of the built-in model, or the user's own. Raises LocalModelError where it is missing."""
    path = own_file() or find(model_named(model.name))
    if path is None:
        raise LocalModelError(
            f"No endpoint is configured, and the built-in model {model.name!r} is not downloaded.",
            mend="cellblock model pull",
        )
    return path


class _Run:
    """One run from its first event to its last."""

    def __init__(self, agent: Agent, task: str, directory: Path, on_progress: Callable[[Progress], None]) -> None:
        self._agent = agent
        self._task = task
        self._directory = directory
        self._on_progress = on_progress
        self._begun = time.monotonic()
        self._transcript: Transcript | None = None
        self._early: list[Change] = []

    def note_change(self, change: Change) -> None:
        """Record what happens to the sandbox; what comes before the transcript waits for it."""
        if self._transcript is None:
            self._early.append(change)
        else:
            self._transcript.append(SandboxChanged(kind=change.kind, reason=change.reason))

    async def conduct(self, model: Model, session: Session, files: list[Path]) -> RunResult:
        """Record the run's start, go through the loop, and record how it ended, whatever happens."""
        records = await put_files(session, files)
        started = await self._started(session, records)
        before = await session.list_files()
        with Transcript(self._directory, clock=utc_now) as transcript:
            self._transcript = transcript
            transcript.append(started)
            for change in self._early:
                self.note_change(change)
            finish, artifacts = Finish("cancelled", None), Artifacts()
            try:
                finish = await Loop(model, session, transcript, self._on_progress).run(self._agent.max_turns)
                with suppress(SandboxError):  # an answer is not lost with the sandbox that it came from
                    artifacts = await collect_artifacts(session, before, self._directory / "files")
            except Exception as error:
                known = isinstance(error, CellblockError)
                finish = Finish("error", finish.answer, str(error) if known else repr(error))
                raise
            finally:
                finished = transcript.append(self._finished(transcript, finish, artifacts))
                self._transcript = None
        return RunResult(
            finish.outcome, finish.answer, self._directory, finished.usage, finished.cost, artifacts.records
        )

    async def _started(self, session: Session, files: list[FileRecord]) -> RunStarted:
        info, description = session.info, await session.describe()
        return RunStarted(
            cellblock_version=version("cellblock"),
            run_id=self._directory.name,
            task=self._task,
            files=files,
            settings=self._agent.settings(),
            tools=[TOOL],
            system_prompt=package_files("agent").joinpath("prompt.md").read_text(),
            max_turns=self._agent.max_turns,
            environment=Environment(
                backend=info.backend,
                engine=info.engine,
                runtime=info.runtime,
                image=info.image,
                image_id=info.image_id,
                python=description.python,
                packages=description.packages,
                policy=session.policy,
            ),
        )

    def _finished(self, transcript: Transcript, finish: Finish, artifacts: Artifacts) -> RunFinished:
        replies = [event for event in transcript.events if isinstance(event, ModelReplied)]
        return RunFinished(
            outcome=finish.outcome,
            answer=finish.answer,
            error=finish.error,
            usage=sum((reply.usage for reply in replies), Usage()),
            cost=self._agent.cost(replies),
            duration_s=round(time.monotonic() - self._begun, 3),
            artifacts=artifacts.records,
            artifacts_omitted=artifacts.omitted,
        )


def _check_task(task: str) -> None:
    if not task.strip():
        raise UsageError("The task is empty.", mend='cellblock run "What is 123 to the power of 21?"')
    if encodable(task) != task:
        raise UsageError(f"The task is not valid UTF-8: {task[:40]!r}.", mend="export LANG=C.UTF-8")
    if len(task) > MAX_TASK_CHARS:
        raise UsageError(
            f"The task is {len(task)} characters long, over the limit of {MAX_TASK_CHARS}: {task[:40]!r}….",
            mend='put the data into a file: cellblock run "TASK" -f FILE',
        )


def _fresh_run_id() -> str:
    """A name that sorts by time and is taken by no other run."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
