"""Answers with the code interpreter for protocols that keep nothing between requests.

What a request has used is put into its scope, under `usage`, with its `model` and its `run`: for the log, and for the
limits of a key.
"""

from collections.abc import AsyncGenerator, MutableMapping
from contextlib import aclosing
from typing import Any

from agent.loop.result import RunResult
from agent.progress import Progress
from agent.server.faults import Fault
from agent.server.wire.attended import noted
from agent.server.work.account import Account
from agent.server.work.desk import Desk
from agent.server.work.job import Job

Answer = AsyncGenerator[Progress | RunResult]


async def answer(desk: Desk, job: Job, account: Account, scope: MutableMapping[str, Any]) -> Answer:
    """The pieces of an answer and its result. The reader lets the `account` take the pieces."""
    scope["model"] = job.model
    try:
        async with aclosing(desk.answer_once(job)) as pieces:
            async for piece in pieces:
                if isinstance(piece, RunResult):
                    account.usage, scope["run"] = piece.usage, piece.run_directory.name
                yield piece
    finally:
        scope["usage"] = account.usage


async def result_of(pieces: Answer, account: Account) -> RunResult:
    """The result of an answer that is not streamed. Raises Fault."""
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, RunResult):
                    return piece
                account.take(piece)
    except Exception as error:
        raise account.after_code(noted(error)) from error
    raise Fault(500, "The answer has no end.", "server_error")
