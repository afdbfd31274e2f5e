"""What the tab key completes in a chat: commands, and paths behind `@` and `/file`."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from agent.paths import expanded

MAX_SHOWN = 200


def completions(line: str, word: str, commands: Sequence[str]) -> list[str]:
    """The words that can stand in place of the last `word` of a line."""
    if line == word and word.startswith("/"):
        return [f"{command} " for command in commands if command.startswith(word)]
    if word.startswith("@"):
        return [f"@{path}" for path in _paths(word[1:])]
    return _paths(word) if line.startswith("/file ") else []


def complete_with_tab(commands: Sequence[str]) -> None:
    """Let input() edit lines, recall earlier ones and complete words. Raises ImportError where there is no readline."""
    readline = import_module("readline")
    readline.set_completer_delims(" \t\n")
    readline.set_completer(_completer(readline.get_line_buffer, commands))
    is_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")


def _completer(line: Callable[[], str], commands: Sequence[str]) -> Callable[[str, int], str | None]:
    found: list[str] = []

    def complete(word: str, number: int) -> str | None:
        if number == 0:
            found[:] = completions(line().lstrip(), word, commands)
        return found[number] if number < len(found) else None

    return complete


def _paths(begun: str) -> list[str]:
    """The paths that begin so; a folder ends with `/`, a file with a space. A name with a blank cannot be completed."""
    folder, slash, begin = begun.rpartition("/")
    shown = f"{folder}{slash}"
    try:
        entries = sorted(expanded(shown or ".").iterdir())
    except OSError:
        return []
    wanted = [entry for entry in entries if entry.name.startswith(begin) and " " not in entry.name]
    visible = [entry for entry in wanted if begin.startswith(".") or not entry.name.startswith(".")]
    return [f"{shown}{_ended(entry)}" for entry in visible[:MAX_SHOWN]]


def _ended(entry: Path) -> str:
    return f"{entry.name}/" if entry.is_dir() else f"{entry.name} "
