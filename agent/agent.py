"""The library's face: an Agent that answers tasks, each in a fresh sandbox and with a run directory."""

import asyncio
import os
import secrets
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from agent.answers import AnswerType
from agent.confirming import check_confirmable, confirmed
from agent.endpoint.config import Endpoint, LocalModel, RecordedModel, Sampling, choose_model, endpoint_of_record
from agent.endpoint.limiter import Limiter
from agent.errors import UsageError
from agent.limits import Limits
from agent.loop.conversation import Conversation, check_task
from agent.loop.files import check_files, check_sizes
from agent.loop.result import RunResult
from agent.loop.streaming import stream
from agent.paths import Files, expanded, paths_of
from agent.pricing import Prices, read_prices
from agent.progress import Noted, Progress, ignore
from agent.record.events import ModelSettings
from agent.record.history import beginning_of
from agent.record.transcript import read, utc_now
from agent.replay.narrowing import narrowed, narrowed_limits
from agent.replay.playback import endpoint_of, sampling_of
from agent.replay.resuming import check_tools
from agent.runtime import Runtime
from agent.tools.functions import Approve, FunctionTool, function_tools
from agent.tools.mcp.config import read_servers
from sandbox import Policy


class Agent:
    """Answers tasks by letting a model write Python and running it in a locked sandbox.

    Without arguments, the endpoint is what the environment names (`CELLBLOCK_BASE_URL`, `OPENAI_BASE_URL`,
    `DASHSCOPE_API_KEY`, …), or else the built-in local Qwen coder. `provider` names the kind of server if its host
    does not tell; `prices` is a table of prices or its file, which `limits.max_cost` needs; a `limiter` is shared with
    others who ask the same endpoint.

    `model="recorded:RUN"` lets a recorded run answer in place of a model: the same requests get the same answers, and
    one that differs raises PlaybackError with a diff. All settings of the model are then those of the record.

    `tools` are functions of your own that the model may call, and the code that it writes: `agent.tool` says who may,
    and whether you are asked. They run in your process, on the host: whatever they can reach, the model can reach
    through them. Their parameters need type hints, which the arguments are validated by; the docstring tells the model
    what they do.

    `mcp` names servers of the Model Context Protocol whose tools the model may call as well: a file with `mcpServers`,
    or its value. They run while a question is answered. `approve` is asked before a call, with the name and the
    arguments, unless the tool only reads or the file always allows it.

    `review` names the checks that an answer must pass: "none", "default", "strict", or names with commas between
    them. If one objects, the model is told once, and may repeat its answer.

    `context_tokens` is what the model can read and write at once, if its preset does not tell: old observations are
    shortened before it is exceeded. Raises UsageError if the arguments and the environment do not fit together.
    """

    runtime: Runtime
    """How this agent answers: a value that a batch and conversations can share."""
    runs_directory: Path

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
        tools: Iterable[Callable[..., Any] | FunctionTool] = (),
        mcp: Path | str | Mapping[str, Any] | None = None,
        approve: Approve | None = None,
        context_tokens: int | None = None,
        review: str = "default",
        runs_directory: Path | str = "runs",
    ) -> None:
        chosen = (
            model
            if isinstance(model, Endpoint | LocalModel)
            else choose_model(model=model, base_url=base_url, api_key=api_key, provider=provider, environ=os.environ)
        )
        self.runtime = Runtime(
            model=read(chosen.run) if isinstance(chosen, RecordedModel) else chosen,  # its settings are in the record
            policy=policy or Policy(),
            sampling=sampling or Sampling(),
            limits=limits or Limits(),
            prices=prices if prices is None or isinstance(prices, Prices) else read_prices(expanded(prices)),
            limiter=limiter,
            tools=function_tools(tools),
            context_tokens=context_tokens,
            review=review,
            servers={} if mcp is None else read_servers(mcp if isinstance(mcp, Mapping) else expanded(mcp)),
            approve=approve,
        )
        self.runs_directory = expanded(runs_directory)

    def with_options(
        self,
        *,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        policy: Policy | None = None,
        limiter: Limiter | None = None,
    ) -> Self:
        """A copy of this agent with these settings replaced. Raises UsageError as a new one does."""
        options = {"sampling": sampling, "limits": limits, "policy": policy, "limiter": limiter}
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        other = copy(self)
        other.runtime = replace(self.runtime, **given)
        return other

    @classmethod
    def recorded_in(
        cls,
        run: Path | str,
        *,
        api_key: str | None = None,
        prices: Prices | Path | str | None = None,
        limits: Limits | None = None,
        tools: Iterable[Callable[..., Any] | FunctionTool] = (),
        mcp: Path | str | Mapping[str, Any] | None = None,
        approve: Approve | None = None,
        policy: Policy | None = None,
        base_url: str | None = None,
    ) -> Self:
        """The agent of a recorded run: its model, sampling and prices, within your own `policy` and `limits`.

        A record may be a stranger's. Its policy narrows yours and widens it nowhere; so do its limits, except those
        that you set. Its URL is asked only if `base_url` or the environment names it. Without `api_key`, the
        environment has the key for the endpoint, as it would for a new run. Raises TranscriptError, and UsageError for
        a URL, a network or an image that nothing of yours names, and for a limit on cost without prices of your own (a
        record cannot say what your money buys).
        """
        recorded = read(expanded(run))
        begun = beginning_of(recorded.events)
        settings = begun.settings
        return cls(
            model=_model_of(settings, base_url, api_key),
            sampling=sampling_of(settings),
            prices=prices if prices or (limits and limits.max_cost) else begun.prices,
            policy=narrowed(recorded, policy or Policy()).policy,
            limits=narrowed_limits(begun.limits, limits or Limits())[0],
            tools=tools,
            mcp=mcp,
            approve=approve,
            context_tokens=settings.context_tokens,
            review=",".join(name for name in settings.review or () if name != "miscopied") or "none",
            runs_directory=recorded.directory.parent,
        )

    @classmethod
    async def resume(
        cls,
        run: Path | str,
        *,
        api_key: str | None = None,
        prices: Prices | Path | str | None = None,
        limits: Limits | None = None,
        tools: Iterable[Callable[..., Any] | FunctionTool] = (),
        mcp: Path | str | Mapping[str, Any] | None = None,
        approve: Approve | None = None,
        policy: Policy | None = None,
        base_url: str | None = None,
        force: bool = False,
        on_progress: Callable[[Progress], None] = ignore,
    ) -> RunResult:
        """Resume the last question of a run that has crashed, was stopped, failed or came to a limit.

        Its cells are run again in a new sandbox and compared with the record; a call that has no answer is run, and
        the loop continues in the same run directory. The limits count anew. Raises what `run` and `recorded_in` raise,
        UsageError for a run that is answered, TranscriptError for one that is being written, and, without `force`,
        ResumeError if a cell gives something else now. `on_progress` hears a `Noted` for each wish of the record that
        is not granted.
        """
        agent = cls.recorded_in(
            run,
            api_key=api_key,
            prices=prices,
            limits=limits,
            tools=tools,
            mcp=mcp,
            approve=approve,
            policy=policy,
            base_url=base_url,
        )
        recorded = read(expanded(run))
        if recorded.finished is not None and recorded.finished.outcome == "answered":
            raise UsageError(
                f"The run {str(run)!r} is answered; nothing is left to do.",
                hint=f"cellblock show {shlex.quote(str(run))}",
            )
        for note in narrowed(recorded, policy or Policy()).notes:
            on_progress(Noted(note))
        for note in narrowed_limits(beginning_of(recorded.events).limits, limits or Limits())[1]:
            on_progress(Noted(note))
        async with agent.session(resume=run, force=force, on_progress=on_progress) as session:
            return await session.go_on()

    def run_sync(
        self,
        task: str,
        *,
        files: Files = (),
        answer: Any = None,
        confirm: bool = False,
        run_directory: Path | str | None = None,
        on_progress: Callable[[Progress], None] = ignore,
    ) -> RunResult:
        """`run` for callers without an event loop."""
        run = self.run(
            task, files=files, answer=answer, confirm=confirm, run_directory=run_directory, on_progress=on_progress
        )
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
        files: Files = (),
        answer: Any = None,
        confirm: bool = False,
        run_directory: Path | str | None = None,
        on_progress: Callable[[Progress], None] = ignore,
    ) -> RunResult:
        """Answer one task. `files` are copied into the sandbox's /workspace first.

        `answer` is the type of the answer: a pydantic model, any other type that pydantic knows, or a JSON schema. The
        result's `value` has it, and the outcome is "failed" if the model does not come to an answer that fits.

        With `confirm`, the task is run a second time, in a sandbox and a run directory of its own, at twice the cost:
        the result's `second` says which values of the answer the second run does not have.

        The run directory is new, by default a fresh one under `runs_directory`. Raises UsageError for a bad task or
        file, SandboxError if no sandbox starts, EndpointError or LocalModelError if no model answers; what the model's
        code does wrong is never raised.
        """
        check_task(task)
        given = check_files(paths_of(files))
        check_sizes(given, self.runtime.policy)
        answer_type = None if answer is None else AnswerType.of(answer)
        directory = expanded(run_directory or self.new_directory())
        if confirm:
            check_confirmable(self.runtime, directory)

        async def ask(conversation: Conversation) -> RunResult:
            return await conversation.ask(task, files=given, answer=answer_type)

        async with (
            self.runtime.opened(on_progress) as opened,
            opened.conversation(directory, on_progress) as conversation,
        ):
            result = await ask(conversation)
            return await confirmed(opened, self.runtime, conversation, result, ask, on_progress) if confirm else result

    def stream(
        self,
        task: str,
        *,
        files: Files = (),
        answer: Any = None,
        confirm: bool = False,
        run_directory: Path | str | None = None,
    ) -> AsyncGenerator[Progress | RunResult, None]:
        """`run` as an iterator: each piece of progress as it comes, and the RunResult as the last.

        To leave early and at once, close it: `async with contextlib.aclosing(agent.stream(...)) as pieces`.
        """
        given = paths_of(files)
        return stream(
            lambda on_progress: self.run(
                task,
                files=given,
                answer=answer,
                confirm=confirm,
                run_directory=run_directory,
                on_progress=on_progress,
            )
        )

    def new_directory(self) -> Path:
        """A directory for a new run, under `runs_directory`. It is not made yet."""
        return self.runs_directory / _fresh_run_id()

    @asynccontextmanager
    async def session(
        self,
        *,
        run_directory: Path | str | None = None,
        resume: Path | str | None = None,
        force: bool = False,
        on_progress: Callable[[Progress], None] = ignore,
    ) -> AsyncIterator[Conversation]:
        """Several questions over one kernel, one history and one run directory; the limits are for each question.

        `resume` is a recorded run whose history is continued in its own directory, over a sandbox with its image and
        policy (with a network only if this agent has the same) in which its cells are run again. Without `force`, a
        cell that gives something else raises ResumeError. Raises what `run` raises for sandbox and model, and
        UsageError if the tools of this agent are not those that the run had.
        """
        directory = expanded(resume or run_directory or self.new_directory())
        async with self.runtime.opened(on_progress) as opened:
            if resume is not None:
                check_tools(read(directory), opened.tool_names)
            is_resumed = resume is not None
            async with opened.conversation(directory, on_progress, resume=is_resumed, force=force) as conversation:
                yield conversation


def _fresh_run_id() -> str:
    """A name that sorts by time and that no other run has."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _model_of(settings: ModelSettings, base_url: str | None, api_key: str | None) -> Endpoint | LocalModel:
    if settings.base_url == "local" and base_url is None:
        return LocalModel(name=settings.model)
    endpoint = endpoint_of_record(endpoint_of(settings), base_url, os.environ)
    return endpoint if api_key is None else endpoint.model_copy(update={"api_key": SecretStr(api_key)})
