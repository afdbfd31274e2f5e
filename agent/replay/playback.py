"""Answers from a recorded run in place of a model. The same requests get the same answers; others fail with a diff."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.endpoint.assembly import OnDelta
from agent.endpoint.config import Endpoint, Sampling
from agent.endpoint.model import Generation
from agent.errors import ContextLengthError, EndpointError, PlaybackError
from agent.messages import Message, Reply, ToolCall
from agent.record.events import (
    SCHEMA_VERSION,
    Event,
    HistoryShortened,
    ModelFailed,
    ModelReplied,
    ModelSettings,
    ReplyCut,
    SandboxChanged,
)
from agent.record.history import beginning_of, messages_of, request_sha256
from agent.record.transcript import Recorded

MAX_DIFF_LINES = 40
MAX_SHORTENINGS = 16
"""The limit on consecutive shortenings of one request's history: each leaves little for another."""


def endpoint_of(settings: ModelSettings) -> Endpoint:
    """The endpoint of a run, without secrets."""
    return Endpoint(
        base_url=settings.base_url,
        model=settings.model,
        provider=settings.provider,
        explicit_cache=settings.explicit_cache,
    )


def sampling_of(settings: ModelSettings) -> Sampling:
    """The sampling of a run."""
    return Sampling(**{name: getattr(settings, name) for name in Sampling.model_fields})


@dataclass(frozen=True)
class _Turn:
    """A recorded request."""

    events: list[Event]
    """All events of the record."""
    place: int
    reply: ModelReplied | ReplyCut | ModelFailed
    is_too_long: bool
    """True if the request failed because the history was too long, which was then shortened."""

    @property
    def before(self) -> list[Event]:
        """The events before the request was sent."""
        return self.events[: self.place]


class Playback:
    """Replaces a Model, and answers in the order of the record."""

    def __init__(self, recorded: Recorded) -> None:
        """Raises PlaybackError for a run of an old schema version, whose requests are not recorded."""
        if recorded.schema_version < SCHEMA_VERSION:
            raise PlaybackError(
                f"The run {str(recorded.directory)!r} has schema version {recorded.schema_version}, which does not "
                "hold its requests: it can be shown, exported and replayed, but it cannot answer in place of a model."
            )
        self.sampling = sampling_of(recorded.started.settings)
        self._recorded = recorded
        self._turns = list(_turns(recorded.events))
        self._cuts: dict[int, list[ReplyCut]] = {}
        """The cut replies of each turn, by the turn's number."""
        self._place = 0

    @property
    def can_continue(self) -> bool:
        """True if the recorded endpoint continued a reply that was cut off."""
        return any(isinstance(event, ReplyCut) for event in self._recorded.events)

    async def generate(
        self,
        messages: list[Message],
        tools: list[dict[str, Any]],
        on_delta: OnDelta,
        *,
        prefix: str = "",
        must_call: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        max_output_tokens: int | None = None,
    ) -> Generation:
        """Return the recorded answer to this request.

        Raises PlaybackError if this is not the next request of the record. If the recorded request failed, raises its
        EndpointError, or ContextLengthError if the history was shortened after it.
        """
        if prefix:
            messages = [*messages, {"role": "assistant", "content": prefix}]
        if self._place == len(self._turns):
            raise self._no_more_turns()
        turn, asked = self._turns[self._place], request_sha256(messages, tools)
        if asked != turn.reply.request_sha256:
            if any(asked == request_sha256(messages_of(events), tools) for events in _before_shortening(turn.before)):
                raise ContextLengthError("The recorded endpoint could not read a history as long as this.")
            raise self._other_request(turn, messages, tools)
        self._place += 1
        if isinstance(turn.reply, ModelFailed):
            raise _failure(turn.reply, turn.is_too_long)
        if isinstance(turn.reply, ReplyCut):
            self._cuts.setdefault(turn.reply.turn, []).append(turn.reply)
            return self._generation(turn.reply, turn.reply.content, turn.reply.reasoning, on_delta)
        before = "".join(cut.reasoning for cut in self._cuts.get(turn.reply.turn, []))
        content = turn.reply.content if turn.reply.raw_content is None else turn.reply.raw_content
        return self._generation(turn.reply, content, turn.reply.reasoning.removeprefix(before), on_delta)

    def _generation(
        self, reply: ModelReplied | ReplyCut, content: str, reasoning: str, on_delta: OnDelta
    ) -> Generation:
        for attempt in reply.attempts:
            on_delta("restart", attempt.error)
        if reasoning:
            on_delta("reasoning", reasoning)
        if content:
            on_delta("text", content)
        native: list[ToolCall] = []
        reason: str | None = "length"
        if isinstance(reply, ModelReplied):
            native, reason = [] if reply.recovered_as else reply.tool_calls, reply.finish_reason
        for call in native:
            on_delta("call", call.name)
            on_delta("arguments", call.arguments)
        return Generation(
            Reply(content=content, reasoning=reasoning, tool_calls=native, finish_reason=reason, usage=reply.usage),
            chunks=self._recorded.raw_chunks(reply) or [],
            attempts=reply.attempts,
            duration_s=reply.duration_s,
        )

    def _no_more_turns(self) -> EndpointError | PlaybackError:
        finished = self._recorded.finished
        if finished is not None and finished.outcome == "error":
            return EndpointError(finished.error or "The recorded run ended with an error.")
        count = len(self._turns)
        return PlaybackError(
            f"The run {str(self._recorded.directory)!r} holds {count} turns, but one more was requested."
        )

    def _other_request(self, turn: _Turn, messages: list[Message], tools: list[dict[str, Any]]) -> PlaybackError:
        run, number = str(self._recorded.directory), turn.reply.turn
        expected = messages_of(turn.before)
        for place, (wanted, got) in enumerate(zip(expected, messages, strict=False), start=1):
            if wanted != got:
                what = f"message {place} ({got['role']})"
                return _differs(run, number, what, _readable(wanted), _readable(got))
        if len(expected) != len(messages):
            what = f"the record has {len(expected)} messages, the request {len(messages)}"
            return _differs(
                run, number, what, _readable(expected[len(messages) :]), _readable(messages[len(expected) :])
            )
        offered = beginning_of(turn.before).tools
        names = turn.reply.tools
        wanted_tools = offered if names is None else [tool for tool in offered if tool["function"]["name"] in names]
        return _differs(run, number, "the tools", _readable(wanted_tools), _readable(tools))


def _turns(events: list[Event]) -> Iterator[_Turn]:
    last: Event | None = None
    for place, event in enumerate(events):
        is_asked = not (isinstance(event, ModelReplied) and isinstance(last, ModelFailed))
        # otherwise the cut reply could not be continued and became the reply, without another request
        if isinstance(event, ModelReplied | ReplyCut | ModelFailed) and is_asked:
            after = events[place + 1 : place + 2]
            yield _Turn(events, place, event, any(isinstance(event, HistoryShortened) for event in after))
        last = last if isinstance(event, SandboxChanged) else event


def _failure(failed: ModelFailed, is_too_long: bool) -> EndpointError:
    error = ContextLengthError(failed.error) if is_too_long else EndpointError(failed.error)
    error.attempts = tuple(failed.attempts)
    return error


def _before_shortening(before: list[Event]) -> Iterator[list[Event]]:
    """Yield the record as it was before each shortening since the last reply."""
    found = 0
    for place in range(len(before) - 1, -1, -1):
        if isinstance(before[place], ModelReplied) or found == MAX_SHORTENINGS:
            return
        if isinstance(before[place], HistoryShortened):
            found += 1
            yield before[:place]


def _differs(run: str, number: int, what: str, recorded: list[str], asked: list[str]) -> PlaybackError:
    diff = list(difflib.unified_diff(recorded, asked, "recorded", "asked", lineterm="", n=1))
    shown = [*diff[:MAX_DIFF_LINES], *(["[…]"] if len(diff) > MAX_DIFF_LINES else [])]
    said = f"Request {number} differs from the one recorded in {run!r}: {what}."
    return PlaybackError("\n".join((said, *shown)))


def _readable(value: Any) -> list[str]:
    """A part of a request as lines: the text of a message as text, everything else as JSON."""
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        rest = {name: part for name, part in value.items() if name not in ("role", "content")}
        return [*value["content"].split("\n"), *(_readable(rest) if rest else [])]
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).split("\n")
