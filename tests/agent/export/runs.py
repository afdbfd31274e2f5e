"""Small runs for the tests of exports."""

from collections.abc import Iterable

from agent.messages import ToolCall, Usage
from agent.record.events import Event, ModelReplied, RunFinished, RunStarted, ToolRan
from sandbox import Execution
from tests.samples import STARTED, said


def started(task: str = "What?") -> RunStarted:
    return said(STARTED.model_copy(update={"task": task, "run_id": "20260102-030405-abcdef"}))


def replied(content: str = "", *calls: ToolCall, reasoning: str = "") -> ModelReplied:
    return said(ModelReplied(
        turn=1, content=content, reasoning=reasoning, tool_calls=list(calls), finish_reason="stop", usage=Usage(),
        duration_s=1.5, attempts=[], request_sha256="ab" * 32,
    ))  # fmt: skip


def cell(code: str, execution: Execution | None, *, observation: str = "seen") -> list[Event]:
    """A turn that calls run_python, and its result."""
    call = ToolCall(id="call_a", name="run_python", arguments="{}")
    ran = said(ToolRan(call_id="call_a", arguments="{}", code=code, execution=execution, observation=observation))
    return [replied("", call), ran]


def finished(answer: str | None = "That.") -> RunFinished:
    return RunFinished(
        outcome="answered", answer=answer, error=None, usage=Usage(), cost=None, duration_s=2.25, artifacts=[]
    )


def placed(events: Iterable[Event]) -> list[Event]:
    """The events with the numbers and times that a transcript gives them."""
    times = (f"2026-01-02T03:04:{place % 60:02d}.000+00:00" for place in range(1_000_000))
    return [
        event.model_copy(update={"seq": place, "time": time})
        for place, (event, time) in enumerate(zip(events, times, strict=False))
    ]


def run(*turns: list[Event], task: str = "What?", answer: str = "That.") -> list[Event]:
    """A run of these turns, with its answer."""
    middle = [event for turn in turns for event in turn]
    return placed([started(task), *middle, replied(answer), finished(answer)])
