"""Shows a running run: live in a terminal, or as plain text if piped. It writes only to one console.

Code and arguments are shown as they ran, with nothing dropped. Everything else is shown as plain text.
"""

import re

from pygments.lexers.python import PythonLexer
from rich.console import Console
from rich.live import Live
from rich.segment import Segment, Segments
from rich.style import StyleType
from rich.syntax import Syntax
from rich.text import Text

from agent import progress
from agent.progress import Progress
from agent.prompting.observation import observe
from agent.prompting.tracebacks import without_sourceless
from agent.text import harmless, plain, printed, visible
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput
from sandbox.bundles import bundle_text

PIECE_CHARS = 1 << 16
"""A longer text is printed in pieces and not highlighted: Rich needs hundreds of bytes for each mark or line."""
TAIL_LINES = 6
"""How many lines of an unfinished reply are shown live."""
_NAMED = re.compile(r"<U\+[0-9A-F]{4,6}>")


class RunView:
    """Shows progress: call it with each item. Use it as a context manager, so that the live region ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._writing = ""

    def __enter__(self) -> "RunView":
        return self

    def __exit__(self, *_: object) -> None:
        self._end_live()

    def pause(self) -> None:
        """End the live region, so that others can write. The next item of progress begins a new one."""
        self._end_live()

    def __call__(self, item: Progress) -> None:
        match item:
            case progress.Waiting(what):
                self._show_live(what)
            case progress.Noted(what):
                self._end_live()
                self._print(Text(plain(what), style="yellow"))
            case progress.ReasoningDelta(text) | progress.TextDelta(text):
                self._writing = (self._writing + text)[-2000:]
                self._show_live(self._writing)
            case progress.TurnRestarted(error):
                self._writing = ""
                self._show_live(f"retrying after {error}")
            case progress.TurnEnded(reasoning, text, is_answer, _):
                self._end_live()
                self.show_thinking(reasoning if is_answer else f"{reasoning}\n{text}")
            case progress.CodeStarted(code):
                self.show_code(code)
            case progress.OutputPiece(output):
                self.show_output(output)
            case progress.CodeEnded(execution, observation):
                self.show_ending(execution, observation)
            case progress.ToolStarted(name, arguments):
                self.show_call(name, arguments)
            case progress.ToolEnded(_, observation):
                self.show_returned(observation)

    def show_thinking(self, text: str) -> None:
        """Print what the model thought, or said before its calls."""
        if text.strip():
            self._print(Text(plain(text).strip(), style="dim italic"))

    def show_written(self, text: str) -> None:
        """Print the model's text exactly as it wrote it, including calls."""
        self._print_whole(Text(visible(text)))

    def show_code(self, code: str) -> None:
        """Print a cell's code, highlighted if the console has colours."""
        self._print(Text("── run_python", style="cyan"))
        shown = visible(code)
        if len(shown) > PIECE_CHARS:
            self._print_whole(Text(shown))
        else:
            lexer = PythonLexer(stripnl=False, ensurenl=False)
            self._print_whole(Syntax("", lexer, theme="ansi_dark", background_color="default").highlight(shown))
        self._print(Text("── output", style="cyan"))

    def show_call(self, name: str, arguments: str) -> None:
        """Print a call of one of the caller's functions."""
        self._print_whole(Text(f"── {plain(name)} {visible(arguments)}", style="cyan"))

    def show_returned(self, observation: str) -> None:
        """Print the result of such a function."""
        self._print(Text(plain(observation)))

    def show_output(self, output: Output) -> None:
        """Print one piece of output."""
        shown = printed if isinstance(output, StreamOutput) else plain
        text = Text(shown(output_text(output)), style="red" if _is_bad(output) else "")
        self._console.print(text, end="", soft_wrap=True)

    def show_ending(self, execution: Execution | None, observation: str) -> None:
        """Print what a cell's output does not show: that it was stopped, died or could not be run."""
        if execution is None:
            self._print(Text(plain(observation), style="yellow"))
        elif execution.status in ("timeout", "died"):
            self._print(Text(plain(observe(execution.model_copy(update={"outputs": []}))), style="yellow"))

    def _print(self, text: Text) -> None:
        print_long(self._console, text.plain, text.style)

    def _print_whole(self, text: Text) -> None:
        """Print text that `visible` made, without Rich's wrapping and without expanding tabs."""
        end, shown = "" if text.plain.endswith("\n") else "\n", text.plain
        if len(shown) <= PIECE_CHARS:
            text.highlight_regex(_NAMED, "reverse")
            self._console.print(Segments(text.render(self._console, end)), soft_wrap=True, end="")
            return
        pieces = [shown[begin : begin + PIECE_CHARS] for begin in range(0, len(shown), PIECE_CHARS)]
        for piece in (*pieces, end):
            self._console.print(Segments([Segment(piece, self._console.get_style(text.style))]), soft_wrap=True, end="")

    def _show_live(self, text: str) -> None:
        """Show the last lines of an unfinished text; only in a terminal."""
        if not self._console.is_terminal:
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=8)
            self._live.start()
        lines = harmless(text).strip().split("\n")[-TAIL_LINES:]
        self._live.update(Text("\n".join(lines), style="dim", overflow="ellipsis", no_wrap=True))

    def _end_live(self) -> None:
        self._writing = ""
        if self._live is not None:
            self._live.stop()
            self._live = None


def print_long(console: Console, text: str, style: StyleType) -> None:
    """Print a text, in pieces if it is long."""
    begin = 0
    while len(text) - begin > PIECE_CHARS and (end := text.find("\n", begin + PIECE_CHARS)) >= 0:
        console.print(Text(text[begin:end], style=style), soft_wrap=True)
        begin = end + 1
    console.print(Text(text[begin:], style=style), soft_wrap=True)


def output_text(output: Output) -> str:
    """An output as text; for an image, its type."""
    match output:
        case StreamOutput(text=text, omitted_bytes=omitted):
            return f"\n[... {omitted} bytes left out ...]\n{text}" if omitted else text
        case ErrorOutput(traceback=lines):
            return without_sourceless("\n".join(lines)) + "\n"
        case DisplayData(data=data) | ExecuteResult(data=data):
            images = [kind for kind in data if kind.startswith("image/")]
            return f"[{images[0]}]\n" if images else f"{bundle_text(data)}\n"


def _is_bad(output: Output) -> bool:
    return isinstance(output, ErrorOutput) or (isinstance(output, StreamOutput) and output.name == "stderr")
