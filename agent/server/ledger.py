"""Who has used how much: for the limits of keys, and for those who watch the server."""

import logging
import time
from collections.abc import Callable

from agent.messages import Usage
from agent.progress import CodeEnded, Progress
from agent.server.access.keys import day_of
from agent.server.metrics import Metrics
from agent.server.owner import NOBODY, Owner
from agent.server.state.database import DatabaseError
from agent.server.state.keys import Keys

_log = logging.getLogger("cellblock.server")


class Ledger:
    """Counts what answers use."""

    def __init__(self, keys: Keys, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._metrics = metrics
        self._clock = clock

    def count(self, owner: Owner, usage: Usage) -> None:
        """Count the tokens of an answer, or of a part of one."""
        self._metrics.count_tokens(usage.input_tokens, usage.output_tokens)
        if owner.id == NOBODY:
            return
        try:
            self._keys.add_tokens(owner.id, day_of(self._clock()), usage.input_tokens + usage.output_tokens)
        except DatabaseError as error:  # the answer is there: it is sent all the same
            _log.error("the tokens of %s could not be counted: %s", owner.name, error)

    def note(self, piece: Progress) -> None:
        """Count a cell that has ended, and how."""
        if isinstance(piece, CodeEnded) and piece.execution is not None:
            self._metrics.count_cell(piece.execution.duration_s)
            if piece.execution.status == "died":
                self._metrics.count_death(piece.execution.cause or "unknown")
