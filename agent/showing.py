"""Shows a recorded run in the terminal."""

from itertools import zip_longest

from rich.console import Console
from rich.text import Text

from agent.events import (
    Asked,
    Event,
    HistoryShortened,
    Instructed,
    ModelReplied,
    Outcome,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
)
from agent.limits import LimitName
from agent.text import plain
from agent.toolcalls import RUN_PYTHON
from agent.transcript import Recorded
from agent.view import RunView


def show_run(recorded: Recorded, console: Console) -> None:
    """Print the run from question to answer, and what is wrong with its file."""
    view = RunView(console)
    for event, after in zip_longest(recorded.events, recorded.events[1:]):
        _show(event, view, console)
        if isinstance(event, ModelReplied) and isinstance(after, Asked):
            console.print(Text(plain(event.content).strip(), style="bold"))
    if recorded.finished is None:
        console.print(Text("The run has no end: it crashed, or it still runs.", style="yellow"))
    if recorded.torn:
        console.print(Text(f"The last line is torn: {len(recorded.torn)} bytes were left out.", style="yellow"))


def _show(event: Event, view: RunView, console: Console) -> None:
    match event:
        case RunStarted():
            model, environment = event.settings.model, event.environment
            console.print(Text(plain(event.task), style="bold"))
            console.print(
                Text(
                    f"{model} · {environment.image} · Python {environment.python} · {event.time}",
                    style="dim",
                )
            )
        case ModelReplied():
            view.show_thinking(event.reasoning)
            if event.tool_calls:
                view.show_thinking(event.content)
        case Asked():
            console.print(Text(f"\n{plain(event.task)}", style="bold"))
        case ToolRan(tool=tool) if tool != RUN_PYTHON:
            view.show_call(tool, event.arguments)
            view.show_returned(event.observation)
        case ToolRan(execution=None):
            view.show_ending(None, event.observation)
        case ToolRan(code=code, execution=execution):
            view.show_code(code or "")
            for output in execution.outputs if execution else []:
                view.show_output(output)
            view.show_ending(execution, event.observation)
        case _:
            _show_around(event, console)


def _show_around(event: Event, console: Console) -> None:
    match event:
        case Instructed():
            console.print(Text(f"({event.text})", style="yellow"))
        case HistoryShortened():
            console.print(Text(f"{len(event.observations)} old outputs were shortened for the model", style="dim"))
        case SandboxChanged(kind="interrupted" | "restarted"):
            console.print(Text(f"sandbox {event.kind}: {event.reason}", style="dim"))
        case RunFinished():
            console.print(Text("── " + outcome_words(event.outcome, event.limit), style="cyan"))
            console.print(Text(plain(event.answer or event.error or ""), style="bold"))
            for artifact in event.artifacts:
                console.print(Text(f"files/{plain(artifact.name)}  {artifact.size_bytes} bytes", style="dim"))
            if event.artifacts_omitted:
                console.print(Text(f"{event.artifacts_omitted} more files were not copied", style="yellow"))


def outcome_words(outcome: Outcome, limit: LimitName | None) -> str:
    """How a run ended, in a word or two."""
    return f"{outcome} ({limit})" if limit else outcome
