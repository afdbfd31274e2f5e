"""What speaks against taking a reply without a call for the answer.

Each doubt is said once to a question: a model that stays with its answer is believed. Only a reply without any text is
refused whenever it comes.
"""

from collections.abc import Awaitable, Callable, Collection

from agent.prompting.hints import installs
from agent.prompting.needs_code import needs_check
from agent.prompting.words import INSTRUCTION
from agent.record.events import Asked, Instructed, ModelReplied, Reason, RunStarted, ToolRan
from agent.record.question import Question
from agent.review.copied_output import slips, sole_output
from agent.review.promised_files import asked_for
from sandbox import Execution


class Judge:
    """Judges the replies of one run."""

    def __init__(
        self,
        functions: Collection[str],
        file_names: Callable[[], Awaitable[list[str] | None]],
    ) -> None:
        """`functions` are the names of the caller's tools; `file_names` tells what lies in the workspace."""
        self._functions = functions
        self._file_names = file_names

    async def objection(self, replied: ModelReplied, question: Question, *, is_last_turn: bool) -> Instructed | None:
        """What the model is told instead; None where the reply is the answer.

        In the last turn, whatever has a text is taken.
        """
        has_text = bool(replied.content.strip())
        said = set(question.instructed) if has_text else set()
        ran = [event for event in question.ran if event.execution or event.tool in self._functions]
        reason: Reason | None = None
        missing: list[str] = []
        if replied.finish_reason == "length":
            reason = "cut"
        elif not has_text:
            reason = "empty"
        elif not is_last_turn:
            reason = self._doubt(replied, question.asked, ran, said)
        if reason in said:
            reason = None
        if (
            reason is None
            and not is_last_turn
            and "no_file" not in said
            and (missing := await self._missing_files(question.asked))
        ):
            reason = "no_file"
        if reason is None:
            return None
        text = INSTRUCTION[reason].format(output=_sole_output(ran), missing=", ".join(missing))
        return Instructed(reason=reason, text=text)

    def _doubt(
        self, replied: ModelReplied, asked: RunStarted | Asked, ran: list[ToolRan], said: set[Reason]
    ) -> Reason | None:
        """Whether an answer rests on nothing that was run or that was seen to work, or is not what was put out."""
        if not ran:
            return "nudge" if needs_check(asked.task, replied.content, has_files=bool(asked.files)) else None
        doubt = doubt_about(ran)
        if doubt == "failed" and doubt in said and installs(replied.content):
            return "no_install"
        output = _sole_output(ran)
        return doubt or ("unsaid" if output and slips(replied.content, output) else None)

    async def _missing_files(self, asked: RunStarted | Asked) -> list[str]:
        """What the question asks to be saved and is not there; a function of the caller's may save it elsewhere."""
        names = asked_for(asked.task, [file.name for file in asked.files])
        there = await self._file_names() if names and not self._functions else None
        return [name for name in names if there is not None and name not in there]


def doubt_about(ran: list[ToolRan]) -> Reason | None:
    """Why no answer can rest on what was run: the last code failed, or after a failure none has shown anything.

    Code that only tried to install something counts for nothing.
    """
    executions = [event.execution for event in ran if event.execution and not installs(event.code or "")]
    if not executions or ran[-1].execution is None:  # a function of the caller's was called last
        return None
    if executions[-1].status != "ok":
        return "failed"
    has_failed = any(execution.status != "ok" for execution in executions)
    has_shown = any(execution.status == "ok" and execution.outputs for execution in executions)
    return "unseen" if has_failed and not has_shown else None


def _sole_output(ran: list[ToolRan]) -> str | None:
    """What the last cell put out, where it can only be said as it is."""
    last: Execution | None = ran[-1].execution if ran else None
    return sole_output(last) if last else None
