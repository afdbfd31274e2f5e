"""The calls that cells make of the caller's functions: each is answered within the limits, and recorded."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from agent.record.events import FunctionCalled
from agent.record.transcript import Transcript
from agent.replay.answers import RecordedAnswers, answer_of
from agent.tools.functions import FunctionTool
from agent.tools.json_results import check_storable
from sandbox.answering import bounded
from sandbox.calls import HostAnswer, HostCall, HostFunction


class FunctionCalls:
    """Answers the calls of one cell after the other. What the code gets is what the record has."""

    def __init__(
        self,
        tools: Iterable[FunctionTool],
        transcript: Transcript,
        *,
        may_call: Callable[[], bool],
        within_s: float | None,
        max_result_bytes: int,
    ) -> None:
        """`may_call` counts a call, and is False over the limit; `within_s` is how long each may take."""
        self._tools = {tool.name: tool for tool in tools}
        self._transcript = transcript
        self._may_call = may_call
        self._within_s = within_s
        self._max_result_bytes = max_result_bytes
        self._call_id = ""
        self._earlier = RecordedAnswers(())

    @property
    def definitions(self) -> list[HostFunction]:
        """The functions, as code sees them."""
        return [tool.definition for tool in self._tools.values()]

    def begin(self, call_id: str, earlier: Sequence[FunctionCalled] = ()) -> None:
        """Take the calls that come as those of a cell. `earlier` are those that it made before the run was resumed."""
        self._call_id = call_id
        self._earlier = RecordedAnswers(call for call in earlier if not call.is_stopped)

    async def answer(self, call: HostCall) -> HostAnswer:
        """Answer a call, and record it unless the record could not be read then."""
        try:
            check_storable(call.arguments)
        except ValueError as error:
            return HostAnswer(
                error=f"The arguments of {call.name} cannot be recorded: {error}", error_type="ValueError"
            )
        begun_s = time.monotonic()
        earlier = self._earlier.take(call)
        if earlier is not None:
            return self._recorded(call, answer_of(earlier), begun_s, is_repeated=True)
        try:
            answer = await self._answer(call)
        except asyncio.CancelledError:
            self._recorded(call, HostAnswer(), begun_s, is_stopped=True)
            raise
        return self._recorded(call, answer, begun_s)

    async def _answer(self, call: HostCall) -> HostAnswer:
        if call.name not in self._tools:
            return HostAnswer(error=f"There is no function {call.name!r}.", error_type="NameError")
        if not self._may_call():
            return HostAnswer(error="The limit on calls of functions is reached for this question.")
        answer = await self._tools[call.name].answer(call.arguments, within_s=self._within_s)
        return bounded(call, answer, self._max_result_bytes)

    def _recorded(
        self, call: HostCall, answer: HostAnswer, begun_s: float, *, is_repeated: bool = False, is_stopped: bool = False
    ) -> HostAnswer:
        event = FunctionCalled(
            call_id=self._call_id,
            number=call.number,
            name=call.name,
            arguments=call.arguments,
            result=answer.value,
            error=answer.error,
            error_type="" if answer.error is None else answer.error_type,
            is_repeated=is_repeated,
            is_stopped=is_stopped,
            duration_s=round(time.monotonic() - begun_s, 6),
        )
        return answer_of(self._transcript.append(event))
