"""The library's face: an Agent that answers tasks, each in a fresh sandbox and with a run directory."""

import asyncio
import os
import secrets
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from agent.credentials import secrets_among, secrets_for_clients
from agent.endpoint.config import Endpoint, LocalModel, RecordedModel, Sampling, choose_model, endpoint_of_record
from agent.endpoint.generator import Generator
from agent.endpoint.limiter import Limiter
from agent.endpoint.model import Model
from agent.errors import LocalModelError, UsageError
from agent.limits import Limits
from agent.local import find, model_named, own_file, serve
from agent.loop.conversation import Conversation, Setup, check_task
from agent.loop.files import check_files
from agent.loop.result import RunResult
from agent.loop.streaming import stream
from agent.messages import Cost, Usage
from agent.pricing import Prices, cost_of, read_prices
from agent.progress import Noted, Progress, TurnEnded, Waiting
from agent.record.events import Calls, ModelReplied, ModelSettings, ReplyCut
from agent.record.redaction import Redactor
from agent.record.transcript import read, utc_now
from agent.replay.narrowing import narrowed, narrowed_limits
from agent.replay.playback import Playback, endpoint_of, sampling_of
from agent.replay.resuming import check_tools, reopened
from agent.review.checks import checks_named
from agent.tools.functions import function_tools
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

    `model="recorded:RUN"` lets a recorded run answer in place of a model: the same requests get the same answers, and
    one that differs raises PlaybackError with a diff. All settings of the model are then those of the record.

    `tools` are functions of your own that the model may call beside run_python. They run in your process, on the
    host: whatever they can reach, the model can reach through them. Their parameters need type hints, which the
    model's arguments are validated by; the docstring tells the model what they do.

    `review` says which checks an answer must pass: "none", "default", "strict", or names with commas between them. What
    a check objects to is told to the model once, and it may repeat its answer.

    `context_tokens` is what the model can read and write at once, where its preset does not tell: old observations
    are shortened before it is exceeded. Raises UsageError where the arguments and the environment do not fit together.
    """

    def __init__(
        self,
        *,
        model: str | Endpoint | LocalModel | None = None,
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
        review: str = "default",
        runs_directory: Path | str = "runs",
    ) -> None:
        self.model = (
            model
            if isinstance(model, Endpoint | LocalModel)
            else choose_model(model=model, base_url=base_url, api_key=api_key, provider=provider, environ=os.environ)
        )
        self._recorded = read(self.model.run) if isinstance(self.model, RecordedModel) else None
        self._endpoint = self._endpoint_to_ask()
        self.policy = policy or Policy()
        self.sampling = (sampling or Sampling()).with_seed(self.policy.seed).for_endpoint(self._endpoint)
        self.prices = prices if prices is None or isinstance(prices, Prices) else read_prices(Path(prices))
        self.limiter = limiter
        self.limits = limits or Limits()
        self.runs_directory = Path(runs_directory)
        self._tools = function_tools(tools)
        self._context_tokens = context_tokens
        self._review = review
        checks_named(review, "native")
        self._check_limits()

    def _check_limits(self) -> None:
        if self.limits.max_cost is not None:
            self.check_price()

    def check_price(self) -> None:
        """Raises UsageError where no price is known for the model, so that no limit on cost can be kept."""
        name = self._endpoint.model
        if cost_of(name, Usage(), self.prices) is None:
            raise UsageError(
                f"A limit on cost needs a price, and none is known for model {name!r}.", hint="--prices FILE"
            )

    def varied(
        self,
        *,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        policy: Policy | None = None,
        limiter: Limiter | None = None,
    ) -> "Agent":
        """This agent but for what is given. Raises UsageError as a new one does."""
        other = copy(self)
        other.policy = policy or self.policy
        other.sampling = (sampling or self.sampling).with_seed(other.policy.seed).for_endpoint(self._endpoint)
        other.limits = limits or self.limits
        other.limiter = limiter or self.limiter
        other._check_limits()
        return other

    @classmethod
    def recorded_in(
        cls,
        run: Path | str,
        *,
        api_key: str | None = None,
        prices: Prices | Path | str | None = None,
        limits: Limits | None = None,
        tools: Iterable[Callable[..., Any]] = (),
        policy: Policy | None = None,
        base_url: str | None = None,
    ) -> Self:
        """The agent of a recorded run: its model, sampling and prices, within your own `policy` and `limits`.

        A record may be a stranger's. Its policy narrows yours and widens it nowhere; so do its limits, except those
        that you set. Its URL is asked only if `base_url` or the environment names it. Without `api_key`, the
        environment has the key for the endpoint, as it would for a new run. Raises TranscriptError, and UsageError for
        a URL, a network or an image that nothing of yours names, for a limit on cost without prices of your own (a
        record cannot say what your money buys), and if `tools` are not the functions that the run had.
        """
        recorded = read(Path(run))
        started, settings = recorded.started, recorded.started.settings
        agent = cls(
            model=_model_of(settings, base_url, api_key),
            sampling=sampling_of(settings),
            prices=prices if prices or (limits and limits.max_cost) else started.prices,
            policy=narrowed(recorded, policy or Policy()).policy,
            limits=narrowed_limits(started.limits, limits or Limits())[0],
            tools=tools,
            context_tokens=settings.context_tokens,
            review=",".join(settings.review or ()) or "none",
            runs_directory=recorded.directory.parent,
        )
        check_tools(recorded, {tool.name for tool in agent._tools})
        return agent

    @classmethod
    async def resume(
        cls,
        run: Path | str,
        *,
        api_key: str | None = None,
        prices: Prices | Path | str | None = None,
        limits: Limits | None = None,
        tools: Iterable[Callable[..., Any]] = (),
        policy: Policy | None = None,
        base_url: str | None = None,
        force: bool = False,
        on_progress: Callable[[Progress], None] = _ignore,
    ) -> RunResult:
        """Go on with the last question of a run that has crashed, was stopped, failed or came to a limit.

        Its cells are run again in a new sandbox and compared with the record; a call that has no answer is run, and
        the loop goes on, in the same run directory. The limits count anew. Raises what `run` and `recorded_in` raise,
        UsageError for a run that is answered, TranscriptError for one that is being written, and ResumeError where a
        cell gives something else now, unless by `force`. `on_progress` hears a `Noted` for each wish of the record that
        is not granted.
        """
        agent = cls.recorded_in(
            run, api_key=api_key, prices=prices, limits=limits, tools=tools, policy=policy, base_url=base_url
        )
        recorded = read(Path(run))
        if recorded.finished is not None and recorded.finished.outcome == "answered":
            raise UsageError(
                f"The run {str(run)!r} is answered; nothing is left to do.",
                hint=f"cellblock show {shlex.quote(str(run))}",
            )
        for note in narrowed(recorded, policy or Policy()).notes:
            on_progress(Noted(note))
        for note in narrowed_limits(recorded.started.limits, limits or Limits())[1]:
            on_progress(Noted(note))
        async with agent.session(resume=run, force=force, on_progress=on_progress) as session:
            return await session.go_on()

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
        raise UsageError("run_sync was called inside a running event loop.", hint="await agent.run(...)")

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
        self,
        *,
        run_directory: Path | str | None = None,
        resume: Path | str | None = None,
        force: bool = False,
        on_progress: Callable[[Progress], None] = _ignore,
    ) -> AsyncIterator[Conversation]:
        """Several questions over one kernel, one history and one run directory; the limits are for each question.

        `resume` is a recorded run whose history is continued in its own directory, over a sandbox with its image and
        policy (with a network only where this agent has the same) in which its cells are run again; a cell that gives
        something else raises ResumeError, unless by `force`.
        Raises what `run` raises for sandbox and model.
        """
        if resume is not None:
            async with self._resumed(Path(resume), force, on_progress) as session:
                yield session
            return
        directory = Path(run_directory) if run_directory else self.runs_directory / _fresh_run_id()
        changes: list[Change] = []
        async with DockerLauncher() as launcher:
            sandbox = Session(launcher, self.policy, on_change=changes.append)
            starting = asyncio.create_task(sandbox.start())
            try:
                async with self.open_model(on_progress) as (model, context_tokens):
                    await starting
                    setup = self.setup(context_tokens)
                    async with Conversation(setup, model, sandbox, directory, on_progress, changes=changes) as session:
                        yield session
            finally:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                await sandbox.close()

    @asynccontextmanager
    async def _resumed(
        self, run: Path, force: bool, on_progress: Callable[[Progress], None]
    ) -> AsyncIterator[Conversation]:
        changes: list[Change] = []
        redactor = Redactor({*self._secrets(), *secrets_among(self.policy.environment)})
        async with (
            DockerLauncher() as launcher,
            reopened(
                run,
                launcher,
                redactor=redactor,
                on_change=changes.append,
                on_progress=on_progress,
                policy=self.policy,
                force=force,
            ) as past,
            self.open_model(on_progress) as (model, context_tokens),
        ):
            setup, begun = self.setup(context_tokens), [change for change in changes if change.kind == "started"][-1:]
            async with Conversation(
                setup, model, past.sandbox, past.transcript.directory, on_progress, changes=begun, past=past
            ) as session:
                yield session

    def setup(self, context_tokens: int | None) -> Setup:
        """How this agent answers, over a model that reads and writes so much at once."""
        prices = self.prices and self.prices.only(self._endpoint.model)
        settings = self.settings().model_copy(update={"context_tokens": context_tokens})
        return Setup(settings, self.limits, self._tools, prices, self.cost, context_tokens, self._secrets())

    def _secrets(self) -> set[str]:
        return self._endpoint.secrets | secrets_for_clients(os.environ)

    @asynccontextmanager
    async def open_model(
        self, on_waiting: Callable[[Waiting], None], *, slots: int = 1
    ) -> AsyncIterator[tuple[Generator, int | None]]:
        """The model behind its endpoint and its context; the local one is served for as long as this lasts.

        The local one answers `slots` requests at a time.
        """
        if self._recorded is not None:
            yield Playback(self._recorded), self._recorded.started.settings.context_tokens
            return
        if isinstance(self.model, Endpoint):
            async with Model(self.model, self.sampling, limiter=self.limiter) as model:
                yield model, self._context_tokens or self._endpoint.preset.context_tokens
            return
        assert isinstance(self.model, LocalModel)
        on_waiting(Waiting(f"loading {self.model.name}"))
        path = await asyncio.to_thread(find_local_file, self.model)
        async with serve(path, name=self.model.name, slots=slots) as server:
            endpoint = self.model.endpoint(server.base_url, server.api_key)
            async with Model(endpoint, self.sampling, headers=server.headers, limiter=self.limiter) as model:
                yield model, self._context_tokens or server.context_tokens

    def _endpoint_to_ask(self) -> Endpoint:
        """What is known of the endpoint before it is there."""
        if self._recorded is not None:
            return endpoint_of(self._recorded.started.settings)
        assert not isinstance(self.model, RecordedModel)
        return self.model if isinstance(self.model, Endpoint) else self.model.endpoint("local")

    def settings(self) -> ModelSettings:
        """The model and its sampling, as the transcript records them."""
        if self._recorded is not None:
            return self._recorded.started.settings
        endpoint = self._endpoint
        calls: Calls = "fenced" if endpoint.preset.native_calls is False and not self._tools else "native"
        return ModelSettings(
            model=endpoint.model,
            base_url="local" if isinstance(self.model, LocalModel) else endpoint.public_url,
            provider=endpoint.switches.name,
            reasoning_field=endpoint.reasoning_field,
            calls=calls,
            review=checks_named(self._review, calls),
            explicit_cache=endpoint.explicit_cache,
            **self.sampling.model_dump(),
        )

    def cost(self, reply: ModelReplied | ReplyCut | TurnEnded) -> Cost | None:
        """What a request cost; None where it has no price."""
        return cost_of(self._endpoint.model, reply.usage, self.prices, thought=bool(reply.reasoning))


def find_local_file(model: LocalModel) -> Path:
    """The file of the built-in model, or the user's own. Raises LocalModelError where it is missing."""
    path = own_file() or find(model_named(model.name))
    if path is None:
        raise LocalModelError(
            f"No endpoint is configured, and the built-in model {model.name!r} is not downloaded.",
            hint="cellblock model pull",
        )
    return path


def _fresh_run_id() -> str:
    """A name that sorts by time and is taken by no other run."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _model_of(settings: ModelSettings, base_url: str | None, api_key: str | None) -> Endpoint | LocalModel:
    if settings.base_url == "local" and base_url is None:
        return LocalModel(name=settings.model)
    endpoint = endpoint_of_record(endpoint_of(settings), base_url, os.environ)
    return endpoint if api_key is None else endpoint.model_copy(update={"api_key": SecretStr(api_key)})
