"""A question in the record, and what has happened since it was asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from agent.messages import RUN_PYTHON, ToolCall
from agent.record.events import (
    Asked,
    Event,
    FunctionCalled,
    Instructed,
    ModelReplied,
    QuestionFinished,
    Reason,
    ReplyCut,
    RunStarted,
    ToolRan,
)
from sandbox import DisplayData, ExecuteResult

E = TypeVar("E")


@dataclass(frozen=True)
class Question:
    """The last question of a run. It is a snapshot: later events are in the next snapshot."""

    asked: RunStarted | Asked
    since: list[Event]
    """All events after it."""

    @classmethod
    def last_of(cls, events: Sequence[Event]) -> Self:
        """Find the last question in these events, which hold at least one."""
        for place in range(len(events) - 1, -1, -1):
            asked = events[place]
            if isinstance(asked, RunStarted | Asked):
                return cls(asked, list(events[place + 1 :]))
        raise ValueError("the events hold no question")

    @property
    def replies(self) -> list[ModelReplied]:
        """The model's turns."""
        return self._all(ModelReplied)

    @property
    def ran(self) -> list[ToolRan]:
        """The calls that have a result."""
        return self._all(ToolRan)

    @property
    def pictures(self) -> int:
        """How many pictures its programs have shown, saved or not."""
        outputs = [output for event in self.ran if event.execution for output in event.execution.outputs]
        bundles = [output.data for output in outputs if isinstance(output, DisplayData | ExecuteResult)]
        return sum(any(kind.startswith("image/") for kind in bundle) for bundle in bundles)

    @property
    def instructed(self) -> list[Reason]:
        """The reasons of Cellblock's messages to the model."""
        return [event.reason for event in self._all(Instructed)]

    @property
    def unanswered(self) -> list[ToolCall]:
        """The calls of the last reply that have no result yet."""
        answered = [event.call_id for event in self.after_reply if isinstance(event, ToolRan)]
        calls = self.replies[-1].tool_calls if self.replies else []
        return [call for call in calls if not _taken(answered, call.id)]

    @property
    def after_reply(self) -> list[Event]:
        """The events since the last reply."""
        places = [place for place, event in enumerate(self.since) if isinstance(event, ModelReplied)]
        return self.since[places[-1] + 1 :] if places else self.since

    def calls_of(self, call_id: str) -> list[FunctionCalled]:
        """What the cell of a call has called since the last reply, each once, though the run may have been resumed."""
        calls = [event for event in self.after_reply if isinstance(event, FunctionCalled)]
        return [event for event in calls if event.call_id == call_id and not event.is_repeated]

    @property
    def has_only_failed(self) -> bool:
        """True if calls ran code, and none of them succeeded."""
        ran = [event for event in self.ran if event.execution or event.tool != RUN_PYTHON]
        return bool(ran) and not any(map(succeeded, ran))

    @property
    def has_ended_early(self) -> bool:
        """True if it ended at a limit or without an answer that could be accepted, and has not been resumed since."""
        for event in reversed(self.since):
            match event:
                case QuestionFinished():
                    return event.outcome != "answered"
                case Instructed(reason="limit" | "resumed"):
                    return event.reason == "limit"
        return False

    @property
    def best_text(self) -> str | None:
        """The last text of the model; None if there is none yet."""
        replies = [event for event in self.since if isinstance(event, ModelReplied | ReplyCut)]
        return next((text for reply in reversed(replies) if (text := reply.content.strip())), None)

    def _all(self, kind: type[E]) -> list[E]:
        return [event for event in self.since if isinstance(event, kind)]


def _taken(ids: list[str], wanted: str) -> bool:
    """Take an id out of the list; False if it is not there. A stranger's record may use an id twice."""
    if wanted not in ids:
        return False
    ids.remove(wanted)
    return True


def succeeded(ran: ToolRan) -> bool:
    """True if a call succeeded. A call of a caller's function counts as a success, because its result is unknown."""
    return ran.tool != RUN_PYTHON or (ran.execution is not None and ran.execution.status == "ok")
