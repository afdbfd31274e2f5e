"""The library's face: an Agent that answers tasks, each in a fresh sandbox and with a run directory."""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.artifacts import check_files
from agent.config import Endpoint, LocalModel, Sampling, choose_model
from agent.conversation import Conversation, Setup, check_task
from agent.errors import LocalModelError, UsageError
from agent.events import ModelReplied, ModelSettings
from agent.functions import function_tools
from agent.limiter import Limiter
from agent.limits import Limits
from agent.local import find, model_named, own_file, serve
from agent.messages import Cost, Usage
from agent.model import Model
from agent.pricing import Prices, cost_of, read_prices
from agent.progress import Progress, Waiting
from agent.result import RunResult
from agent.streaming import stream
from agent.transcript import utc_now
from sandbox import Change, Policy, Session
from sandbox.docker import DockerLauncher


def _ignore(_: object) -> None:
    """The listener of a caller who does not listen."""


class Agent:
    """Answers tasks by letting a model write Python and running it in a locked sandbox.

    Without arguments, the endpoint is what the environment names (`CELLBLOCK_BASE_URL`, `OPENAI_BASE_URL`,
    `DASHSCOPE_API_KEY`, …), and the built-in local Qwen coder where it names none. `provider` names the kind of
    server where its host does not tell; `prices` is a table of prices or its file, which `limits.max_cost` needs; a
    `limiter` is shared with others who ask the same endpoint.

    `tools` are functions of your own that the model may call beside run_python. They run in your process, on the
    host: whatever they can reach, the model can reach through them. Their parameters need type hints, which the
    model's arguments are validated by; the docstring tells the model what they do.

    `context_tokens` is what the model can read and write at once, where its preset does not tell: old observations
    are shortened before it is exceeded. Raises UsageError where the arguments and the environment do not fit together.
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
        limits: Limits | None = None,
        tools: Iterable[Callable[..., Any]] = (),
        context_tokens: int | None = None,
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
        self.limits = limits or Limits()
        self.runs_directory = Path(runs_directory)
        self._tools = function_tools(tools)
        self._context_tokens = context_tokens
        if self.limits.max_cost is not None and cost_of(self._endpoint.model, Usage(), self.prices) is None:
            name = self._endpoint.model
            raise UsageError(
                f"A limit on cost needs a price, and none is known for model {name!r}.", mend="--prices FILE"
            )

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
        check_task(task)
        given = check_files(Path(file) for file in files)
        async with self.session(run_directory=run_directory, on_progress=on_progress) as session:
            return await session.ask(task, files=given)

    def stream(
        self, task: str, *, files: Iterable[Path | str] = (), run_directory: Path | str | None = None
    ) -> AsyncGenerator[Progress | RunResult, None]:
        """`run` as an iterator: each piece of progress as it comes, and the RunResult as the last.

        To leave early and at once, close it: `async with contextlib.aclosing(agent.stream(...)) as pieces`.
        """
        given = list(files)
        return stream(
            lambda on_progress: self.run(task, files=given, run_directory=run_directory, on_progress=on_progress)
        )

    @asynccontextmanager
    async def session(
        self, *, run_directory: Path | str | None = None, on_progress: Callable[[Progress], None] = _ignore
    ) -> AsyncIterator[Conversation]:
        """Several questions over one kernel, one history and one run directory; the limits are for each question.

        Raises what `run` raises for sandbox and model.
        """
        directory = Path(run_directory) if run_directory else self.runs_directory / _fresh_run_id()
        changes: list[Change] = []
        async with DockerLauncher() as launcher:
            sandbox = Session(launcher, self.policy, on_change=changes.append)
            starting = asyncio.create_task(sandbox.start())
            try:
                async with self._open_model(on_progress) as (model, context_tokens):
                    await starting
                    setup = Setup(self.settings(), self.limits, self._tools, self.cost, context_tokens)
                    async with Conversation(setup, model, sandbox, directory, on_progress, changes=changes) as session:
                        yield session
            finally:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                await sandbox.close()

    @asynccontextmanager
    async def _open_model(self, on_progress: Callable[[Progress], None]) -> AsyncIterator[tuple[Model, int | None]]:
        """The model behind its endpoint and its context; the local one is served for as long as the run lasts."""
        if isinstance(self.model, Endpoint):
            async with Model(self.model, self.sampling, limiter=self.limiter) as model:
                yield model, self._context_tokens or self._endpoint.preset.context_tokens
            return
        on_progress(Waiting(f"loading {self.model.name}"))
        path = await asyncio.to_thread(find_local_file, self.model)
        async with serve(path, name=self.model.name) as server:
            endpoint = self.model.endpoint(server.base_url, server.api_key)
            async with Model(endpoint, self.sampling, headers=server.headers) as model:
                yield model, self._context_tokens or server.context_tokens

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

    def cost(self, reply: ModelReplied) -> Cost | None:
        """What a turn cost; None where it has no price."""
        return cost_of(self._endpoint.model, reply.usage, self.prices, thought=bool(reply.reasoning))


def find_local_file(model: LocalModel) -> Path:
    """The file of the built-in model, or the user's own. Raises LocalModelError where it is missing."""
    path = own_file() or find(model_named(model.name))
    if path is None:
        raise LocalModelError(
            f"No endpoint is configured, and the built-in model {model.name!r} is not downloaded.",
            mend="cellblock model pull",
        )
    return path


def _fresh_run_id() -> str:
    """A name that sorts by time and is taken by no other run."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
