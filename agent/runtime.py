"""How questions are answered, as a value, and the engine, model and sandboxes that this value opens."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

from agent.credentials import secrets_among, secrets_for_clients
from agent.endpoint.config import Endpoint, LocalModel, Sampling
from agent.endpoint.generator import Generator
from agent.endpoint.limiter import Limiter
from agent.endpoint.model import Model
from agent.errors import AgentError, UnreachableError, UsageError
from agent.limits import Limits
from agent.local import LocalServer, file_to_serve, in_use, serve
from agent.loop.client_run import ClientRun
from agent.loop.conversation import Conversation
from agent.loop.setup import Setup
from agent.messages import Cost, Usage
from agent.pricing import Prices, cost_of
from agent.progress import Progress, TurnEnded, Waiting, ignore
from agent.proxies import proxy_secrets
from agent.record.events import Calls, ModelReplied, ModelSettings, ReplyCut
from agent.record.reading import Recorded
from agent.record.redaction import Redactor
from agent.record.transcript import check_new
from agent.replay.playback import Playback, endpoint_of
from agent.replay.resuming import Past, reopened
from agent.review.checks import checks_named
from agent.tools.functions import Approve, FunctionTool
from agent.tools.mcp.config import Servers
from agent.tools.outside import OutsideTool
from sandbox import Policy, Pool, Session
from sandbox.docker import DockerLauncher, connect, default_image, require_image

CHECK_S = 15.0
"""An endpoint that accepts a request and is silent for this long is taken to be there."""


@dataclass(frozen=True)
class Runtime:
    """How questions are answered: by which model, in which sandbox, within which limits.

    Raises UsageError if sampling and model do not fit, if `review` names no check, or if the limits name a cost and
    the model has no price.
    """

    model: Endpoint | LocalModel | Recorded
    """A recorded run answers in place of a model."""
    policy: Policy = field(default_factory=Policy)
    sampling: Sampling = field(default_factory=Sampling)
    """With the seed of the policy and what the preset of the model adds."""
    limits: Limits = field(default_factory=Limits)
    """The limits of each question."""
    prices: Prices | None = None
    limiter: Limiter | None = None
    """The rate limit of requests, shared by all who ask the same endpoint."""
    tools: Sequence[FunctionTool | OutsideTool] = ()
    context_tokens: int | None = None
    """How many tokens the model can read and write together, if neither its preset nor its server says so."""
    review: str = "default"
    """The checks of an answer: none, default, strict, or names with commas between them."""
    instructions: str = ""
    """What the system prompt ends with."""
    servers: Servers = field(default_factory=dict)
    """Servers of MCP whose tools the model may call beside `tools`."""
    approve: Approve | None = None
    """Asked before a call of one of their tools, unless it only reads or is always allowed; without it, none is."""

    def __post_init__(self) -> None:
        sampling = self.sampling.with_seed(self.policy.seed).for_endpoint(self.endpoint)
        object.__setattr__(self, "sampling", sampling)
        checks_named(self.review, "native")
        if self.limits.max_cost is not None:
            self.check_price()

    @property
    def endpoint(self) -> Endpoint:
        """What is known of the endpoint before it is open."""
        match self.model:
            case Recorded():
                return endpoint_of(self.model.started.settings)
            case LocalModel():
                return self.model.endpoint("local")
            case Endpoint():
                return self.model

    @property
    def settings(self) -> ModelSettings:
        """The model and its sampling, as a transcript records them."""
        if isinstance(self.model, Recorded):
            return self.model.started.settings
        endpoint = self.endpoint
        can_be_fenced = all(isinstance(tool, FunctionTool) and tool.is_for_code for tool in self.tools)
        calls: Calls = "fenced" if endpoint.preset.native_calls is False and can_be_fenced else "native"
        return ModelSettings(
            model=endpoint.model,
            base_url="local" if isinstance(self.model, LocalModel) else endpoint.public_url,
            provider=endpoint.switches.name,
            reasoning_field=endpoint.reasoning_field,
            calls=calls,
            review=checks_named(self.review, calls),
            explicit_cache=endpoint.explicit_cache,
            **self.sampling.model_dump(),
        )

    @property
    def secrets(self) -> set[str]:
        """What must not be recorded: the keys of the endpoint, and the secret variables of the sandbox."""
        of_clients = secrets_for_clients(os.environ) | proxy_secrets(os.environ)
        of_servers = set[str]().union(*(spec.secrets for spec in self.servers.values()))
        return self.endpoint.secrets | of_clients | of_servers | secrets_among(self.policy.environment)

    def cost(self, reply: ModelReplied | ReplyCut | TurnEnded) -> Cost | None:
        """What a request cost; None if the model has no price."""
        return cost_of(self.endpoint.model, reply.usage, self.prices, thought=bool(reply.reasoning))

    def check_price(self) -> None:
        """Raises UsageError if the model has no known price, so that no limit on cost can be kept."""
        name = self.endpoint.model
        if cost_of(name, Usage(), self.prices) is None:
            raise UsageError(
                f"A limit on cost needs a price, and none is known for model {name!r}.",
                hint="--prices FILE",
                in_python="Agent(prices=FILE)",
            )

    def setup(self, model: Generator, context_tokens: int | None) -> Setup:
        """The rules of a conversation with an open model."""
        return Setup(
            model=model.resampled(self.sampling, self.endpoint.model) if isinstance(model, Model) else model,
            settings=self.settings.model_copy(update={"context_tokens": context_tokens}),
            limits=self.limits,
            tools=self.tools,
            prices=self.prices and self.prices.only(self.endpoint.model),
            cost_of=self.cost,
            context_tokens=context_tokens,
            secrets=self.secrets,
            instructions=self.instructions,
        )

    @asynccontextmanager
    async def opened(
        self, on_waiting: Callable[[Waiting], None] = ignore, *, slots: int = 1, max_starting: int | None = None
    ) -> AsyncIterator["OpenRuntime"]:
        """Get ready for conversations, `slots` of them at a time.

        With `max_starting`, their sandboxes come from a pool, of which at most so many start at a time.
        """
        async with AsyncExitStack() as stack:
            launcher = await stack.enter_async_context(DockerLauncher(lambda what: on_waiting(Waiting(what))))
            pool = None
            if max_starting is not None:
                pool = await stack.enter_async_context(Pool(launcher, self.policy, size=0, max_starting=max_starting))
            tools: Sequence[FunctionTool] = ()
            if self.servers:
                on_waiting(Waiting("starting MCP servers"))
                of_extra = import_module("agent.tools.mcp.tools")
                tools = await stack.enter_async_context(of_extra.opened_tools(self.servers, self.approve))
            yield OpenRuntime(self, launcher, pool, stack, on_waiting, slots, tools)

    @asynccontextmanager
    async def open_model(
        self, on_waiting: Callable[[Waiting], None], *, slots: int = 1
    ) -> AsyncIterator[tuple[Generator, int | None]]:
        """The model behind its endpoint, and its context in tokens.

        The built-in model is served for as long as this lasts, and answers `slots` requests at a time.
        """
        match self.model:
            case Recorded():
                yield Playback(self.model), self.model.started.settings.context_tokens
            case Endpoint():
                async with Model(self.model, self.sampling, limiter=self.limiter) as model:
                    yield model, self.context_tokens or self.model.preset.context_tokens
            case LocalModel(name=name):
                on_waiting(Waiting(f"loading {name}"))
                path = await asyncio.to_thread(file_to_serve, name)
                async with _served(path, name, slots) as server:
                    endpoint = self.model.endpoint(server.base_url, server.api_key)
                    async with Model(endpoint, self.sampling, headers=server.headers, limiter=self.limiter) as model:
                        yield model, self.context_tokens or server.context_tokens


class OpenRuntime:
    """An engine, one model and perhaps a pool, for any number of conversations. `Runtime.opened` makes one."""

    def __init__(
        self,
        runtime: Runtime,
        launcher: DockerLauncher,
        pool: Pool | None,
        stack: AsyncExitStack,
        on_waiting: Callable[[Waiting], None],
        slots: int,
        tools: Sequence[FunctionTool],
    ) -> None:
        """`tools` are those of the servers."""
        self._runtime = runtime
        self._tools = tools
        self._launcher = launcher
        self._pool = pool
        self._stack = stack
        self._on_waiting = on_waiting
        self._slots = slots
        self._opening = asyncio.Lock()
        self._model: tuple[Generator, int | None] | None = None

    @property
    def tool_names(self) -> set[str]:
        """The names of all tools: the caller's and those of the servers."""
        return {tool.name for tool in (*self._runtime.tools, *self._tools)}

    async def model(self) -> tuple[Generator, int | None]:
        """The model and its context in tokens, opened at the first call. Raises LocalModelError."""
        async with self._opening:
            if self._model is None:
                opening = self._runtime.open_model(self._on_waiting, slots=self._slots)
                self._model = await self._stack.enter_async_context(opening)
            return self._model

    async def setup(self, runtime: Runtime) -> Setup:
        """The rules of a question that is answered as `runtime` says, by a model of the same server."""
        model, context_tokens = await self.model()
        return self._with_tools(runtime).setup(model, context_tokens)

    def _with_tools(self, runtime: Runtime) -> Runtime:
        return replace(runtime, tools=(*runtime.tools, *self._tools)) if self._tools else runtime

    @asynccontextmanager
    async def conversation(
        self,
        directory: Path,
        on_progress: Callable[[Progress], None],
        *,
        runtime: Runtime | None = None,
        resume: bool = False,
        force: bool = False,
    ) -> AsyncIterator[Conversation]:
        """Questions over one sandbox and one run directory; with `resume`, those of the run that is there.

        The sandbox gets ready while the model is opened. `runtime` has the same model, and other sampling, limits or
        policy. Raises SandboxError and LocalModelError; for `resume` and `force`, see `reopened`. A directory that
        cannot take a new run is refused before anything is opened: see `check_new`.
        """
        if not resume:
            check_new(directory)
        runtime = self._with_tools(runtime or self._runtime)
        async with AsyncExitStack() as stack:
            if resume:
                place = self._resumed(directory, runtime, on_progress, force=force)
            else:
                place = self._new(directory, runtime)
            placing = asyncio.create_task(stack.enter_async_context(place))
            try:
                model, context_tokens = await self.model()
                sandbox, run = await placing
            finally:
                placing.cancel()
                await asyncio.gather(placing, return_exceptions=True)
            async with Conversation(runtime.setup(model, context_tokens), sandbox, run, on_progress) as conversation:
                yield conversation

    @asynccontextmanager
    async def client_run(self, directory: Path, client: str) -> AsyncIterator[ClientRun]:
        """The cells that a client writes, over one sandbox and one new run directory. No model is asked."""
        check_new(directory)
        async with self._new(directory, self._runtime) as (sandbox, _):
            run = await ClientRun.begun(sandbox, directory, client, secrets=self._runtime.secrets)
            try:
                yield run
            finally:
                await run.close()

    @asynccontextmanager
    async def _new(self, directory: Path, runtime: Runtime) -> AsyncIterator[tuple[Session, Path | Past]]:
        policy = runtime.policy
        async with self._pool.session(policy=policy) if self._pool else Session(self._launcher, policy) as sandbox:
            yield sandbox, directory

    @asynccontextmanager
    async def _resumed(
        self, run: Path, runtime: Runtime, on_progress: Callable[[Progress], None], *, force: bool
    ) -> AsyncIterator[tuple[Session, Path | Past]]:
        redactor = Redactor(runtime.secrets)
        opened = reopened(
            run, self._launcher, redactor=redactor, on_progress=on_progress, policy=runtime.policy, force=force
        )
        async with opened as (sandbox, past):
            yield sandbox, past

    def keep_warm(self, sandboxes: int) -> None:
        """Keep so many sandboxes started ahead in the pool."""
        if self._pool is not None:
            self._pool.resize(sandboxes)

    async def check(self) -> None:
        """Raises CellblockError if the engine or the endpoint does not answer.

        An endpoint that says anything at all, or listens and thinks, answers.
        """
        await asyncio.to_thread(_check_engine, self._runtime.policy)
        await self._launcher.prepare(self._runtime.policy)
        model, _ = await self.model()
        if not isinstance(model, Model):
            return
        try:
            async with asyncio.timeout(CHECK_S):
                await model.names()
        except UnreachableError:
            raise
        except (AgentError, TimeoutError):
            pass


@asynccontextmanager
async def _served(path: Path, name: str, slots: int) -> AsyncIterator[LocalServer]:
    """The server of a model file that stays loaded, or else one of our own."""
    async with in_use(path) as server:
        if server is not None:
            yield server
            return
    async with serve(path, name=name, slots=slots) as server:
        yield server


def _check_engine(policy: Policy) -> None:
    with closing(connect()) as client:
        require_image(client, policy.image or default_image())
