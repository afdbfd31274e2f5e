"""Functions that the caller runs elsewhere: a call ends the answer, which goes on with the result that they bring."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.errors import UsageError
from agent.tools.run_python import is_run_python


@dataclass(frozen=True)
class OutsideTool:
    """One such function. `schema` is the tool as a request of Chat Completions holds it."""

    schema: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Raises UsageError for the name of the built-in tool."""
        if is_run_python(self.name):
            raise UsageError(f"A tool cannot be called {self.name!r}: that is the built-in tool.")

    @property
    def name(self) -> str:
        """The name by which the model calls it."""
        return str(self.schema["function"]["name"])

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters that its schema lists."""
        parameters = self.schema["function"].get("parameters") or {}
        return list(parameters.get("properties") or {})
