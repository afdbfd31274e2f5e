"""Decides if a failure belongs to one task, or if every other task would fail the same way.

- The key is refused, the model or the image is missing, the disk is full: before the first answer, the batch stops.
- The engine or the endpoint does not answer: it is checked for up to 30 s. If it comes back, the task is run again; if
  not, the batch stops.
- A sandbox does not start on an engine that answers: memory, processes or the like are short for a moment. The task is
  run again a little later.
- Any other failure of the sandbox or the endpoint belongs to the task.

Results of the last three kinds, and of the first kind after an answer, are deferred until another task is answered. Ten
such failures in a row, or three of the first kind, also stop the batch. Their tasks then have no result, and the next
start runs them.
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
    PackageError,
    SandboxError,
    SessionClosedError,
    StartError,
)

PERMANENT = (AccessError, ImageError, LocalModelError, PackageError, TranscriptError)
UNREACHABLE = (UnreachableError, ClusterError, EngineError, StartError, SessionClosedError)
FAILED_START = (EngineError, StartError)
TASK_OWN = (ContentFilterError, ContextLengthError, FileTransferError)
PERMANENT_IN_A_ROW = 3
IN_A_ROW = 10
PATIENCE_S = 30.0
CHECK_EVERY_S = 3.0
PAUSES_S = (3.0, 10.0)
"""Pauses before a task is run again after its sandbox failed to start."""
MAX_RERUNS = len(PAUSES_S)

Verdict = Literal["record", "defer", "again"]


class FailureTriage:
    """Judges the failures of one batch."""

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`check` raises CellblockError if the engine or the endpoint does not answer."""
        self._check = check
        self._sleep = sleep
        self._has_answered = False
        self._permanent_in_a_row = 0
        self._deferred: list[TaskResult] = []

    def release(self) -> list[TaskResult]:
        """Return the deferred results: a task was answered or all have ended, so the failures belong to their tasks."""
        self._has_answered = True
        self._permanent_in_a_row = 0
        deferred, self._deferred = self._deferred, []
        return deferred

    async def judge(self, failure: CellblockError, *, reruns: int) -> Verdict:
        """Decide what to do with a failed task. Raises the failure if it ends the batch."""
        if isinstance(failure, TASK_OWN) or not isinstance(
            failure, (EndpointError, SandboxError, ClusterError, *PERMANENT)
        ):
            return "record"
        if isinstance(failure, PERMANENT):
            self._permanent_in_a_row += 1
            if not self._has_answered or self._permanent_in_a_row >= PERMANENT_IN_A_ROW:
                raise failure
        elif isinstance(failure, UNREACHABLE) and await self._may_rerun(failure, reruns):
            return "again"
        if len(self._deferred) + 1 >= IN_A_ROW:
            raise failure
        return "defer"

    def defer(self, result: TaskResult) -> None:
        """Keep a result back until the cause of its failure is known."""
        self._deferred.append(result)

    async def _may_rerun(self, failure: CellblockError, reruns: int) -> bool:
        """Wait for an engine or endpoint that was away, or for room for a sandbox; True if a rerun may help."""
        was_away = await self._was_away()
        if reruns >= MAX_RERUNS:
            return False
        if not was_away and isinstance(failure, FAILED_START):
            await self._sleep(PAUSES_S[reruns])
            return True
        return was_away

    async def _was_away(self) -> bool:
        """Check until the engine and the endpoint answer; False if they did at once. Raises their last failure."""
        for failed_checks in range(int(PATIENCE_S / CHECK_EVERY_S)):
            try:
                await self._check()
                return failed_checks > 0
            except CellblockError:
                await self._sleep(CHECK_EVERY_S)
        await self._check()
        return True
