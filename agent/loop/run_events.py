"""The events that record how a run starts, is resumed and ends."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import version
from importlib.resources import files as package_files
from typing import Any

from pydantic import TypeAdapter

from agent.loop.loop import Finish
from agent.loop.setup import Setup
from agent.loop.workspace import Workspace
from agent.messages import Cost, Message, Usage
from agent.pricing import cost_of, total_cost
from agent.prompting.functions import told_functions
from agent.prompting.version import prompts_sha256
from agent.record.events import (
    Asked,
    Beginning,
    CheckName,
    Environment,
    Event,
    ModelReplied,
    QuestionFinished,
    ReplyCut,
    Resumed,
    RunFinished,
    RunStarted,
)
from agent.record.history import begun_by
from agent.record.origin import source_sha256
from agent.record.support import unsupported
from agent.replay.resuming import Past
from agent.review.checks import objections_in
from agent.review.named_values import unasked_filters
from agent.review.support import support_of
from agent.tools.functions import FunctionTool
from agent.tools.run_python import TOOL
from sandbox import Session

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


async def run_started(beginning: Beginning, sandbox: Session, *, run_id: str, asked: Asked) -> RunStarted:
    """The first event: what is asked, how it is answered, and in which environment."""
    return RunStarted(
        cellblock_version=version("cellblock"),
        cellblock_sha256=await asyncio.to_thread(source_sha256),
        run_id=run_id,
        prompts_sha256=prompts_sha256(),
        environment=await _environment(sandbox),
        **{name: getattr(asked, name) for name in ("task", "files", "images", "call_id", "answer_schema", "must_call")},
        **{name: getattr(beginning, name) for name in Beginning.model_fields},
    )


def beginning_for(setup: Setup, history: Sequence[Message] = ()) -> Beginning:
    """What the requests begin with. In fenced mode, no tool is described to the endpoint."""
    calls = setup.settings.calls
    prompt = package_files("agent.prompting").joinpath(f"{calls}.md").read_text()
    functions = [tool.definition for tool in setup.tools if isinstance(tool, FunctionTool) and tool.is_for_code]
    told = [tool for tool in setup.tools if not isinstance(tool, FunctionTool) or tool.is_for_model]
    return Beginning(
        settings=setup.settings,
        tools=[TOOL, *(dict(tool.schema) for tool in told)] if calls == "native" else [],
        functions=functions,
        system_prompt="\n".join(
            filter(None, (prompt, told_functions(functions, is_fenced=calls == "fenced"), setup.instructions))
        ),
        history=list(history),
        limits=setup.limits,
        prices=setup.prices,
    )


async def _environment(sandbox: Session) -> Environment:
    info, description = sandbox.info, await sandbox.describe()
    return Environment(
        backend=info.backend,
        engine=info.engine,
        engine_host=info.host,
        runtime=info.runtime,
        image=info.image,
        image_id=info.image_id,
        python=description.python,
        implementation=description.implementation,
        kernel=f"ipykernel {description.packages.get('ipykernel', '')}".strip(),
        distribution=description.distribution,
        platform=description.platform,
        packages=description.packages,
        locked=list(info.locked),
        policy=sandbox.policy,
    )


def run_resumed(setup: Setup, past: Past) -> Resumed:
    """The event that records a resumption."""
    return Resumed(
        cellblock_version=version("cellblock"),
        cellblock_sha256=source_sha256(),
        torn_bytes=past.torn_bytes,
        different=past.different,
        settings=setup.settings,
        limits=setup.limits,
    )


def question_finished(
    events: Sequence[Event], last: Finish, *, files: Collection[str], checks: Collection[CheckName]
) -> QuestionFinished:
    """The event that records how a question ended, and where its answer comes from.

    `files` are the names of those that the run has made, `checks` those that are on.
    """
    support = support_of(events, last.answer, files)
    is_refused = last.outcome == "answered" and "support" in checks and unsupported(support)
    return QuestionFinished(
        outcome="unsupported" if is_refused else last.outcome,
        answer=last.answer,
        error=last.error,
        limit=last.limit,
        value=_ANY.dump_python(last.value, mode="json"),
        support=support,
        unasked=unasked_filters(events),
    )


def run_finished(
    setup: Setup, events: Sequence[Event], last: Finish, workspace: Workspace, *, duration_s: float
) -> RunFinished:
    """The last event: how the last question ended, the total usage, and the files of all questions."""
    replies = [event for event in events if isinstance(event, ModelReplied | ReplyCut)]
    return RunFinished(
        outcome=last.outcome,
        answer=last.answer,
        error=last.error,
        limit=last.limit,
        usage=sum((reply.usage for reply in replies), Usage()),
        cost=total_cost(_costs(setup, events)),
        duration_s=round(duration_s, 3),
        artifacts=list(workspace.artifacts.values()),
        artifacts_omitted=workspace.omitted,
        objections=objections_in(events),
    )


def _costs(setup: Setup, events: Sequence[Event]) -> Iterator[Cost | None]:
    """The cost of each request: one to another model than the last one has the prices that were recorded for it."""
    begun: RunStarted | Beginning | None = None
    for event in events:
        begun = begun_by(event) or begun
        if not isinstance(event, ModelReplied | ReplyCut):
            continue
        if begun is None or begun.settings.model == setup.settings.model:
            yield setup.cost_of(event)
        else:
            yield cost_of(begun.settings.model, event.usage, begun.prices, thought=bool(event.reasoning))
