"""Run the check that reads tasks over one half of the labelled tasks, and print its error rates.

The check for files is used only after code ran. The labels say which tasks need code, and stand for that here.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from agent.review.promised_files import asked_for, is_among
from benchmarks.review.labels import LANGUAGES, Half, Task, load_tasks


@dataclass(frozen=True)
class Outcome:
    """What one check says of one task. None where the label makes this kind of error impossible."""

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


def measure(half: Half) -> dict[str, list[Outcome]]:
    """The outcomes of each check."""
    return {"no_file": [outcome_of_files(task) for task in load_tasks(half)]}


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


def _rate(errors: Iterable[bool | None]) -> str:
    counted = [error for error in errors if error is not None]
    return f"{sum(counted) / len(counted):.0%} ({sum(counted)} of {len(counted)})" if counted else ""


if __name__ == "__main__":
    main()
