"""`make golden`: records the golden runs again, and exports each in every format beside its transcript.

The loop, the endpoint's HTTP and the transcript are real. The clock, the durations and the names of machines are fixed,
so that the same code writes the same bytes.
"""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from agent import Endpoint, Limits, Sampling
from agent.endpoint.model import Model
from agent.export.formats import FORMATS, export_run
from agent.loop.loop import Finish, Loop
from agent.loop.rendering import question_message
from agent.loop.run_events import question_finished
from agent.messages import Usage
from agent.record.events import (
    Asked,
    Environment,
    Event,
    FunctionCalled,
    ModelReplied,
    ModelSettings,
    RunFinished,
    RunStarted,
    SandboxChanged,
)
from agent.record.reading import ARTIFACTS as FOLDER
from agent.record.transcript import Transcript
from agent.review.checks import checks_named
from agent.testing import ScriptedEndpoint
from agent.tools.functions import function_tools
from agent.tools.run_python import TOOL
from sandbox import Policy
from sandbox.testing import ScriptedSandbox
from tests.golden.scenarios import CONTENTS, SCENARIOS, Scenario

RUNS = Path(__file__).parent / "runs"
BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SUFFIXES = {name: name for name in FORMATS} | {"messages": "messages.jsonl", "responses": "responses.json"}
SETTINGS = ModelSettings(
    model="scripted",
    base_url="http://127.0.0.1/v1",
    temperature=0.2,
    top_p=None,
    max_output_tokens=None,
    seed=None,
    review=checks_named("default", "native"),
)
ENVIRONMENT = Environment(
    backend="docker",
    engine="Docker 28.0",
    engine_host="Linux 6.1 x86_64",
    runtime="runc",
    image="cellblock/python:0123456789ab",
    image_id="sha256:" + "01" * 32,
    python="3.13.5",
    implementation="CPython",
    kernel="ipykernel 7.1.0",
    distribution="Debian GNU/Linux 13 (trixie)",
    platform="Linux 6.1 x86_64",
    packages={"ipykernel": "7.1.0", "numpy": "2.3.4", "pandas": "2.3.3"},
    policy=Policy(),
)


def started(scenario: Scenario) -> RunStarted:
    """The first event of the run."""
    first = scenario.questions[0]
    return RunStarted(
        cellblock_version="0.1.0",
        run_id="golden",
        task=first.task,
        files=first.files,
        settings=SETTINGS.model_copy(update={"calls": scenario.calls}),
        tools=[TOOL, *(tool.schema for tool in function_tools(scenario.tools))] if scenario.calls == "native" else [],
        functions=[tool.definition for tool in function_tools(scenario.tools)],
        system_prompt="You run Python.",
        limits=Limits(max_turns=scenario.max_turns),
        environment=ENVIRONMENT,
    )


async def record(scenario: Scenario, directory: Path) -> None:
    """Run a scenario into a run directory."""
    with TemporaryDirectory() as scratch:
        events, finish = await _run(scenario, Path(scratch) / "run")
    ticks = count()
    with Transcript(directory, clock=lambda: BEGUN + timedelta(seconds=next(ticks))) as transcript:
        _keep_files(scenario, transcript)
        for event in events[: scenario.crashes_after]:
            transcript.append(_timed(event))
        if scenario.crashes_after is None:
            transcript.append(_finished(scenario, events, finish))


def _keep_files(scenario: Scenario, transcript: Transcript) -> None:
    """Store the given files and the artifacts where real runs store them."""
    for question in scenario.questions:
        for given in question.files:
            with TemporaryDirectory() as scratch:
                source = Path(scratch) / "given"
                source.write_bytes(CONTENTS[given.name])
                transcript.keep_file(source)
    for artifact in scenario.artifacts:
        left = transcript.directory / FOLDER / artifact.name
        left.parent.mkdir(parents=True)
        left.write_bytes(CONTENTS[artifact.name])


async def _run(scenario: Scenario, directory: Path) -> tuple[list[Event], Finish]:
    replies = [reply for question in scenario.questions for reply in question.replies]
    steps = [step for question in scenario.questions for step in question.steps]
    finish = Finish("cancelled", None)
    with (
        ScriptedEndpoint(replies) as endpoint,
        ScriptedSandbox(*steps) as sandbox,
        Transcript(directory) as transcript,
    ):
        first = started(scenario)
        transcript.append(first, lambda clean: question_message(clean, first.settings))
        transcript.append(SandboxChanged(kind="started", reason="cellblock-golden"))
        target = Endpoint(base_url=endpoint.base_url, model=SETTINGS.model, api_key=SecretStr("none"))
        async with Model(target, Sampling()) as model:
            loop = Loop(
                model,
                sandbox,
                transcript,
                lambda _: None,
                limits=Limits(max_turns=scenario.max_turns),
                tools=function_tools(scenario.tools),
            )
            for question in scenario.questions:
                if question is not scenario.questions[0]:
                    asked = Asked(task=question.task, files=question.files)
                    transcript.append(asked, lambda clean: question_message(clean, first.settings))
                finish = await loop.answer()
                made = {artifact.name for artifact in scenario.artifacts}
                transcript.append(question_finished(transcript.events, finish, files=made, checks=()))
    return transcript.events, finish


def _timed(event: Event) -> Event:
    """The event without values of this machine: the durations, and the raw reply, whose bytes depend on its zlib."""
    if isinstance(event, FunctionCalled):
        return event.model_copy(update={"duration_s": 0.001})
    return event.model_copy(update={"duration_s": 0.5, "raw": None}) if isinstance(event, ModelReplied) else event


def _finished(scenario: Scenario, events: list[Event], finish: Finish) -> RunFinished:
    usages = [event.usage for event in events if isinstance(event, ModelReplied)]
    return RunFinished(
        outcome=finish.outcome,
        answer=finish.answer,
        error=finish.error,
        limit=finish.limit,
        usage=sum(usages, Usage()),
        cost=scenario.cost,
        duration_s=2.5,
        artifacts=scenario.artifacts,
    )


def main() -> None:
    """Write all golden runs and exports again."""
    shutil.rmtree(RUNS, ignore_errors=True)
    for name, scenario in SCENARIOS.items():
        asyncio.run(record(scenario, RUNS / name))
        write_exports(RUNS / name)


def write_exports(run: Path) -> None:
    """Write a run in every format, beside its transcript."""
    for to, suffix in SUFFIXES.items():
        (run / f"export.{suffix}").write_bytes(export_run(run, to).encode())


if __name__ == "__main__":
    main()
