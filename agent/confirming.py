"""Confirms an answer: the question is asked a second time, from nothing, and the values of both runs are compared.

A program that computes something else than was asked looks like any other. Two that were written apart seldom compute
the same wrong value.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from agent.errors import UsageError
from agent.loop.conversation import Conversation
from agent.loop.result import RunResult
from agent.progress import Noted, Progress
from agent.record.reading import Recorded
from agent.record.transcript import check_new
from agent.runtime import OpenRuntime, Runtime
from agent.text import plain
from sandbox import CellblockError

TEMPERATURE = 0.7
"""The least temperature of the second run: at a lower one, a model writes the same program again."""
Ask = Callable[[Conversation], Awaitable[RunResult]]


def second_directory(first: Path) -> Path:
    """Where the second run goes: beside the first."""
    return first.with_name(f"{first.name}-second")


def check_confirmable(runtime: Runtime, directory: Path) -> None:
    """Raises UsageError for a recorded run in place of a model, and for functions of the caller's; and what `check_new`
    raises for the second run."""
    if isinstance(runtime.model, Recorded):
        raise UsageError(
            "A recorded run gives one answer, which it cannot confirm.",
            hint="the same command without --confirm",
            in_python="agent.run(task)",
        )
    if names := [*(tool.name for tool in runtime.tools), *runtime.servers]:
        raise UsageError(
            f"A second run would call {', '.join(names)} once more.",
            hint="the same command without --confirm",
            in_python="agent.run(task)",
        )
    check_new(second_directory(directory))


async def confirmed(
    opened: OpenRuntime,
    runtime: Runtime,
    first: Conversation,
    result: RunResult,
    ask: Ask,
    on_progress: Callable[[Progress], None],
) -> RunResult:
    """The result of the first run, with what a second one found, in a sandbox and a record of its own.

    Only an answer is confirmed. A second run that fails confirms nothing, and the result says so.
    """
    if result.outcome != "answered":
        return result
    on_progress(Noted(f"{plain(result.answer or '')}\nasking a second time, to compare"))
    directory = second_directory(first.run_directory)
    try:
        async with opened.conversation(directory, on_progress, runtime=varied(runtime)) as second:
            found = await ask(second)
    except CellblockError as error:
        on_progress(Noted(f"{error.message} The answer is not confirmed."))
        return first.compare(result, directory, None)
    return await asyncio.to_thread(first.compare, result, directory, found)


def varied(runtime: Runtime) -> Runtime:
    """The same runtime with other draws."""
    sampling = runtime.sampling
    seed = None if sampling.seed is None else sampling.seed + 1
    temperature = None if sampling.temperature is None else max(sampling.temperature, TEMPERATURE)
    return replace(runtime, sampling=sampling.model_copy(update={"seed": seed, "temperature": temperature}))
