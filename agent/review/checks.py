"""The checks: each has a name, a reason and a rule.

None of them reads what the task or the answer means. They look at what ran, at the files, at what is known of given
files, and at characters. A new
check has a name in `agent.record.events` and a sentence for the model in `agent.prompting.words`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from agent.errors import UsageError
from agent.messages import RUN_PYTHON
from agent.prompting.hints import asks_to_install, installs
from agent.record.events import Calls, CheckName, Event, Instructed, ModelReplied, ToolRan
from agent.record.question import Question
from agent.review.forms import missing_forms
from agent.review.named_values import Unused
from agent.review.results import unstated
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
    unsupported: Sequence[str] = ()
    """What the answer states and the run has nowhere, for the check of its support."""
    unused: Unused | None = None
    """A value that the question names and no program used."""

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
    def missing_forms(self) -> list[str]:
        """The forms of the question that the text does not have."""
        return [] if self.question.asked.answer_schema else missing_forms(self.question.asked.task, self.text)

    @cached_property
    def unstated(self) -> str:
        """What the last program printed, if the text has none of it."""
        code = "\n".join(event.code or "" for event in self.ran)
        return unstated(self.question, self.executions[-1], code, self.text) if self.executions else ""


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
    is_strict: bool = True
    """False if even `strict` does not ask for it: an answer that still breaks it is not accepted."""


def _has_failed(answer: Answer) -> bool:
    return bool(answer.executions) and answer.executions[-1].status != "ok"


def _was_not_run(answer: Answer) -> bool:
    last = answer.question.ran[-1:]
    return any(event.tool == RUN_PYTHON and event.execution is None for event in last)


def _has_shown_nothing(answer: Answer) -> bool:
    has_failed = any(execution.status != "ok" for execution in answer.executions)
    has_shown = any(execution.status == "ok" and execution.outputs for execution in answer.executions)
    return has_failed and not has_shown and not _has_failed(answer)


def _wants_install(answer: Answer) -> bool:
    return _has_failed(answer) and "failed" in answer.question.instructed and asks_to_install(answer.text)


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
    Check("not_run", "the last code was not run", _was_not_run, is_default_for=FENCED, asks_for_code=True),
    Check(
        "no_install",
        "it asks again for an installation after code failed",
        _wants_install,
        is_default_for=FENCED,
        asks_for_code=True,
    ),
    Check("no_result", "no code succeeded", lambda answer: answer.question.has_only_failed),
    Check(
        "unseen",
        "code failed, and no code after it printed anything",
        _has_shown_nothing,
        is_default_for=FENCED,
        asks_for_code=True,
    ),
    Check(
        "no_file",
        "code ran, and a file that the task names does not exist",
        lambda answer: bool(answer.missing),
        needs_files=True,
        asks_for_code=True,
    ),
    Check("format", "it does not have the form that the question shows", lambda answer: bool(answer.missing_forms)),
    Check(
        "unstated",
        "the last code printed a number, and it states nothing of what was printed",
        lambda answer: bool(answer.unstated),
    ),
    Check(
        "unused",
        "the question names a value of a given file, and no code used it",
        lambda answer: answer.unused is not None,
        asks_for_code=True,
    ),
    Check(
        "support",
        "it states a number, a date or a quoted name that no output, no question and no file has",
        lambda answer: bool(answer.unsupported),
        is_default_for=frozenset(),
        asks_for_code=True,
        is_strict=False,
    ),
)
"""In the order in which they are asked: the first that is broken is the one that the model hears of."""


def checks_named(asked: str, calls: Calls) -> list[CheckName]:
    """The names of the checks that `asked` stands for: none, default, strict, names, or several with commas between.

    `default` depends on how the model calls tools: a model that calls natively is asked only what no rule can get
    wrong. Raises UsageError for a name that no check has.
    """
    known = [check.name for check in CHECKS]
    groups: dict[str, list[CheckName]] = {
        "none": [],
        "default": [check.name for check in CHECKS if calls in check.is_default_for],
        "strict": [check.name for check in CHECKS if check.is_strict],
    }
    wanted: set[str] = set()
    for name in map(str.strip, asked.split(",")):
        if name not in known and name not in groups:
            raise UsageError(
                f"There is no check {name!r}.",
                hint=f"--review none, default, strict, or {','.join(known)}",
                in_python=f'review="none", "default", "strict", or "{",".join(known)}"',
            )
        wanted.update(groups.get(name, [name]))
    return [name for name in known if name in wanted]


def objections_in(events: Iterable[Event]) -> dict[CheckName, int]:
    """How often each check has objected to an answer. A check that never did is left out."""
    reasons = Counter(event.reason for event in events if isinstance(event, Instructed))
    return {check.name: reasons[check.name] for check in CHECKS if reasons[check.name]}
