"""Answers the calls of one cell to functions of the host."""

import asyncio
import inspect
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox import frames
from sandbox.calls import AnswerCall, HostAnswer, HostCall, HostFunction
from sandbox.channel import Channel, StreamEndedError
from sandbox.errors import ProtocolError, SettingsError
from sandbox.policy import Policy


@dataclass(frozen=True)
class Offer:
    """The functions that cells may call, and who answers."""

    functions: tuple[HostFunction, ...]
    answer: AnswerCall

    @property
    def names(self) -> frozenset[str]:
        return frozenset(function.name for function in self.functions)

    def packed(self) -> bytes:
        """The definitions as the guest reads them."""
        return json.dumps([asdict(function) for function in self.functions]).encode()


def make_offer(functions: Sequence[HostFunction], answer: AnswerCall) -> Offer:
    """Make an offer of functions that Python could define. Raises SettingsError."""
    for function in functions:
        try:
            _check(function)
        except ValueError as error:
            raise SettingsError(f"A cell cannot call {function.name!r}: {error}.") from None
    return Offer(tuple(functions), answer)


def _check(function: HostFunction) -> None:
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    inspect.Parameter(function.name, kinds[0])  # a function's name follows the rules for a parameter's
    inspect.Signature(
        [
            inspect.Parameter(
                parameter.name,
                kinds[parameter.is_keyword_only],
                default=None if parameter.has_default else inspect.Parameter.empty,
            )
            for parameter in function.parameters
        ]
    )


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: dict[str, Any]


class CellCalls:
    """The calls of one cell. None begins after `stop`, and none outlives the block.

    The guest keeps the policy's bounds. One that does not breaks the protocol.
    """

    def __init__(
        self, cell_id: int, offer: Offer | None, policy: Policy, channel: Channel, on_failure: Callable[[], object]
    ) -> None:
        """`on_failure` is called when the host cannot answer; leaving the block then raises why."""
        self._cell_id = cell_id
        self._offer = offer
        self._policy = policy
        self._channel = channel
        self._on_failure = on_failure
        self._failure: BaseException | None = None
        self._count = 0
        self._stopped = False
        self._sending = asyncio.Lock()
        """A call is under way until its answer is written, and answers that wait to be written are bounded by that."""
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        while self._under_way:
            await asyncio.wait(self._under_way)
        if self._failure is not None and error is None:
            raise self._failure

    def stop(self) -> None:
        """Cancel the calls that are under way, and begin no other."""
        if not self._stopped:  # a second cancellation would hit what a function does about the first
            self._stopped = True
            for task in self._under_way:
                task.cancel()

    def begin(self, header: frames.Call, payload: bytes) -> None:
        """Begin to answer a call. Raises ProtocolError if the guest should not have sent it."""
        if self._stopped or header.id != self._cell_id:
            return  # it was on its way
        call = self._checked(header, payload)
        self._count += 1
        task = asyncio.create_task(self._answer(call))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _checked(self, header: frames.Call, payload: bytes) -> HostCall:
        policy = self._policy
        if len(payload) > policy.function_arguments_bytes or len(self._under_way) >= policy.function_calls_at_once:
            raise ProtocolError("The sandbox sent a call that is too large, or too many at once.")
        if header.call != self._count + 1 or header.call > policy.function_calls:
            raise ProtocolError(f"The sandbox sent a call of the number {header.call} after {self._count}.")
        try:
            body = _Body.model_validate_json(payload)
        except ValidationError as error:
            raise ProtocolError("The sandbox sent a call with a malformed body.") from error
        if self._offer is None or body.name not in self._offer.names:
            raise ProtocolError("The sandbox sent a call of a function that was not offered.")
        return HostCall(header.call, body.name, body.arguments)

    async def _answer(self, call: HostCall) -> None:
        try:
            payload = packed(call, await self._asked(call), self._policy.function_result_bytes)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # also one that would end the loop: the cell would wait for ever
            self._failure = self._failure or error
            self._on_failure()
            return
        with suppress(StreamEndedError):  # whoever reads the stream notices as well
            async with self._sending:
                await self._channel.send({"type": "answer", "id": self._cell_id, "call": call.number}, payload)

    async def _asked(self, call: HostCall) -> HostAnswer:
        assert self._offer is not None
        try:
            return await self._offer.answer(call)
        except asyncio.CancelledError:
            if self._stopped:
                raise
            return HostAnswer(error=f"{call.name}() was cancelled.")  # by itself


def packed(call: HostCall, answer: HostAnswer, limit_bytes: int) -> bytes:
    """An answer as the kernel reads it, within the limit."""
    return _pack(bounded(call, answer, limit_bytes))


def bounded(call: HostCall, answer: HostAnswer, limit_bytes: int) -> HostAnswer:
    """The answer; in place of one over the limit, an error that says so."""
    size_bytes = len(_pack(answer))
    if size_bytes <= limit_bytes:
        return answer
    error = f"The result of {call.name}() takes {size_bytes} bytes, over the limit of {limit_bytes}."
    return HostAnswer(error=error, error_type="ValueError")


def _pack(answer: HostAnswer) -> bytes:
    failed = {"error": answer.error, "error_type": answer.error_type}
    value = {"value": answer.value} if answer.error is None else failed
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
