"""Deletes what is old: responses, conversations, containers, files and run directories, but nothing that is in use."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from agent.errors import TranscriptError, UsageError
from agent.record.directory import Directory
from agent.record.outline import modified_s
from agent.record.removal import remove_run
from agent.record.transcript import holds_run
from agent.server.settings import ServerSettings
from agent.server.state.contents import FOLDER
from agent.server.state.database import Value
from agent.server.state.state import State

GRACE_S = 3_600
"""What is younger is never deleted for its age or for room: a request may be at work on it."""
OWN = ("file_", "cfile_")
"""How the folders of contents begin."""
STEPS = 20
"""Room is made in so many steps, so that little more than is needed is deleted."""

_KEPT = """
WITH RECURSIVE kept (id) AS (
    SELECT id FROM responses WHERE created_at >= ? OR status IN ('in_progress', 'queued')
    UNION SELECT r.previous_id FROM responses r JOIN kept ON r.id = kept.id WHERE r.previous_id IS NOT NULL
)
"""
"""A response stays as long as one that goes on from it."""


@dataclass(frozen=True)
class Removed:
    """How much was deleted."""

    responses: int = 0
    conversations: int = 0
    containers: int = 0
    files: int = 0
    runs: int = 0

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def cleaned(settings: ServerSettings, busy: Callable[[], Collection[str]] = tuple) -> Removed:
    """Delete what is older than the settings allow, and then the oldest beyond the room that they give."""
    with State(settings.state_directory) as state:
        state.database.checkpoint()
        retention = Retention(state, busy)
        removed = retention.remove_before(int(time.time() - settings.keep_s))
        return removed + retention.shrink_to(settings.max_state_bytes)


class Retention:
    """Cleans a state directory. It takes its time, so a server calls it in a thread, with a State of its own."""

    def __init__(self, state: State, busy: Callable[[], Collection[str]] = tuple) -> None:
        """`busy` has the ids of containers and the names of run directories that are in use now.

        Another process cannot know those of a server: what was active within its own time is in use, and so is a run
        that is being written.
        """
        self._state = state
        self._database = state.database
        self._busy = busy

    def remove_before(self, cutoff: int, now: int | None = None) -> Removed:
        """Delete what was made, or used last, before a time."""
        now = int(time.time()) if now is None else now
        cutoff = min(cutoff, now - GRACE_S)
        removed = Removed(
            responses=self._responses(cutoff),
            conversations=self._delete("conversations", "last_active_at < ?", cutoff),
            containers=self._containers(cutoff, now),
            files=self._delete("files", "created_at < ?", cutoff),
        )
        self._contents(now - GRACE_S)
        return removed + Removed(runs=self._runs(cutoff))

    def shrink_to(self, max_bytes: int, now: int | None = None) -> Removed:
        """Delete the oldest until the state takes no more room than this, or nothing is left that may go."""
        now = int(time.time()) if now is None else now
        removed = Removed()
        if self.used_bytes() <= max_bytes:
            return removed
        times = sorted(self._times())
        for number in range(1, STEPS + 1):
            if not times or self.used_bytes() <= max_bytes:
                break
            removed += self.remove_before(times[(len(times) * number - 1) // STEPS] + 1, now)
        self._database.give_back()
        return removed

    def used_bytes(self) -> int:
        """The room that the rows, the files and the run directories take."""
        return self._database.used_bytes() + sum(
            status.st_size
            for folder in (self._state.runs, self._state.directory / FOLDER)
            for _, status in Directory(folder.parent).walk(folder.name)
        )

    # --- rows

    def _responses(self, cutoff: int) -> int:
        old = self._database.all(f"{_KEPT} SELECT id FROM responses WHERE id NOT IN (SELECT id FROM kept)", cutoff)
        return sum(self._delete("responses", "id = ?", row["id"]) for row in old)

    def _containers(self, cutoff: int, now: int) -> int:
        old = self._database.all(
            "SELECT id, run FROM containers WHERE last_active_at < ?"
            " AND (status != 'running' OR last_active_at + idle_minutes * 60 < ?)",
            cutoff,
            now,
        )
        busy = self._busy()
        return sum(
            self._delete("containers", "id = ? AND last_active_at < ?", row["id"], cutoff)
            for row in old
            if row["id"] not in busy and row["run"] not in busy
        )

    def _delete(self, table: str, condition: str, *values: Value) -> int:
        return self._database.run(f"DELETE FROM {table} WHERE {condition}", *values)

    # --- what lies beside them

    def _contents(self, cutoff: int) -> None:
        """Remove contents that no file has, and folders that no content is in, such as after a crash."""
        self._delete(
            "contents",
            "created_at < ? AND place NOT IN (SELECT place FROM files)"
            " AND place NOT IN (SELECT place FROM container_files WHERE place IS NOT NULL)",
            cutoff,
        )
        kept = {row["place"].split("/")[1] for row in self._database.all("SELECT place FROM contents")}
        folder = Directory(self._state.directory)
        for name, status in folder.entries(FOLDER).items():
            if name.startswith(OWN) and name not in kept and status.st_mtime < cutoff:
                folder.remove_tree(f"{FOLDER}/{name}")

    def _runs(self, cutoff: int) -> int:
        """Remove runs that no row names."""
        busy = self._busy()
        count = 0
        for run, modified in self._all_runs():
            if modified < cutoff and run.name not in busy and not self._is_named(run.name):
                with suppress(UsageError, TranscriptError):  # it is being written
                    remove_run(run)
                    count += 1
        return count

    def _is_named(self, run: str) -> bool:
        return any(
            self._database.one(f"SELECT 1 FROM {table} WHERE run = ? LIMIT 1", run)
            for table in ("responses", "containers")
        )

    def _all_runs(self) -> Iterator[tuple[Path, float]]:
        for name in Directory(self._state.runs).entries():
            run = self._state.runs / name
            with suppress(OSError):
                if holds_run(run):
                    yield run, modified_s(run)

    def _times(self) -> Iterator[int]:
        """When each thing was made or used last."""
        for table, column in (
            ("responses", "created_at"),
            ("conversations", "last_active_at"),
            ("containers", "last_active_at"),
            ("files", "created_at"),
        ):
            yield from (row[0] for row in self._database.all(f"SELECT {column} FROM {table}"))
        yield from (int(modified) for _, modified in self._all_runs())
