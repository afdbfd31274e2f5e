"""Shows a recorded run in the terminal, event by event. All texts in a run are untrusted, and shown as plain text."""

from collections.abc import Sequence
from itertools import takewhile

from rich.console import Console
from rich.text import Text

from agent.cli.view import RunView, print_long
from agent.errors import UsageError
from agent.limits import LimitName
from agent.messages import RUN_PYTHON, Cost, Usage
from agent.pricing import cost_of
from agent.prompting.files import facts_of
from agent.record.called import call_lines
from agent.record.events import (
    Asked,
    Beginning,
    Claim,
    Compared,
    Event,
    FileRecord,
    FunctionCalled,
    HistoryShortened,
    Instructed,
    ModelFailed,
    ModelReplied,
    Outcome,
    QuestionFinished,
    Resumed,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
    UnaskedFilter,
)
from agent.record.history import begun_by, told_beginning
from agent.record.reading import Recorded
from agent.record.support import not_asked, not_computed, not_confirmed, source_of
from agent.text import cut_middle, plain
from sandbox import Output, StreamOutput
from sandbox.packages import versions_in

MAX_CHARS = 2_000
"""The limit on each piece of output, unless a turn is shown in full."""
CUT = "\n[... {count} characters, which --turn shows ...]\n"


class RunPrinter:
    """Shows a run: call it with each event, in order."""

    def __init__(self, console: Console, started: Event | None = None, *, in_full: bool = False) -> None:
        """`started` is the run's first event, if it is not shown. `in_full` also shows requests and observations."""
        self._console = console
        self._view = RunView(console)
        self._started = started if isinstance(started, RunStarted) else None
        self._begun: RunStarted | Beginning | None = started if isinstance(started, RunStarted) else None
        self._in_full = in_full
        self._turns = 0
        self._last_text = ""
        """The model's last text without a call. It is the answer, if a question or nothing follows."""
        self._claims: list[Claim] = []
        """Those of the last answer."""
        self._unasked: list[UnaskedFilter] = []
        self._calls: list[FunctionCalled] = []
        """Those of the cell that is shown next."""
        self._second: Compared | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted() | Asked():
                self._show_question(event)
            case ModelReplied():
                self._show_turn(event)
            case FunctionCalled():
                self._calls.append(event)
            case ToolRan():
                self._show_call(event)
            case QuestionFinished():
                self._claims, self._unasked = event.support, event.unasked
            case Compared():
                self._second = event
            case RunFinished():
                self._show_end(event)
            case _:
                self._show_between(event)

    def _show_question(self, event: RunStarted | Asked) -> None:
        self._begun = begun_by(event) or self._begun
        self._started = event if isinstance(event, RunStarted) else self._started
        if isinstance(event, Asked):
            self._print(f"{self._last_text}\n", "bold")
            self._show_support()
        if told := told_beginning(event):
            self._print(told, "dim")
        self._print(event.task, "bold")
        if isinstance(event, RunStarted):
            where = event.environment
            self._print(
                f"{event.settings.model} · {where.image} · Python {where.python} · {event.time[:19]} UTC", "dim"
            )
            if added := versions_in(where.locked):
                self._print(f"with {', '.join(f'{name} {version}' for name, version in added.items())}", "dim")
        if isinstance(event, Asked) and event.removed:
            self._print(f"removed from the workspace: {', '.join(event.removed)}", "dim")
        for file in event.files:
            facts = facts_of(file.profile) if file.profile else ""
            self._print(f"{_file(file)}  {facts}".rstrip(), "dim")

    def _show_turn(self, event: ModelReplied) -> None:
        self._turns += 1
        self._print(f"\nturn {event.turn} · {_figures(event.usage, event.duration_s, self._cost(event))}", "cyan")
        for attempt in event.attempts:
            self._print(f"retried after {attempt.error}", "yellow")
        if self._in_full:
            self._show_asked(event)
            self._show_request(event)
        self._view.show_thinking(event.reasoning)
        self._last_text = "" if event.tool_calls else event.content.strip()
        if self._in_full:
            self._view.show_written(event.raw_content or event.content)
        elif event.tool_calls:
            self._view.show_thinking(event.content)

    def _show_asked(self, event: ModelReplied) -> None:
        """Print the first question as the model read it, with what it was told of the files."""
        if self._started and event.turn == 1 and self._started.files:
            self._print("── what the model was asked", "cyan")
            self._print(str(self._started.message.get("content", "")), "")

    def _cost(self, event: ModelReplied) -> Cost | None:
        if self._begun is None:
            return None
        model, prices = self._begun.settings.model, self._begun.prices
        return cost_of(model, event.usage, prices, thought=bool(event.reasoning))

    def _show_request(self, event: ModelReplied) -> None:
        offered = "not recorded" if event.tools is None else ", ".join(event.tools) or "none"
        self._print(f"request {event.request_sha256} · tools: {offered}", "dim")
        recovered = f" · its call was written as: {event.recovered_as}" if event.recovered_as else ""
        self._print(f"finish reason: {event.finish_reason}{recovered}", "dim")

    def _show_call(self, event: ToolRan) -> None:
        calls, self._calls = self._calls, []
        if event.tool != RUN_PYTHON:
            self._view.show_call(event.tool, event.arguments)
            self._view.show_returned(event.observation)
        elif event.execution is None:
            self._view.show_ending(None, event.observation)
        else:
            self._view.show_code(event.code or "")
            for line in call_lines(calls, in_full=self._in_full):
                self._print(line, "dim")
            for output in event.execution.outputs:
                self._view.show_output(output if self._in_full else _shortened(output))
            self._view.show_ending(event.execution, event.observation)
            if self._in_full:
                self._print("── what the model read", "cyan")
                self._print(event.observation, "")

    def _show_between(self, event: Event) -> None:
        match event:
            case Instructed():
                self._view.show_thinking(self._last_text)
                self._print(f"({event.text})", "yellow")
            case ModelFailed():
                self._print(f"{event.error} (attempts: {len(event.attempts)})", "yellow")
            case HistoryShortened():
                self._print(f"{len(event.observations)} old outputs were shortened for the model", "dim")
            case Resumed():
                self._calls = []
                self._print(f"\nresumed · {event.time[:19]} UTC", "cyan")
            case SandboxChanged(kind="interrupted" | "restarted"):
                self._print(f"sandbox {event.kind}: {event.reason}", "dim")

    def _show_end(self, event: RunFinished) -> None:
        words = outcome_words(event.outcome, event.limit)
        turns = f"{self._turns} turn{'s' * (self._turns != 1)}"
        self._print(f"\n{words} · {turns} · {_figures(event.usage, event.duration_s, event.cost)}", "cyan")
        self._print(event.answer or event.error or "", "bold")
        self._show_support()
        for artifact in event.artifacts:
            self._print(f"files/{_file(artifact)}", "dim")
        if event.artifacts_omitted:
            self._print(f"{event.artifacts_omitted} more files were not copied", "yellow")

    def _show_support(self) -> None:
        """Print where the claims of the last answer come from."""
        claims, self._claims = self._claims, []
        unasked, self._unasked = self._unasked, []
        if found := [claim for claim in claims if claim.source]:
            self._print("; ".join(f"{claim.text}: {source_of(claim)}" for claim in found), "dim")
        second, self._second = self._second, None
        for warning in filter(None, (not_computed(claims), *not_asked(unasked), not_confirmed(second))):
            self._print(warning, "yellow")

    def _print(self, text: str, style: str) -> None:
        print_long(self._console, plain(text), style)


def show_state(recorded: Recorded, console: Console) -> None:
    """Print a line if the run has no end, and if its last line is torn."""
    is_running = recorded.is_being_written
    if recorded.finished is None:
        why = "The run is still running." if is_running else "The run has no end: its process is gone."
        console.print(Text(why, style="yellow"))
    if recorded.torn and not is_running:
        console.print(Text(f"The last line is torn: {len(recorded.torn)} bytes were left out.", style="yellow"))


def turn_of(events: Sequence[Event], number: int) -> list[Event]:
    """A reply of the model and the events up to the next one. Raises UsageError if there is no such turn."""
    places = {event.turn: place for place, event in enumerate(events) if isinstance(event, ModelReplied)}
    if number not in places:
        there = f"it has turns 1 to {max(places)}" if places else "it has none"
        raise UsageError(f"The run has no turn {number}; {there}.", hint="cellblock show RUN")
    replied, *rest = events[places[number] :]
    return [replied, *takewhile(lambda event: not isinstance(event, ModelReplied | Asked | RunFinished), rest)]


def outcome_words(outcome: Outcome, limit: LimitName | None) -> str:
    """The outcome of a run, and the limit that it reached."""
    return f"{outcome} ({limit})" if limit else outcome


def _shortened(output: Output) -> Output:
    if not isinstance(output, StreamOutput):
        return output
    return output.model_copy(update={"text": cut_middle(output.text, MAX_CHARS, CUT)})


def _figures(usage: Usage, seconds: float, cost: Cost | None) -> str:
    parts = [f"{usage.input_tokens} + {usage.output_tokens} tokens", f"{seconds:.1f} s", *([str(cost)] if cost else [])]
    return " · ".join(parts)


def _file(file: FileRecord) -> str:
    return f"{file.name}  {file.size_bytes} bytes"
