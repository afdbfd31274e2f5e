"""Whether a failure is the task's own, or one that every other task will meet too.

- The key is refused, the model or the image is missing, the disk is full: before the first answer, the batch stops.
- The engine or the endpoint is not there: it is looked for, for 30 s. Still gone, the batch stops; back, the task is
  run again.
- A sandbox does not start on an engine that answers: something is short for a moment, such as memory or processes, and
  the task is run again a little later.
- Anything else of the sandbox or the endpoint is the task's own failure.

The last three, and the first after an answer, are held back until another task is answered: ten of them in a row, or
three of the first, stop the batch too. Those tasks have no result then, and are run again when it is started again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from agent.batch.results import TaskResult
from agent.errors import (
    AccessError,
    ClusterError,
    ContentFilterError,
    ContextLengthError,
    EndpointError,
    LocalModelError,
    TranscriptError,
    UnreachableError,
)
from sandbox import (
    CellblockError,
    EngineError,
    FileTransferError,
    ImageError,
    SandboxError,
    SessionClosedError,
    StartError,
)

LASTING = (AccessError, ImageError, LocalModelError, TranscriptError)
ABSENT = (UnreachableError, ClusterError, EngineError, StartError, SessionClosedError)
START = (EngineError, StartError)
OWN = (ContentFilterError, ContextLengthError, FileTransferError)
LASTING_IN_A_ROW = 3
IN_A_ROW = 10
PATIENCE_S = 30.0
LOOK_EVERY_S = 3.0
PAUSES_S = (3.0, 10.0)
"""Before a task is run again whose sandbox did not start."""
MAX_RERUNS = len(PAUSES_S)

Verdict = Literal["record", "hold", "again"]


class Doubts:
    """Judges the failures of one batch."""

    def __init__(
        self,
        look: Callable[[], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`look` raises CellblockError where the engine or the endpoint does not answer."""
        self._look = look
        self._sleep = sleep
        self._has_answered = False
        self._lasting = 0
        self._held: list[TaskResult] = []

    def settle(self) -> list[TaskResult]:
        """A task was answered, or all have ended: the failures before it were their tasks' own."""
        self._has_answered = True
        self._lasting = 0
        held, self._held = self._held, []
        return held

    async def judge(self, failure: CellblockError, *, reruns: int) -> Verdict:
        """What becomes of a task that failed. Raises the failure of the environment that ends the batch."""
        if isinstance(failure, OWN) or not isinstance(failure, (EndpointError, SandboxError, ClusterError, *LASTING)):
            return "record"
        if isinstance(failure, LASTING):
            self._lasting += 1
            if not self._has_answered or self._lasting >= LASTING_IN_A_ROW:
                raise failure
        elif isinstance(failure, ABSENT) and await self._may_pass(failure, reruns):
            return "again"
        if len(self._held) + 1 >= IN_A_ROW:
            raise failure
        return "hold"

    def hold(self, result: TaskResult) -> None:
        """Keep a result back until it is known whose fault it is."""
        self._held.append(result)

    async def _may_pass(self, failure: CellblockError, reruns: int) -> bool:
        """Wait for what may be better after it: an engine or endpoint that was away, or room for a sandbox."""
        was_away = await self._was_away()
        if reruns >= MAX_RERUNS:
            return False
        if not was_away and isinstance(failure, START):
            await self._sleep(PAUSES_S[reruns])
            return True
        return was_away

    async def _was_away(self) -> bool:
        """Look until the engine and the endpoint answer; False where they did at once. Raises what they fail with."""
        for looked in range(int(PATIENCE_S / LOOK_EVERY_S)):
            try:
                await self._look()
                return looked > 0
            except CellblockError:
                await self._sleep(LOOK_EVERY_S)
        await self._look()
        return True
