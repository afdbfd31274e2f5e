"""Replays a recorded run: each cell again, each output and file compared, and a difference looked into."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from agent.progress import ignore
from agent.record.events import Instructed
from agent.record.reading import ARTIFACTS
from agent.record.transcript import Recorded, read, utc_now
from agent.replay.comparing import CHANCE, Comparison, compare, compare_cells, is_chance
from agent.replay.narrowing import narrowed
from agent.replay.rerun import MAX_READ_BYTES, Rerun, policy_of
from agent.replay.showing import Shown, shown, shown_file
from agent.replay.steps import PassOver, RunCell, steps_of
from sandbox import Description, Execution, Launcher, Policy, SandboxInfo

MAX_REPLAYS = 3
"""How often a run with a difference is replayed before that difference counts as one of substance."""
SESSION_S = 86_400.0
"""The clock of the recorded session ran for the model too; where it has stopped a cell, that stop is on record."""


@dataclass(frozen=True)
class Item:
    """A cell or a file of the run, and what its replay says."""

    kind: Literal["cell", "file"]
    name: str
    """Of a cell, its number among the calls of the run; of a file, its path in the workspace."""
    comparison: Comparison
    code: str = ""
    duration_s: float = 0.0
    """Of the replayed cell."""


@dataclass(frozen=True)
class Replay:
    """What came of a replay."""

    items: list[Item]
    changes: list[str]
    """What is otherwise about the surroundings, one line each."""

    @property
    def is_same(self) -> bool:
        """Whether nothing is different."""
        return all(item.comparison.verdict != "different" for item in self.items)

    @property
    def is_explained(self) -> bool:
        """Whether each difference is explained."""
        return all(item.comparison.verdict != "different" or item.comparison.is_explained for item in self.items)


@dataclass(frozen=True)
class _Pass:
    """The run done once more: what came out, by kind and name."""

    items: list[Item]
    shown: dict[tuple[str, str], Shown]
    info: SandboxInfo
    description: Description


def warn(note: str) -> None:
    """Where the notes go of a caller who does not listen: what a record is not granted is never silent."""
    warnings.warn(note, stacklevel=2)


async def replay(
    run: Path | str,
    launcher: Launcher,
    *,
    policy: Policy | None = None,
    update_image: bool = False,
    on_item: Callable[[Item], None] = ignore,
    on_note: Callable[[str], None] = warn,
) -> Replay:
    """Run the cells of a recorded run again and compare each output and file with the record.

    The record's own policy narrows `policy`, and widens it nowhere; UsageError is raised for a network or an image that
    `policy` does not name. `on_note` hears a line for each other wish of the record that is not granted.
    `on_item` hears each as it comes, before a difference is looked into: then the run is replayed again, to see
    whether it differs from itself. Raises TranscriptError, and SandboxError where no sandbox like the recorded one can
    be had.
    """
    recorded = read(Path(run))
    own = (policy or Policy()).model_copy(update={"session_timeout_s": SESSION_S})
    for note in narrowed(recorded, own, update_image=update_image).notes:
        on_note(note)
    narrow = policy_of(recorded, own, update_image=update_image).model_copy(update={"session_timeout_s": SESSION_S})
    first = await _pass(recorded, launcher, narrow, on_item, update_image=update_image)
    passes, items = [first], first.items
    cells = {str(step.number): step for step in steps_of(recorded.events) if isinstance(step, RunCell)}
    while any(_is_open(item) for item in items) and len(passes) < MAX_REPLAYS:
        passes.append(await _pass(recorded, launcher, narrow, ignore, update_image=update_image))
        items = [_looked_into(item, recorded, cells, passes) for item in items]
    return Replay(items, _changes(recorded, first))


def _is_open(item: Item) -> bool:
    return item.comparison.verdict == "different" and item.comparison.why is None


async def _pass(
    recorded: Recorded, launcher: Launcher, policy: Policy, on_item: Callable[[Item], None], *, update_image: bool
) -> _Pass:
    items: list[Item] = []
    seen: dict[tuple[str, str], Shown] = {}
    day = utc_now().date().isoformat()

    def take(item: Item) -> None:
        items.append(item)
        on_item(item)

    async with Rerun(launcher, policy, recorded, update_image=update_image) as rerun:
        info, description = rerun.session.info, await rerun.session.describe()
        for step in steps_of(recorded.events):
            execution = await rerun.do(step)
            if isinstance(step, PassOver):
                take(Item("cell", str(step.number), Comparison("not_run", step.why), step.what))
            elif isinstance(step, RunCell) and execution is not None:
                take(_cell(step, execution, day))
                seen["cell", str(step.number)] = shown(execution, day)
        for item, now in _files(recorded, rerun, day):
            take(item)
            seen["file", item.name] = now
    return _Pass(items, seen, info, description)


def _cell(step: RunCell, execution: Execution, day: str) -> Item:
    comparison = compare_cells(step.recorded, execution, (step.day, day))
    return Item("cell", str(step.number), comparison, step.code, execution.duration_s)


def _files(recorded: Recorded, rerun: Rerun, day: str) -> Iterator[tuple[Item, Shown]]:
    """The files that the run left, and those that only the replay did; none where the record has no end."""
    if recorded.finished is None:
        return
    for file in recorded.finished.artifacts:
        now = _shown_now(rerun, file.name, file.sha256, day)
        before = _shown_then(recorded, file.name, file.sha256) if rerun.left.get(file.name) != file.sha256 else now
        yield Item("file", file.name, compare(before, now)), now
    if _has_all_files(recorded):
        for name in sorted(rerun.left.keys() - {file.name for file in recorded.finished.artifacts}):
            now = _shown_now(rerun, name, "", day)
            yield Item("file", name, compare(_MISSING, now)), now


_MISSING = Shown(["[there is no such file]"], ["[there is no such file]"])


def _shown_now(rerun: Rerun, name: str, expected: str, day: str) -> Shown:
    if name not in rerun.left:
        return _MISSING
    sha256 = rerun.left[name]
    if sha256 == expected or name not in rerun.contents:
        return _shown_hash(sha256)
    return shown_file(rerun.contents[name], day)


def _shown_then(recorded: Recorded, name: str, sha256: str) -> Shown:
    day = recorded.events[-1].time[:10]
    try:
        with recorded.folder.reading(f"{ARTIFACTS}/{name}") as file:
            data = file.read(MAX_READ_BYTES + 1)
    except OSError:
        return _shown_hash(sha256)
    return shown_file(data, day) if len(data) <= MAX_READ_BYTES else _shown_hash(sha256)


def _shown_hash(sha256: str | None) -> Shown:
    line = f"sha256 {sha256}"
    return Shown([line], [line])


def _has_all_files(recorded: Recorded) -> bool:
    """Whether the record names every file that the run left: not after a stop, nor where some were left out."""
    finished = recorded.finished
    was_stopped = any(isinstance(event, Instructed) and event.reason == "stopped" for event in recorded.events)
    return (
        finished is not None
        and finished.outcome in ("answered", "limit")
        and not finished.artifacts_omitted
        and not was_stopped
    )


def _looked_into(item: Item, recorded: Recorded, cells: dict[str, RunCell], passes: list[_Pass]) -> Item:
    """The item with its explanation, where the replays give one."""
    place = (item.kind, item.name)
    replays = [done.shown[place] for done in passes if place in done.shown]
    if not _is_open(item) or not is_chance(_shown_recorded(item, recorded, cells), replays):
        return item
    return replace(item, comparison=replace(item.comparison, why=CHANCE))


def _shown_recorded(item: Item, recorded: Recorded, cells: dict[str, RunCell]) -> Shown:
    if item.kind == "cell":
        step = cells[item.name]
        return shown(step.recorded, step.day)
    return _shown_then(recorded, item.name, "")


def _changes(recorded: Recorded, done: _Pass) -> list[str]:
    """What is otherwise than recorded: image, engine, runtime, Python, packages."""
    environment = recorded.started.environment
    then = {"image": environment.image_id, "engine": environment.engine, "runtime": environment.runtime}
    now = {"image": done.info.image_id, "engine": done.info.engine, "runtime": done.info.runtime}
    then |= {"Python": environment.python} | environment.packages
    now |= {"Python": done.description.python} | done.description.packages
    return [
        f"{name}: {then.get(name, 'none')} → {now.get(name, 'none')}"
        for name in [*then, *(name for name in now if name not in then)]
        if then.get(name) != now.get(name)
    ]
