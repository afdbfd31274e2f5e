"""What is left to do: which results stand, and which tasks are run, or run again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agent.batch.results import TaskResult
from agent.batch.tasks import BatchTask, settings_fingerprint
from agent.errors import UsageError
from agent.runtime import Runtime


@dataclass(frozen=True)
class Prints:
    """What a task is and how it is answered, as hashes."""

    task: str
    settings: str


@dataclass
class Plan:
    """Of all tasks that were asked for."""

    todo: list[BatchTask] = field(default_factory=list)
    prints: dict[str, Prints] = field(default_factory=dict)
    """Of every task, by its id."""
    standing: list[TaskResult] = field(default_factory=list)
    """Results of tasks that are not run again, each matched with what is expected now."""
    foreign: list[TaskResult] = field(default_factory=list)
    """Results of tasks that were not asked for."""
    replaced: list[TaskResult] = field(default_factory=list)
    """Results of tasks that are run again."""
    rescored: int = 0
    """Standing results whose match is another than it was."""
    changed: list[str] = field(default_factory=list)
    """Tasks that are run again because their text or a file is not what it was."""
    otherwise: list[str] = field(default_factory=list)
    """Tasks whose result stands, though the model, its limits or the sandbox were others."""

    def notes(self) -> list[str]:
        """What the user is to know about it, a line each."""
        told = [
            ("Finished before, and not run again but with --redo", self.standing, ""),
            ("Matched anew with what is expected now", range(self.rescored), ""),
            ("Changed since they were finished, and run again", self.changed, _some(self.changed)),
            ("Finished with other settings, and not run again but with --redo", self.otherwise, _some(self.otherwise)),
            ("Results of tasks that were not asked for, left as they are", self.foreign, ""),
        ]
        return [f"{words}: {len(found)}{some}" for words, found, some in told if found]


def plan(
    tasks: Iterable[BatchTask], results: Iterable[TaskResult], runtime: Runtime, *, retry_failed: bool, redo: bool
) -> Plan:
    """Decide for each task. Raises UsageError for tasks that cannot be had so, all together."""
    plan, finished = Plan(), {result.id: result for result in results}
    complaints: list[str] = []
    known: dict[Path, str] = {}
    base = settings_fingerprint(runtime)
    for task in tasks:
        try:
            own = task.runtime(runtime)
            prints = Prints(task.fingerprint(known), base if own is runtime else settings_fingerprint(own))
        except UsageError as error:
            complaints.append(f"  {task.id}: {error.message}")
            continue
        except OSError as error:
            complaints.append(f"  {task.id}: cannot read {str(error.filename)!r}: {error.strerror}")
            continue
        plan.prints[task.id] = prints
        _decide(plan, task, finished.pop(task.id, None), again=retry_failed, redo=redo)
    plan.foreign = list(finished.values())
    if complaints:
        shown = complaints[:20] + ([f"  and {len(complaints) - 20} more"] if len(complaints) > 20 else [])
        raise UsageError("\n".join([f"{len(complaints)} tasks cannot be run, and nothing was started:", *shown]))
    return plan


def _decide(plan: Plan, task: BatchTask, result: TaskResult | None, *, again: bool, redo: bool) -> None:
    if result is None:
        plan.todo.append(task)
        return
    prints = plan.prints[task.id]
    is_changed = result.task_sha256 != prints.task
    if redo or is_changed or (again and result.outcome != "answered"):
        plan.todo.append(task)
        plan.replaced.append(result)
        plan.changed += [task.id] if is_changed and not redo else []
        return
    match = task.matches(result.answer)
    plan.rescored += match != result.match
    plan.otherwise += [task.id] if result.settings_sha256 != prints.settings else []
    plan.standing.append(result.model_copy(update={"match": match}))


def _some(ids: list[str]) -> str:
    return f" ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"
