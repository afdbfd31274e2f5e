"""Which models a request may name: the server's own, and those that its endpoint lists."""

import asyncio
import time
from dataclasses import replace

from agent.endpoint.config import Endpoint, LocalModel, Sampling
from agent.endpoint.model import Model
from agent.errors import AgentError
from agent.limits import Limits
from agent.runtime import OpenRuntime, Runtime
from agent.server.faults import Fault, bad_request
from agent.server.work.job import Job

LISTED_FOR_S = 60.0
"""How long a list of the endpoint's models is taken as it was."""


class Models:
    """The models behind a server, and how a job is answered by one of them."""

    def __init__(self, runtime: Runtime, opened: OpenRuntime) -> None:
        self.own = runtime.endpoint.model
        """The name of the model that the server was started with."""
        self._runtime = runtime
        self._has_checks = bool(runtime.settings.review)
        self._opened = opened
        self._listed: list[str] = []
        self._listed_at_s = float("-inf")
        self._listing = asyncio.Lock()

    async def names(self) -> list[str]:
        """The names of all models, the server's own first. An endpoint that does not answer lists none."""
        async with self._listing:
            if time.monotonic() - self._listed_at_s > LISTED_FOR_S:
                self._listed = await self._ask()
                self._listed_at_s = time.monotonic()
        return [self.own, *(name for name in self._listed if name != self.own)]

    async def _ask(self) -> list[str]:
        if not isinstance(self._runtime.model, Endpoint):
            return []
        model, _ = await self._opened.model()
        assert isinstance(model, Model)
        try:
            return await model.names()
        except AgentError:
            return self._listed

    async def check(self, name: str) -> None:
        """Raises Fault for an unknown model."""
        if name != self.own and name not in await self.names():
            raise Fault(
                404,
                f"There is no model {name[:200]!r} here; this server has {', '.join((await self.names())[:20])}.",
                "model_not_found",
                "model",
            )

    async def behind(self, name: str) -> Model:
        """The model that a request for this name can be passed on to. Raises Fault if there is none.

        An endpoint knows its models best; the built-in one would answer to any name.
        """
        if not isinstance(self._runtime.model, Endpoint):
            await self.check(name)
        model, _ = await self._opened.model()
        if not isinstance(model, Model):
            raise Fault(400, "A recorded run answers here: it takes only what it was asked.", "invalid_value", "model")
        return model.resampled(Sampling(), name)

    def may_tell(self, job: Job) -> bool:
        """True if nothing can object to an answer, so that its text may be told as the model writes it."""
        return not self._has_checks and not job.must_call

    async def runtime_for(self, job: Job) -> Runtime:
        """How this job is answered: as the server is set, within its limits, and otherwise as the request asks.

        Raises Fault for an unknown model, and UsageError for values that do not fit it.
        """
        await self.check(job.model)
        base = self._runtime
        model = base.model
        if job.images and isinstance(model, LocalModel):
            raise bad_request(f"The built-in model {job.model!r} sees no images.", "input")
        if isinstance(model, Endpoint):
            model = model.model_copy(update={"model": job.model})
        return replace(
            base,
            model=model,
            sampling=_sampling(base.sampling, job.sampling, base.endpoint if model is base.model else model),
            limits=_limits(base.limits, job),
            tools=job.functions,
            instructions="\n\n".join(part for part in (base.instructions, job.instructions) if part),
        )


def _sampling(own: Sampling, asked: Sampling, endpoint: object) -> Sampling:
    """What the request asks for, else what the server has. A wish to think is granted where thinking can be switched:
    clients of hosted models send it always."""
    values = asked.model_dump(exclude_none=True)
    if isinstance(endpoint, Endpoint) and (
        endpoint.preset.thinking in ("none", "only") or endpoint.switches.thinking is None
    ):
        values.pop("thinking", None)
        values.pop("thinking_budget", None)
    return own.model_copy(update=values).within(own.max_output_tokens)


def _limits(own: Limits, job: Job) -> Limits:
    """The server's limits, or narrower ones."""
    asked = {"max_calls": job.max_calls, "max_written_tokens": job.max_written_tokens}
    narrower = {
        name: value if getattr(own, name) is None else min(value, getattr(own, name))
        for name, value in asked.items()
        if value is not None
    }
    return own.model_copy(update=narrower)
