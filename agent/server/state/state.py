"""All that a server keeps, in one directory."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.errors import UsageError
from agent.paths import expanded
from agent.server.ids import NewId, new_id
from agent.server.state import database, lock
from agent.server.state.containers import Containers
from agent.server.state.contents import FOLDER, Contents
from agent.server.state.conversations import Conversations
from agent.server.state.files import Files
from agent.server.state.keys import Keys
from agent.server.state.responses import Responses

MAX_FILE_BYTES = 512 << 20
MAX_FILES_BYTES = 10 << 30
RUNS = "runs"


def default_directory(environ: Mapping[str, str]) -> Path:
    """Where a server keeps its state if it is not told."""
    return expanded(environ.get("XDG_DATA_HOME") or "~/.local/share") / "cellblock" / "serve"


class State:
    """The nouns of a server over one SQLite file. Use it in a `with`."""

    def __init__(
        self,
        directory: Path,
        *,
        is_server: bool = False,
        make_id: NewId = new_id,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_files_bytes: int = MAX_FILES_BYTES,
    ) -> None:
        """Open the state, and make it if there is none. Nobody but this user can read it. Raises UsageError.

        A server has it for itself, but for the commands that add keys and clean up.
        """
        self.directory = directory
        self.runs = directory / RUNS
        """Where run directories are."""
        self.new_id = make_id
        with ExitStack() as stack, _usable(directory):
            _make(directory, self.runs)
            if is_server:
                stack.enter_context(lock.hold(directory))
            self.database = database.Database(directory / database.FILE_NAME)
            stack.callback(self.database.close)
            (directory / FOLDER).mkdir(mode=0o700, exist_ok=True)
            self._open = stack.pop_all()
        self.contents = Contents(self.database, directory, max_file_bytes=max_file_bytes, max_bytes=max_files_bytes)
        self.responses = Responses(self.database)
        self.conversations = Conversations(self.database)
        self.containers = Containers(self.database, self.contents)
        self.files = Files(self.database, self.contents, make_id)
        self.keys = Keys(self.database, make_id)

    def close(self) -> None:
        """Close the file and end the lock."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _make(directory: Path, runs: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    _check_ours(directory)
    runs.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _usable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"Cannot use {str(directory)!r} for the state of the server: {error.strerror}.",
            hint="--state DIR, with another one",
        ) from error


def _check_ours(directory: Path) -> None:
    """Raise UsageError for a directory with files of others, which retention could delete."""
    there = {path.name for path in directory.iterdir()}
    if database.FILE_NAME not in there and there - {RUNS, lock.FILE_NAME}:
        raise UsageError(
            f"{str(directory)!r} holds other files: the state of a server is not kept there.",
            hint="--state DIR, with an empty one",
        )
