"""Answers the calls of a cell from the record: by function and arguments, equal ones in the order of the record."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterable

from agent.record.called import written_call
from agent.record.events import FunctionCalled
from agent.text import encodable
from sandbox.calls import HostAnswer, HostCall

MAX_TOLD = 5
"""How many calls that the record does not have are told."""


class RecordedAnswers:
    """The answers to the calls of one cell. Each is given once."""

    def __init__(self, calls: Iterable[FunctionCalled]) -> None:
        self._left: defaultdict[str, deque[FunctionCalled]] = defaultdict(deque)
        for call in sorted(calls, key=lambda call: call.number):
            self._left[_key(call)].append(call)
        self._unknown: list[str] = []

    def take(self, call: HostCall) -> FunctionCalled | None:
        """The next event of such a call; None if the record has no more."""
        left = self._left[_key(call)]
        return left.popleft() if left else None

    async def answer(self, call: HostCall) -> HostAnswer:
        """The recorded answer. A call that the record does not have gets an error, and is remembered."""
        recorded = self.take(call)
        if recorded is None:
            called = written_call(call.name, call.arguments)
            self._unknown.append(called)
            return HostAnswer(error=f"The record has no answer for {called}", error_type="LookupError")
        if recorded.is_stopped:
            await asyncio.Event().wait()  # until the cell is stopped again
        return answer_of(recorded)

    @property
    def differences(self) -> tuple[str, ...]:
        """A line for each of the first calls that the record does not have."""
        told = tuple(f"called {called}, which the record does not have" for called in self._unknown[:MAX_TOLD])
        more = len(self._unknown) - len(told)
        return (*told, f"and {more} more such calls") if more else told


def answer_of(call: FunctionCalled) -> HostAnswer:
    """What the code got from a call."""
    if call.error is None:
        return HostAnswer(call.result)
    return HostAnswer(error=call.error, error_type=call.error_type)


def _key(call: HostCall | FunctionCalled) -> str:
    """Equal for equal calls, also if the arguments have what a record cannot hold: NaN, and half of a character."""
    arguments = json.loads(json.dumps(call.arguments), parse_constant=lambda _: None)
    return encodable(json.dumps([call.name, arguments], sort_keys=True, ensure_ascii=False))
