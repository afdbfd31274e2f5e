"""Replays a recorded run: runs each cell again, compares each output and file, and tries to explain differences."""

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
from agent.replay.steps import RunCell, SkipCall, steps_of
from sandbox import Description, Execution, Launcher, Policy, SandboxInfo

MAX_REPLAYS = 3
"""How often a run is replayed before an unexplained difference counts as real."""
SESSION_S = 86_400.0
"""The session limit of a replay. The recorded limit also counted the model's time; its stops are in the record."""


@dataclass(frozen=True)
class Item:
    """A cell or a file of the run, and the comparison with its replay."""

    kind: Literal["cell", "file"]
    name: str
    """The number of a cell among the calls of the run, or the path of a file in the workspace."""
    comparison: Comparison
    code: str = ""
    duration_s: float = 0.0
    """The duration of the replayed cell."""


@dataclass(frozen=True)
class Replay:
    """The result of a replay."""

    items: list[Item]
    changes: list[str]
    """The changes of the environment, one line each."""

    @property
    def is_same(self) -> bool:
        """True if nothing is different."""
        return all(item.comparison.verdict != "different" for item in self.items)

    @property
    def is_explained(self) -> bool:
        """True if each difference is explained."""
        return all(item.comparison.verdict != "different" or item.comparison.is_explained for item in self.items)


@dataclass(frozen=True)
class _Pass:
    """One replay of the run."""

    items: list[Item]
    shown: dict[tuple[str, str], Shown]
    """The outputs and files of this replay, by kind and name."""
    info: SandboxInfo
    description: Description


def warn(note: str) -> None:
    """Default callback for notes: a refused request of a record is never silent."""
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

    The record's own policy narrows `policy` and never widens it. Raises UsageError for a network or an image that
    `policy` does not name; `on_note` gets a line for each other request of the record that is not granted. `on_item`
    gets each item as it comes. If there is a difference, the run is then replayed again, to see if the replays differ
    from each other. Raises TranscriptError, and SandboxError if a sandbox like the recorded one cannot be started.
    """
    recorded = read(Path(run))
    own = (policy or Policy()).model_copy(update={"session_timeout_s": SESSION_S})
    for note in narrowed(recorded, own, update_image=update_image).notes:
        on_note(note)
    narrow = policy_of(recorded, own, update_image=update_image).model_copy(update={"session_timeout_s": SESSION_S})
    first = await _pass(recorded, launcher, narrow, on_item, update_image=update_image)
    passes, items = [first], first.items
    cells = {str(step.number): step for step in steps_of(recorded.events) if isinstance(step, RunCell)}
    while any(_is_unexplained(item) for item in items) and len(passes) < MAX_REPLAYS:
        passes.append(await _pass(recorded, launcher, narrow, ignore, update_image=update_image))
        items = [_explained(item, recorded, cells, passes) for item in items]
    return Replay(items, _changes(recorded, first))


def _is_unexplained(item: Item) -> bool:
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
            if isinstance(step, SkipCall):
                take(Item("cell", str(step.number), Comparison("not_run", step.why), step.what))
            elif isinstance(step, RunCell) and execution is not None:
                take(_cell(step, execution, day, rerun.other_calls))
                seen["cell", str(step.number)] = shown(execution, day)
        for item, now in _files(recorded, rerun, day):
            take(item)
            seen["file", item.name] = now
    return _Pass(items, seen, info, description)


def _cell(step: RunCell, execution: Execution, day: str, other_calls: tuple[str, ...]) -> Item:
    comparison = compare_cells(step.recorded, execution, (step.day, day), other_calls)
    return Item("cell", str(step.number), comparison, step.code, execution.duration_s)


def _files(recorded: Recorded, rerun: Rerun, day: str) -> Iterator[tuple[Item, Shown]]:
    """Compare the files of the run, and those that only the replay left; nothing if the record has no end."""
    if recorded.finished is None:
        return
    for file in recorded.finished.artifacts:
        now = _replayed_file(rerun, file.name, file.sha256, day)
        before = _recorded_file(recorded, file.name, file.sha256) if rerun.left.get(file.name) != file.sha256 else now
        yield Item("file", file.name, compare(before, now)), now
    if _has_all_files(recorded):
        for name in sorted(rerun.left.keys() - {file.name for file in recorded.finished.artifacts}):
            now = _replayed_file(rerun, name, "", day)
            yield Item("file", name, compare(_MISSING, now)), now


_MISSING = Shown(["[there is no such file]"], ["[there is no such file]"])


def _replayed_file(rerun: Rerun, name: str, expected: str, day: str) -> Shown:
    if name not in rerun.left:
        return _MISSING
    sha256 = rerun.left[name]
    if sha256 == expected or name not in rerun.contents:
        return _shown_hash(sha256)
    return shown_file(rerun.contents[name], day)


def _recorded_file(recorded: Recorded, name: str, sha256: str) -> Shown:
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
    """True if the record names every file that the run left: not after a stop, nor if some were left out."""
    finished = recorded.finished
    was_stopped = any(isinstance(event, Instructed) and event.reason == "stopped" for event in recorded.events)
    return (
        finished is not None
        and finished.outcome in ("answered", "limit")
        and not finished.artifacts_omitted
        and not was_stopped
    )


def _explained(item: Item, recorded: Recorded, cells: dict[str, RunCell], passes: list[_Pass]) -> Item:
    """The item with an explanation, if the replays give one."""
    place = (item.kind, item.name)
    replays = [done.shown[place] for done in passes if place in done.shown]
    if not _is_unexplained(item) or not is_chance(_shown_recorded(item, recorded, cells), replays):
        return item
    return replace(item, comparison=replace(item.comparison, why=CHANCE))


def _shown_recorded(item: Item, recorded: Recorded, cells: dict[str, RunCell]) -> Shown:
    if item.kind == "cell":
        step = cells[item.name]
        return shown(step.recorded, step.day)
    return _recorded_file(recorded, item.name, "")


def _changes(recorded: Recorded, done: _Pass) -> list[str]:
    """The changes since the record: image, engine, runtime, Python, packages."""
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
