"""Shows a recorded run in the terminal."""

from rich.console import Console
from rich.text import Text

from agent.events import Event, Instructed, ModelReplied, RunFinished, RunStarted, SandboxChanged, ToolRan
from agent.text import plain
from agent.transcript import Recorded
from agent.view import RunView


def show_run(recorded: Recorded, console: Console) -> None:
    """Print the run from question to answer, and what is wrong with its file."""
    view = RunView(console)
    for event in recorded.events:
        _show(event, view, console)
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
        case ToolRan(execution=None):
            view.show_ending(None, event.observation)
        case ToolRan(code=code, execution=execution):
            view.show_code(code or "")
            for output in execution.outputs if execution else []:
                view.show_output(output)
            view.show_ending(execution, event.observation)
        case Instructed():
            console.print(Text(f"({event.text})", style="yellow"))
        case SandboxChanged(kind="interrupted" | "restarted"):
            console.print(Text(f"sandbox {event.kind}: {event.reason}", style="dim"))
        case RunFinished():
            console.print(Text("── " + event.outcome, style="cyan"))
            console.print(Text(plain(event.answer or event.error or ""), style="bold"))
            for artifact in event.artifacts:
                console.print(Text(f"files/{plain(artifact.name)}  {artifact.size_bytes} bytes", style="dim"))
            if event.artifacts_omitted:
                console.print(Text(f"{event.artifacts_omitted} more files were not copied", style="yellow"))
