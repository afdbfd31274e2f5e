"""The checks: each has a name, a reason and a rule.

None of them reads what the task or the answer means. They look at what ran, at the files, and at characters. A new
check has a name in `agent.record.events` and a sentence for the model in `agent.prompting.words`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from agent.errors import UsageError
from agent.prompting.hints import asks_to_install, installs
from agent.record.events import Calls, CheckName, Event, Instructed, ModelReplied, ToolRan
from agent.record.question import Question
from agent.review.copied_output import miscopies, sole_output
from sandbox import Execution


@dataclass(frozen=True)
class Answer:
    """A reply without a call, and what it rests on."""

    replied: ModelReplied
    question: Question
    functions: Collection[str]
    """The names of the caller's tools."""
    missing: Sequence[str] = ()
    """The files that the task asks for and that do not exist, for the checks that look at the workspace."""

    @property
    def text(self) -> str:
        return self.replied.content

    @cached_property
    def ran(self) -> list[ToolRan]:
        """The calls of this question that were carried out."""
        return [event for event in self.question.ran if event.execution or event.tool in self.functions]

    @cached_property
    def executions(self) -> list[Execution]:
        """What the cells did. Cells that only install something are left out; a tool's call at the end hides all."""
        if not self.ran or self.ran[-1].execution is None:
            return []
        return [event.execution for event in self.ran if event.execution and not installs(event.code or "")]

    @cached_property
    def output(self) -> str | None:
        """What the last cell printed, if it is a single value."""
        last = self.ran[-1].execution if self.ran else None
        return sole_output(last) if last else None


@dataclass(frozen=True)
class Check:
    """A rule that an answer can break."""

    name: CheckName
    reason: str
    """What the check objects to, as the end of a sentence: "The answer is refused if ..."."""
    is_broken: Callable[[Answer], bool]
    is_default_for: frozenset[Calls] = frozenset(get_args(Calls))
    """The ways of calling for which it is on without being asked for."""
    holds_in_last_turn: bool = False
    needs_files: bool = False
    """True if the rule looks at the workspace."""
    asks_for_code: bool = False
    """True if the model is told to write a ```python block."""


def _has_failed(answer: Answer) -> bool:
    return bool(answer.executions) and answer.executions[-1].status != "ok"


def _has_shown_nothing(answer: Answer) -> bool:
    has_failed = any(execution.status != "ok" for execution in answer.executions)
    has_shown = any(execution.status == "ok" and execution.outputs for execution in answer.executions)
    return has_failed and not has_shown and not _has_failed(answer)


def _wants_install(answer: Answer) -> bool:
    return _has_failed(answer) and "failed" in answer.question.instructed and asks_to_install(answer.text)


def _is_miscopied(answer: Answer) -> bool:
    return answer.output is not None and miscopies(answer.text, answer.output, answer.question.asked.task)


FENCED: frozenset[Calls] = frozenset({"fenced"})
CHECKS = (
    Check(
        "cut",
        "it was cut off at the limit on output tokens",
        lambda answer: answer.replied.finish_reason == "length",
        holds_in_last_turn=True,
    ),
    Check("empty", "it has no text", lambda answer: not answer.text.strip(), holds_in_last_turn=True),
    Check(
        "no_code",
        "files came with the question and no code ran",
        lambda answer: bool(answer.question.asked.files) and not answer.ran,
        is_default_for=FENCED,
        asks_for_code=True,
    ),
    Check("failed", "the last code failed", _has_failed, asks_for_code=True),
    Check(
        "no_install",
        "it asks again for an installation after code failed",
        _wants_install,
        is_default_for=FENCED,
        asks_for_code=True,
    ),
    Check(
        "unseen",
        "code failed, and no code after it printed anything",
        _has_shown_nothing,
        is_default_for=FENCED,
        asks_for_code=True,
    ),
    Check(
        "miscopied",
        "it contains a damaged copy of the single value that the last code printed",
        _is_miscopied,
        is_default_for=FENCED,
    ),
    Check(
        "no_file",
        "code ran, and a file that the task names does not exist",
        lambda answer: bool(answer.missing),
        needs_files=True,
        asks_for_code=True,
    ),
)
"""In the order in which they are asked: the first that is broken is the one that the model hears of."""


def checks_named(asked: str, calls: Calls) -> list[CheckName]:
    """The names of the checks that `asked` stands for: none, default, strict, or names with commas between them.

    `default` depends on how the model calls tools: a model that calls natively is asked only what no rule can get
    wrong. Raises UsageError for a name that no check has.
    """
    match asked:
        case "none":
            return []
        case "default":
            return [check.name for check in CHECKS if calls in check.is_default_for]
        case "strict":
            return [check.name for check in CHECKS]
    wanted = [name.strip() for name in asked.split(",")]
    known = [check.name for check in CHECKS]
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"There is no check {name!r}.",
                hint=f"--review none, default, strict, or {','.join(known)}",
                in_python=f"review= none, default, strict, or {','.join(known)}",
            )
    return [name for name in known if name in wanted]


def objections_in(events: Iterable[Event]) -> dict[CheckName, int]:
    """How often each check has objected to an answer. A check that never did is left out."""
    reasons = Counter(event.reason for event in events if isinstance(event, Instructed))
    return {check.name: reasons[check.name] for check in CHECKS if reasons[check.name]}
