"""Checks a reply without a call before it is accepted as the answer.

Each check objects once to a question: a model that repeats its answer is believed. A reply without any text is refused
each time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from agent.prompting.words import INSTRUCTION
from agent.record.events import CheckName, Event, Instructed, ModelReplied
from agent.record.question import Question
from agent.record.support import quoted, unsupported
from agent.review.checks import CHECKS, Answer, Check
from agent.review.named_values import unused_value
from agent.review.promised_files import asked_for, is_among
from agent.review.support import support_of
from agent.text import plain


class Reviewer:
    """Reviews the replies of one run."""

    def __init__(
        self,
        checks: Collection[CheckName],
        functions: Collection[str],
        file_names: Callable[[], Awaitable[list[str] | None]],
    ) -> None:
        """`functions` are the names of the caller's tools; `file_names` lists the workspace, None if it is lost."""
        self._checks = [check for check in CHECKS if check.name in checks]
        self._functions = functions
        self._file_names = file_names

    async def objection(
        self, replied: ModelReplied, events: Sequence[Event], *, is_last_turn: bool
    ) -> Instructed | None:
        """The first check that the reply breaks, and what the model is told. None if the reply is the answer.

        `events` are those of the run so far.
        """
        question = Question.last_of(events)
        said = question.instructed if replied.content.strip() else []
        answer = Answer(replied, question, self._functions)
        for check in self._checks:
            if check.name in said or (is_last_turn and not check.holds_in_last_turn):
                continue
            if check.needs_files:
                answer = replace(answer, missing=await self._missing_files(question))
            if check.name == "support":
                answer = replace(answer, unsupported=await self._unsupported(replied.content, events))
            if check.name == "unused":
                answer = replace(answer, unused=unused_value(events))
            if check.is_broken(answer):
                return Instructed(reason=check.name, text=_told(check, answer))
        return None

    async def _unsupported(self, text: str, events: Sequence[Event]) -> list[str]:
        found = unsupported(await asyncio.to_thread(support_of, events, text))
        if not found:
            return []
        return unsupported(await asyncio.to_thread(support_of, events, text, await self._file_names() or ()))

    async def _missing_files(self, question: Question) -> list[str]:
        """Nothing is missing before code ran. A function of the caller's may save a file elsewhere."""
        if self._functions or not any(ran.execution for ran in question.ran):
            return []
        names = asked_for(question.asked.task, [file.name for file in question.asked.files])
        there = await self._file_names() if names else None
        return [name for name in names if there is not None and not is_among(name, there)]


def _told(check: Check, answer: Answer) -> str:
    """The sentence for the model."""
    return INSTRUCTION[check.name].format(
        missing=", ".join(answer.missing),
        unsupported=quoted(answer.unsupported),
        forms="\n".join(answer.missing_forms),
        printed=answer.unstated,
        value=answer.unused and plain(answer.unused.value),
        column=answer.unused and plain(answer.unused.column),
    )
