"""Files that clients have uploaded, for any of their containers."""

from collections.abc import AsyncIterable
from dataclasses import asdict, dataclass

from agent.server.ids import NewId
from agent.server.state.contents import Contents, safe_name
from agent.server.state.database import Database, Row, Value
from agent.server.state.paging import NEWEST, Page, PageQuery, page


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file."""

    id: str
    owner_id: str
    filename: str
    purpose: str
    bytes: int
    created_at: int
    sha256: str
    place: str
    """Where its content lies, relative to the state directory."""


class Files:
    """The uploaded files of all owners."""

    def __init__(self, database: Database, contents: Contents, new_id: NewId) -> None:
        self._database = database
        self._contents = contents
        self._new_id = new_id

    async def save(
        self, owner_id: str, filename: str, purpose: str, pieces: AsyncIterable[bytes], now: int
    ) -> StoredFile:
        """Write a file. Raises Fault if it is too long."""
        file_id, name = self._new_id("file"), safe_name(filename)
        content = await self._contents.put(file_id, name, pieces, now)
        file = StoredFile(file_id, owner_id, name, purpose, content.bytes, now, content.sha256, content.place)
        values = asdict(file)
        self._database.run(
            f"INSERT INTO files ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", *values.values()
        )
        return file

    def get(self, owner_id: str, file_id: str) -> StoredFile | None:
        """A file of this owner; None if there is none of this id."""
        row = self._database.one("SELECT * FROM files WHERE id = ? AND owner_id = ?", file_id, owner_id)
        return _read(row) if row else None

    def listed(self, owner_id: str, query: PageQuery = NEWEST, *, purpose: str | None = None) -> Page[StoredFile]:
        """The files of an owner, all or those for one purpose."""
        where: dict[str, Value] = {"owner_id": owner_id}
        if purpose is not None:
            where["purpose"] = purpose
        return page(self._database, "files", where, query, _read)

    def delete(self, owner_id: str, file_id: str) -> bool:
        """Forget a file. False if this owner has none of this id. Its content stays as long as a container has it."""
        file = self.get(owner_id, file_id)
        if file is None:
            return False
        self._database.run("DELETE FROM files WHERE id = ?", file_id)
        self._contents.drop(file.place)
        return True


def _read(row: Row) -> StoredFile:
    return StoredFile(**{name: row[name] for name in StoredFile.__dataclass_fields__})
