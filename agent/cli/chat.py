"""`cellblock chat`: a conversation in a terminal, or one question a line where it is piped."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent.agent import Agent
from agent.cli.background import Background
from agent.cli.view import RunView
from agent.errors import InterruptedRunError, UsageError
from agent.loop.conversation import Conversation
from agent.loop.files import check_files
from agent.loop.result import RunResult
from agent.termination import Terminated
from agent.text import plain
from sandbox import CellblockError

HELP = """\
/file PATH   put a file into /workspace for the next question; @PATH in a question does the same
/help        this
/exit        leave; so does Ctrl-D
Ctrl-C       stop the answer or its code; variables and files are kept. Twice: leave"""
_AT = re.compile(r"(?<!\S)@(?:\"([^\"]+)\"|(\S+))")


class Chat:
    """Reads questions, shows how they are answered on `story`, and gives the answers to `say`."""

    def __init__(
        self,
        agent: Agent,
        story: Console,
        say: Callable[[str], None],
        *,
        files: Iterable[Path] = (),
        run_directory: Path | None = None,
    ) -> None:
        self._agent = agent
        self._story = story
        self._say = say
        self._files = check_files(files)
        self._run_directory = run_directory
        self._is_typed = sys.stdin.isatty()
        self._interrupts = 0
        """How often Ctrl-C was pressed in a row."""

    def run(self) -> None:
        """Go on until the input ends or the person leaves.

        Raises InterruptedRunError for Ctrl-C twice in a row; and what `Conversation.ask` raises, where no person is
        there to read it and ask again.
        """
        with Background() as background, RunView(self._story) as view:
            session = background.hold(self._agent.session(run_directory=self._run_directory, on_progress=view))
            view.pause()
            try:
                self._talk(background, session, view)
            finally:
                if session.has_begun:
                    self._note(str(session.run_directory))

    def _talk(self, background: Background, session: Conversation, view: RunView) -> None:
        if self._is_typed:
            self._note(f"{self._agent.runtime.settings.model}; /help says what there is, Ctrl-D leaves.")
        for line in self._lines():
            if line.startswith("/"):
                if line.split()[0] in ("/exit", "/quit"):
                    break
                self._command(line)
            elif line:
                self._ask(background, session, view, line)

    def _lines(self) -> Iterator[str]:
        """The lines of the input, stripped. Ctrl-C at the prompt starts a new line, a second one leaves."""
        if not self._is_typed:
            yield from (line.strip() for line in sys.stdin)
            return
        with suppress(ImportError):  # with it, input() edits the line and recalls the ones before; Windows has none
            import_module("readline")
        while True:
            try:
                line = input("> ") if sys.stdout.isatty() else self._input_beside_pipe()
            except EOFError:
                self._story.print()
                return
            except KeyboardInterrupt as interrupt:
                self._story.print()
                self._interrupted(interrupt)
                continue
            if line.strip():
                self._interrupts = 0
            yield line.strip()

    def _input_beside_pipe(self) -> str:
        self._story.print("> ", end="")
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
            self._story.print(Text(HELP))
        elif command == "/file" and argument.strip():
            self._attach(Path(argument.strip().strip("\"'")).expanduser())
        else:
            self._complain(UsageError(f"There is no {line!r}.", hint="/help"))

    def _attach(self, path: Path) -> None:
        try:
            self._files = check_files([*self._files, path])
        except UsageError as error:
            self._complain(error)
        else:
            self._note(f"{path.name} goes with the next question.")

    def _ask(self, background: Background, session: Conversation, view: RunView, line: str) -> None:
        question, mentioned = with_files(line)
        try:
            files = [*self._files, *(file for file in mentioned if file not in self._files)]
            self._show(background.run(session.ask(question, files=files)))
            self._files = []
        except KeyboardInterrupt as interrupt:
            view.pause()
            self._story.print(Text("stopped", style="yellow"))
            self._interrupted(interrupt)
        except CellblockError as error:
            view.pause()
            if not self._is_typed:
                raise
            self._complain(error)

    def _show(self, result: RunResult) -> None:
        self._interrupts = 0
        for artifact in result.artifacts:
            self._note(f"{result.run_directory}/files/{plain(artifact.name)}  {artifact.size_bytes} bytes")
        if result.limit:
            self._story.print(Text(f"stopped at the limit on {result.limit}", style="yellow"))
        self._say(plain(result.answer or "(no answer)"))
        if self._is_typed:
            self._story.print()

    def _note(self, text: str) -> None:
        self._story.print(Text(plain(text), style="dim"), soft_wrap=True)

    def _complain(self, error: CellblockError) -> None:
        self._story.print(Text(plain(str(error)), style="red"), soft_wrap=True)


def with_files(line: str) -> tuple[str, list[Path]]:
    """The question with each @PATH that is a file as its name alone, and those files."""
    files: list[Path] = []

    def name(match: re.Match[str]) -> str:
        written = match[1] or match[2]
        bare = written if match[1] else written.rstrip(".,;:!?)")
        for text in (written, bare):
            path = Path(text).expanduser()
            if path.is_file():
                files.append(path)
                return path.name + written[len(text) :]
        return match[0]

    return _AT.sub(name, line), list(dict.fromkeys(files))
