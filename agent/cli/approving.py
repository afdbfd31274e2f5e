"""Asks on the terminal whether a function of the user's may be called."""

import json
import sys
from threading import Lock
from typing import Any

from agent.cli.view import RunView

QUESTION = "Allow this call? [y]es, [n]o, [a]lways: "


class Approver:
    """Consent for the calls of one run, as `approve` of a tool takes it. Without a terminal, it is refused."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._always: set[str] = set()
        self._asking = Lock()
        """Code may make several calls at once, each in a thread of its own."""

    def __call__(self, name: str, arguments: dict[str, Any]) -> bool:
        """Show the whole call and ask; "always" holds for all later calls of the function."""
        with self._asking:
            if name in self._always:
                return True
            if not sys.stdin.isatty():
                return False
            self._view.pause()
            self._view.show_call(name, json.dumps(arguments, ensure_ascii=False))
            said = _answer()
            if said == "a":
                self._always.add(name)
            return said in ("a", "y")


def _answer() -> str:
    """The first letter of what is typed; empty at the end of the input."""
    try:
        return input(QUESTION).strip().lower()[:1]
    except EOFError:
        return ""
