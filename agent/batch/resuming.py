"""The plan of one start: which results are kept, and which tasks are run or run again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agent.batch.results import TaskResult
from agent.batch.tasks import BatchTask, settings_fingerprint
from agent.errors import UsageError
from agent.runtime import Runtime


@dataclass(frozen=True)
class Fingerprints:
    """Hashes of a task and of the settings that it is answered with."""

    task: str
    settings: str


@dataclass
class Plan:
    """The plan for all requested tasks."""

    todo: list[BatchTask] = field(default_factory=list)
    fingerprints: dict[str, Fingerprints] = field(default_factory=dict)
    """The fingerprints of every task, by its id."""
    kept: list[TaskResult] = field(default_factory=list)
    """Results of tasks that are not run again, scored against the current expectation."""
    unlisted: list[TaskResult] = field(default_factory=list)
    """Results of tasks that are not in the input."""
    replaced: list[TaskResult] = field(default_factory=list)
    """Results of tasks that are run again."""
    rescored: int = 0
    """The number of kept results whose match has changed."""
    changed: list[str] = field(default_factory=list)
    """Tasks that are run again because their text or a file has changed."""
    other_settings: list[str] = field(default_factory=list)
    """Tasks whose result is kept although the model, the limits or the sandbox differed."""

    def notes(self) -> list[str]:
        """Notes for the user, one line each."""
        notes = [
            ("Already finished; use --redo to run again", self.kept, ""),
            ("Match changed when scored again", range(self.rescored), ""),
            ("Changed since they were finished; run again", self.changed, _examples(self.changed)),
            (
                "Finished with other settings; use --redo to run again",
                self.other_settings,
                _examples(self.other_settings),
            ),
            ("Results of tasks that are not in the input; left unchanged", self.unlisted, ""),
        ]
        return [f"{words}: {len(found)}{some}" for words, found, some in notes if found]


def plan(
    tasks: Iterable[BatchTask], results: Iterable[TaskResult], runtime: Runtime, *, retry_failed: bool, redo: bool
) -> Plan:
    """Decide what to do with each task. Raises one UsageError that lists all tasks that cannot be run."""
    plan, finished = Plan(), {result.id: result for result in results}
    complaints: list[str] = []
    known: dict[Path, str] = {}
    base = settings_fingerprint(runtime)
    for task in tasks:
        try:
            own = task.runtime(runtime)
            fingerprints = Fingerprints(task.fingerprint(known), base if own is runtime else settings_fingerprint(own))
        except UsageError as error:
            complaints.append(f"  {task.id}: {error.message}")
            continue
        except OSError as error:
            complaints.append(f"  {task.id}: cannot read {str(error.filename)!r}: {error.strerror}")
            continue
        plan.fingerprints[task.id] = fingerprints
        _decide(plan, task, finished.pop(task.id, None), again=retry_failed, redo=redo)
    plan.unlisted = list(finished.values())
    if complaints:
        shown = complaints[:20] + ([f"  and {len(complaints) - 20} more"] if len(complaints) > 20 else [])
        raise UsageError("\n".join([f"{len(complaints)} tasks cannot be run, and nothing was started:", *shown]))
    return plan


def _decide(plan: Plan, task: BatchTask, result: TaskResult | None, *, again: bool, redo: bool) -> None:
    if result is None:
        plan.todo.append(task)
        return
    fingerprints = plan.fingerprints[task.id]
    is_changed = result.task_sha256 != fingerprints.task
    if redo or is_changed or (again and result.outcome != "answered"):
        plan.todo.append(task)
        plan.replaced.append(result)
        plan.changed += [task.id] if is_changed and not redo else []
        return
    match = task.matches(result.answer)
    plan.rescored += match != result.match
    plan.other_settings += [task.id] if result.settings_sha256 != fingerprints.settings else []
    plan.kept.append(result.model_copy(update={"match": match}))


def _examples(ids: list[str]) -> str:
    return f" ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"
