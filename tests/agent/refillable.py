"""A scripted endpoint whose script can be written anew while it is there."""

from collections.abc import Iterable

from agent.testing import ScriptedEndpoint
from agent.testing.script import Reply


class RefillableEndpoint(ScriptedEndpoint):
    """Keeps its address when a run stops and is resumed."""

    def __init__(self) -> None:
        super().__init__([])

    def refill(self, replies: Iterable[Reply]) -> None:
        """Answer with these from now on, whatever is left of the script before."""
        self._left[:] = replies
