"""Containers: sandboxes as clients see them, and the files in them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from agent.server.state.contents import Contents
from agent.server.state.database import Database, Row, Value
from agent.server.state.paging import NEWEST, Page, PageQuery, page

Status = Literal["running", "expired", "deleted"]
Source = Literal["user", "assistant"]


@dataclass(frozen=True)
class StoredContainer:
    """A container. Its sandbox may be gone: its cells are run again when its conversation goes on."""

    id: str
    owner_id: str
    name: str
    created_at: int
    last_active_at: int
    idle_minutes: int
    """After so long without use it expires."""
    memory_limit: str | None = None
    status: Status = "running"
    run: str | None = None
    """The name of the run directory of its sandbox."""
    head_response: str | None = None
    """The response that was answered last."""


@dataclass(frozen=True)
class ContainerFile:
    """A file in a container."""

    id: str
    container_id: str
    path: str
    """Its name relative to the folder in which programs run."""
    bytes: int
    created_at: int
    source: Source
    file_id: str | None = None
    """The uploaded file that it is a copy of."""
    is_pending: bool = False
    """True if it is not in a sandbox yet."""
    place: str | None = None
    """Where its content lies, relative to the state directory."""


class Containers:
    """The containers of all owners."""

    def __init__(self, database: Database, contents: Contents) -> None:
        self._database = database
        self._contents = contents

    def get(self, owner_id: str, container_id: str) -> StoredContainer | None:
        """A container of this owner, also a deleted one; None if there is none of this id."""
        row = self._database.one("SELECT * FROM containers WHERE id = ? AND owner_id = ?", container_id, owner_id)
        return _read(row) if row else None

    def insert(self, container: StoredContainer) -> None:
        """Keep a new container."""
        _insert(self._database, "containers", asdict(container))

    def update(self, container: StoredContainer) -> bool:
        """Keep a container as it is now. False if this owner has no such container, or has deleted it."""
        return (
            self._database.run(
                "UPDATE containers SET name = ?, last_active_at = max(last_active_at, ?), idle_minutes = ?,"
                " memory_limit = ?, status = ?, run = ?, head_response = ?"
                " WHERE id = ? AND owner_id = ? AND status != 'deleted'",
                container.name,
                container.last_active_at,
                container.idle_minutes,
                container.memory_limit,
                container.status,
                container.run,
                container.head_response,
                container.id,
                container.owner_id,
            )
            > 0
        )

    def touch(self, owner_id: str, container_id: str, now: int) -> None:
        """Note that a container is used."""
        self._database.run(
            "UPDATE containers SET last_active_at = ? WHERE id = ? AND owner_id = ?", now, container_id, owner_id
        )

    def delete(self, owner_id: str, container_id: str) -> bool:
        """Forget the files of a container and mark it as deleted. False if this owner has none that is not yet."""
        count = self._database.run(
            "UPDATE containers SET status = 'deleted' WHERE id = ? AND owner_id = ? AND status != 'deleted'",
            container_id,
            owner_id,
        )
        for file in self.all_files(owner_id, container_id) if count else ():
            self._remove(file)
        return count > 0

    def listed(self, owner_id: str, query: PageQuery = NEWEST, *, name: str | None = None) -> Page[StoredContainer]:
        """The containers of an owner that are not deleted, all or those of one name."""
        where: dict[str, Value] = {"owner_id": owner_id} if name is None else {"owner_id": owner_id, "name": name}
        return page(self._database, _PRESENT, where, query, _read)

    def idle(self, now: int) -> list[StoredContainer]:
        """The running containers of all owners whose time without use is over."""
        rows = self._database.all(
            "SELECT * FROM containers WHERE status = 'running' AND last_active_at + idle_minutes * 60 <= ?", now
        )
        return list(map(_read, rows))

    def expire_running(self) -> int:
        """Mark all running containers as expired, when their sandboxes have ended with an earlier server."""
        return self._database.run("UPDATE containers SET status = 'expired' WHERE status = 'running'")

    # --- files

    def put_file(self, owner_id: str, file: ContainerFile) -> ContainerFile | None:
        """Keep a file. One of the same path is replaced, and its id goes on. Returns the file as it is kept.

        None if this owner has no such container.
        """
        if not self._is_own(owner_id, file.container_id):
            return None
        row = self._database.one(
            "SELECT * FROM container_files WHERE container_id = ? AND path = ?", file.container_id, file.path
        )
        kept = replace(file, id=row["id"]) if row else file
        with self._database.transaction():
            self._database.run("DELETE FROM container_files WHERE id = ? AND path = ?", kept.id, kept.path)
            self._forget_removed(kept.container_id, kept.path)
            _insert(self._database, "container_files", {**asdict(kept), "is_pending": int(kept.is_pending)})
        if row:
            self._contents.drop(row["place"])
        return kept

    def file(self, owner_id: str, container_id: str, file_id: str) -> ContainerFile | None:
        """A file in a container of this owner."""
        if not self._is_own(owner_id, container_id):
            return None
        row = self._database.one(
            "SELECT * FROM container_files WHERE id = ? AND container_id = ?", file_id, container_id
        )
        return _read_file(row) if row else None

    def files(self, owner_id: str, container_id: str, query: PageQuery = NEWEST) -> Page[ContainerFile]:
        """The files in a container; none if it is not this owner's."""
        if not self._is_own(owner_id, container_id):
            return Page((), has_more=False)
        return page(self._database, "container_files", {"container_id": container_id}, query, _read_file)

    def all_files(self, owner_id: str, container_id: str) -> list[ContainerFile]:
        """All files in a container, in the order in which they came."""
        if not self._is_own(owner_id, container_id):
            return []
        rows = self._database.all("SELECT * FROM container_files WHERE container_id = ? ORDER BY number", container_id)
        return list(map(_read_file, rows))

    def delete_file(self, owner_id: str, container_id: str, file_id: str) -> bool:
        """Forget a file, and note that its container's sandbox still has it, unless it is on its way there. False if
        there is none."""
        file = self.file(owner_id, container_id, file_id)
        if file is not None:
            self._remove(file)
        if file is not None and not file.is_pending:
            _insert(self._database, "removed_files", {"container_id": container_id, "path": file.path})
        return file is not None

    def removed(self, owner_id: str, container_id: str) -> list[str]:
        """The names of the files that were deleted, and that the sandbox still has."""
        if not self._is_own(owner_id, container_id):
            return []
        rows = self._database.all("SELECT path FROM removed_files WHERE container_id = ?", container_id)
        return [row["path"] for row in rows]

    def note_removed(self, owner_id: str, container_id: str, paths: Sequence[str]) -> None:
        """The sandbox has these files no longer."""
        for path in paths if self._is_own(owner_id, container_id) else ():
            self._forget_removed(container_id, path)

    def _forget_removed(self, container_id: str, path: str) -> None:
        self._database.run("DELETE FROM removed_files WHERE container_id = ? AND path = ?", container_id, path)

    def _remove(self, file: ContainerFile) -> None:
        self._database.run("DELETE FROM container_files WHERE id = ?", file.id)
        self._contents.drop(file.place)

    def _is_own(self, owner_id: str, container_id: str) -> bool:
        found = self._database.one("SELECT 1 FROM containers WHERE id = ? AND owner_id = ?", container_id, owner_id)
        return found is not None


_PRESENT = "(SELECT * FROM containers WHERE status != 'deleted')"


def _insert(database: Database, table: str, values: dict[str, Value]) -> None:
    database.run(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", *values.values())


def _read(row: Row) -> StoredContainer:
    return StoredContainer(**{name: row[name] for name in StoredContainer.__dataclass_fields__})


def _read_file(row: Row) -> ContainerFile:
    values = {name: row[name] for name in ContainerFile.__dataclass_fields__}
    return ContainerFile(**values | {"is_pending": bool(row["is_pending"])})
