"""Whether a run solved its task, and where it did not, the cause, told by its trace alone."""

import re
from typing import Literal, get_args

from benchmarks.solve.tasks import NO_CODE, Task
from benchmarks.solve.trace import Trace

Cause = Literal[
    "solved", "time", "error", "right output, wrong answer", "wrong recovery", "no call", "code error", "limit",
    "no artifact", "wrong code",
]  # fmt: skip
CAUSES: tuple[Cause, ...] = get_args(Cause)
MEANINGS: dict[Cause, str] = {
    "time": "the wall clock of the task ran out",
    "error": "the endpoint or the sandbox failed",
    "right output, wrong answer": "an output showed what was asked, the answer does not say it",
    "wrong recovery": "a call in the last text was not run, or what was taken for a call could not be run",
    "no call": "nothing was run, and nothing in the text looks like a call",
    "code error": "the last cell failed, was stopped or died, and the model did not mend it",
    "limit": "the turns ran out, with a last cell that ran well",
    "no artifact": "the answer is right, but the file that was asked for is not there",
    "wrong code": "the last cell ran well, and computed something else",
}
_CALL = re.compile(
    r"```[ \t]*(?:python|py|json|tool_call)\b|<tool_call>|<function[= ]|\"name\"\s*:\s*\"run_python\"|run_python\(",
    re.IGNORECASE,
)


def cause_of(task: Task, trace: Trace) -> Cause:
    """The first that holds; what comes later in a run is asked first."""
    cells = [cell for turn in trace.turns for cell in turn.cells]
    is_answered = task.expected.is_answered(trace.answer, task.text)
    is_shown = any(cell.status == "ok" and task.expected.is_shown(cell.output) for cell in cells)
    verdicts: tuple[tuple[Cause, bool], ...] = (
        ("error", trace.ending == "error"),
        ("time", trace.ending == "time"),
        ("no artifact", is_answered and task.artifact not in (None, *trace.artifacts)),
        ("solved", is_answered),
        ("right output, wrong answer", is_shown),
        ("wrong recovery", _ends_in_a_call(trace) or (bool(cells) and cells[-1].code is None)),
        ("no call", not cells and task.category != NO_CODE),
        ("code error", bool(cells) and cells[-1].status != "ok"),
        ("limit", trace.ending == "limit"),
    )
    return next((cause for cause, holds in verdicts if holds), "wrong code")


def _ends_in_a_call(trace: Trace) -> bool:
    """Whether the answer holds a call that nobody ran; at the limit it was not to be run."""
    return trace.ending == "answered" and _CALL.search(trace.answer) is not None
