"""Run the checks over one half of the labelled tasks and answers, and print their error rates.

The check for files is used only after code ran. The labels say which tasks need code, and stand for that here.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from agent.review.copied_output import miscopies, sole_output
from agent.review.promised_files import asked_for, is_among
from benchmarks.review.labels import LANGUAGES, Answer, Half, Task, load_answers, load_tasks
from sandbox.testing import printed


@dataclass(frozen=True)
class Outcome:
    """What one check says of one task or answer. None where the label makes this kind of error impossible."""

    language: str
    is_false_objection: bool | None
    is_miss: bool | None


def outcome_of_files(task: Task) -> Outcome:
    """Does the check expect exactly the files that the user wants saved? It expects none if no code runs."""
    runs = task.needs_code or task.promised
    expected = asked_for(task.task, task.files) if runs else []
    return Outcome(
        task.language,
        is_false_objection=not all(is_among(name, task.promised) for name in expected),
        is_miss=not all(is_among(name, expected) for name in task.promised) if task.promised else None,
    )


def outcome_of_copy(answer: Answer) -> Outcome:
    """Does the check find the damaged copies and accept the rest?"""
    output = sole_output(printed(answer.output))
    objects = output is not None and miscopies(answer.answer, output, "")
    return _outcome(answer.language, should_object=answer.is_miscopy, objects=objects)


def measure(half: Half) -> dict[str, list[Outcome]]:
    """The outcomes of each check."""
    tasks, answers = load_tasks(half), load_answers(half)
    return {
        "no_file": [outcome_of_files(task) for task in tasks],
        "miscopied": [outcome_of_copy(answer) for answer in answers],
    }


def table(by_check: dict[str, list[Outcome]]) -> str:
    """As Markdown."""
    lines = ["| check | language | false objections | misses |", "|---|---|---:|---:|"]
    for check, outcomes in by_check.items():
        for language in (*LANGUAGES, "all"):
            group = [one for one in outcomes if language in (one.language, "all")]
            false_objections = _rate(one.is_false_objection for one in group)
            misses = _rate(one.is_miss for one in group)
            lines.append(f"| {check} | {language} | {false_objections} | {misses} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review", description=__doc__)
    parser.add_argument("--held-out", action="store_true", help="the half that no rule was written with")
    given = parser.parse_args()
    sys.stdout.write(table(measure("held_out" if given.held_out else "open")) + "\n")


def _outcome(language: str, *, should_object: bool, objects: bool) -> Outcome:
    return Outcome(
        language,
        is_false_objection=None if should_object else objects,
        is_miss=not objects if should_object else None,
    )


def _rate(errors: Iterable[bool | None]) -> str:
    counted = [error for error in errors if error is not None]
    return f"{sum(counted) / len(counted):.0%} ({sum(counted)} of {len(counted)})" if counted else ""


if __name__ == "__main__":
    main()
