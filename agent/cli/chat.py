"""`cellblock chat`: a conversation in a terminal, or one question per line if stdin is piped."""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent.agent import Agent
from agent.cli.app import kept
from agent.cli.background import Background
from agent.cli.completing import complete_with_tab
from agent.cli.results import file_lines, warnings
from agent.cli.view import RunView
from agent.errors import InterruptedRunError, UsageError
from agent.loop.conversation import Conversation
from agent.loop.files import check_files
from agent.loop.result import RunResult
from agent.paths import expanded
from agent.streams import reader_has_left
from agent.termination import Terminated
from agent.text import plain
from sandbox import CellblockError

HELP = """\
/file PATH   put a file into /workspace for the next question; @PATH in a question does the same
/help        show this help
/exit        leave; so does Ctrl-D
Ctrl-C       stop the answer or its code; variables and files are kept. Twice: leave"""
_FILE_LIKE = re.compile(
    r"^(?:\.{0,2}/|~)|\.(?:[ct]sv|txt|md|log|jsonl?|ndjson|geojson|xml|html?|ya?ml|toml|ini|xls[xmb]?|od[st]|docx?|pptx?|pdf"
    r"|parquet|feather|arrow|avro|orc|db|sqlite3?|duckdb|zip|gz|tar|tgz|bz2|xz|7z|png|jpe?g|gif|webp|svg|tiff?|bmp"
    r"|wav|mp[34]|np[yz]|pkl|h5|hdf5|nc|mat|sav|dta|sas7bdat|rds|py|ipynb|r|sql|shp|kml|gpx|ics|eml|dat|bin)$",
    re.IGNORECASE,
)
"""A path, or the ending of a file that people ask about; `@property` and `@app.route` are neither."""
COMMANDS = ("/file", "/help", "/exit")
_AT = re.compile(r"(?<!\S)@(?:\"([^\"]+)\"|(\S+))")


class Chat:
    """Reads questions, shows progress on `view` and notes on `console`, and passes the answers to `print_answer`."""

    def __init__(
        self,
        agent: Agent,
        view: RunView,
        console: Console,
        print_answer: Callable[[str], None],
        *,
        files: Iterable[Path] = (),
        run_directory: Path | None = None,
    ) -> None:
        self._agent = agent
        self._view = view
        self._console = console
        self._print_answer = print_answer
        self._files = check_files(files)
        self._run_directory = run_directory
        self._is_typed = sys.stdin.isatty()
        self._interrupts = 0
        """How many times Ctrl-C was pressed in a row."""

    def run(self) -> None:
        """Chat until the input ends or the person leaves.

        Raises InterruptedRunError for Ctrl-C twice in a row. If stdin is piped, raises the errors of
        `Conversation.ask`; otherwise it shows them.
        """
        with Background() as background, self._view as view:
            session = background.hold(self._agent.session(run_directory=self._run_directory, on_progress=view))
            view.pause()
            try:
                self._talk(background, session, view)
            finally:
                if session.has_begun:
                    self._note(str(session.run_directory))

    def _talk(self, background: Background, session: Conversation, view: RunView) -> None:
        if self._is_typed:
            self._note(f"{self._agent.runtime.settings.model}; /help lists the commands, Ctrl-D leaves.")
        for line in takewhile(lambda _: not reader_has_left(), self._lines()):
            if line.startswith("/"):
                if line.split()[0] in ("/exit", "/quit"):
                    break
                self._command(line)
            elif line:
                self._ask(background, session, view, line)

    def _lines(self) -> Iterator[str]:
        """The lines of the input, stripped. Ctrl-C at the prompt starts a new line; a second one leaves."""
        if not self._is_typed:
            yield from (line.strip() for line in sys.stdin)
            return
        with suppress(ImportError):  # Windows has no readline
            complete_with_tab(COMMANDS)
        while True:
            try:
                line = input("> ") if sys.stdout.isatty() else self._input_with_piped_stdout()
            except EOFError:
                self._console.print()
                return
            except KeyboardInterrupt as interrupt:
                self._console.print()
                self._interrupted(interrupt)
                continue
            if line.strip():
                self._interrupts = 0
            yield line.strip()

    def _input_with_piped_stdout(self) -> str:
        self._console.print("> ", end="")
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line

    def _interrupted(self, interrupt: KeyboardInterrupt) -> None:
        self._interrupts += 1
        if self._interrupts > 1 or not self._is_typed or isinstance(interrupt, Terminated):
            raise InterruptedRunError("interrupted")
        self._note("Ctrl-C again leaves.")

    def _command(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        if command == "/help":
            self._console.print(Text(HELP))
        elif command == "/file" and argument.strip():
            self._attach(expanded(argument.strip().strip("\"'")))
        else:
            self._print_error(UsageError(f"There is no command {line!r}.", hint="/help"))

    def _attach(self, path: Path) -> None:
        try:
            self._files = check_files([*self._files, path])
        except UsageError as error:
            self._print_error(error)
        else:
            self._note(f"{path.name} is sent with the next question.")

    def _ask(self, background: Background, session: Conversation, view: RunView, line: str) -> None:
        try:
            question, mentioned = with_files(line)
            self._show(background.run(session.ask(question, files=[*self._files, *mentioned])))
            self._files = []
        except KeyboardInterrupt as interrupt:
            view.pause()
            self._console.print(Text("stopped", style="yellow"))
            self._interrupted(interrupt)
        except CellblockError as error:
            view.pause()
            if not self._is_typed:
                raise
            self._print_error(error)

    def _show(self, result: RunResult) -> None:
        self._interrupts = 0
        for line in file_lines(result):
            self._note(line)
        for warning in warnings(result):
            self._console.print(Text(warning, style="yellow"), soft_wrap=True)
        if result.limit:
            self._console.print(Text(f"stopped at the limit on {result.limit}", style="yellow"))
        with kept(f"cellblock show {shlex.quote(str(result.run_directory))}"):
            self._print_answer(result.answer or "(no answer)")
        if self._is_typed:
            self._console.print()

    def _note(self, text: str) -> None:
        self._console.print(Text(plain(text), style="dim"), soft_wrap=True)

    def _print_error(self, error: CellblockError) -> None:
        self._console.print(Text(plain(error.for_shell), style="red"), soft_wrap=True)


def _no_file(name: str) -> UsageError:
    folder = expanded(name).parent
    there = [entry.name for entry in folder.iterdir() if entry.is_file()] if folder.is_dir() else []
    near = get_close_matches(Path(name).name, there, n=1)
    meant = f"@{shlex.quote(str(folder / near[0]))}" if near else f"ls {shlex.quote(str(folder))}"
    return UsageError(f"{name!r} is not a file, so nothing was sent.", hint=f"{meant}, or leave out the @")


def with_files(line: str) -> tuple[str, list[Path]]:
    """Replace each @PATH that is a file by the file's name; return the question and those files.

    Raises UsageError for what looks like a file and is none: it is more likely a typo than a word of the question.
    """
    files: list[Path] = []

    def name(match: re.Match[str]) -> str:
        written = match[1] or match[2]
        bare = written if match[1] else written.rstrip(".,;:!?)")
        for text in (written, bare):
            path = expanded(text)
            if path.is_file():
                files.append(path)
                return path.name + written[len(text) :]
        is_in_folder = "/" in bare and expanded(bare).parent.is_dir()
        if match[1] or is_in_folder or _FILE_LIKE.search(bare):
            raise _no_file(bare)
        return match[0]

    return _AT.sub(name, line), list(dict.fromkeys(files))
