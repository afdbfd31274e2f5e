"""The sessions of LibreChat: their files, and which of them a cell runs in."""

import secrets
from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from agent.record.events import FileRecord
from agent.server.faults import not_found
from agent.server.librechat.request import ExecRequest, is_id
from agent.server.responses.asking import Clock
from agent.server.state.containers import ContainerFile, Source, StoredContainer
from agent.server.state.contents import safe_name
from agent.server.state.paging import PageQuery
from agent.server.state.state import RUNS, State

ID_CHARS = 21
UPLOADED = "uploaded"
"""The name of a session that only holds files so far. All others are named after the user and the agent."""
_NEWEST = PageQuery(limit=1)


def new_id() -> str:
    """An id as LibreChat wants it. Nobody can guess one."""
    return secrets.token_urlsafe(ID_CHARS)[:ID_CHARS]


class Sessions:
    """Finds and makes sessions, and keeps their files."""

    def __init__(self, state: State, clock: Clock, *, idle_minutes: int) -> None:
        self._state = state
        self._clock = clock
        self._idle_minutes = idle_minutes

    def made(self, owner_id: str, name: str) -> StoredContainer:
        """A new session."""
        now = self._clock()
        session = StoredContainer(new_id(), owner_id, name, now, now, self._idle_minutes)
        self._state.containers.insert(session)
        return session

    def get(self, owner_id: str, session_id: str) -> StoredContainer | None:
        """A session; None if there is none of this id."""
        return self._state.containers.get(owner_id, session_id) if is_id(session_id) else None

    def to_run_in(self, owner_id: str, asked: ExecRequest, user: str) -> StoredContainer:
        """The session of a cell: the one it names, or that of its files, or that of its agent, if it is the user's.

        A session that only holds files becomes the user's when it is named. Users never share one.
        """
        name = f"{user}/{asked.entity_id or ''}"
        named = self.get(owner_id, asked.session_id or "")
        if named is not None and named.name in (name, UPLOADED):
            return replace(named, name=name)
        of_files = (self.get(owner_id, ref.session_id) for ref in asked.files)
        found = next((each for each in of_files if each is not None and each.name == name), None)
        if found is None and asked.entity_id:
            found = next(iter(self._state.containers.listed(owner_id, _NEWEST, name=name).items), None)
        return found or self.made(owner_id, name)

    def note_use(self, session: StoredContainer, run: str | None) -> None:
        """The session is in use, with this run directory."""
        self._state.containers.update(replace(session, status="running", last_active_at=self._clock(), run=run))

    # --- files

    def files(self, owner_id: str, session_id: str) -> list[ContainerFile]:
        """All files of a session; none if there is no such session."""
        return self._state.containers.all_files(owner_id, session_id) if is_id(session_id) else []

    def file(self, owner_id: str, session_id: str, file_id: str) -> ContainerFile:
        """A file. Raises Fault."""
        known = is_id(session_id) and is_id(file_id)
        found = self._state.containers.file(owner_id, session_id, file_id) if known else None
        if found is None:
            raise not_found(f"There is no file {file_id[:60]!r} in session {session_id[:60]!r}.", "file_id")
        return found

    def path(self, file: ContainerFile) -> Path:
        """Where its bytes lie, if they are still there."""
        assert file.place is not None
        return self._state.contents.path(file.place)

    def delete_file(self, owner_id: str, file: ContainerFile) -> None:
        """Forget a file."""
        self._state.containers.delete_file(owner_id, file.container_id, file.id)

    async def save(
        self, session: StoredContainer, name: str, pieces: AsyncIterable[bytes], source: Source = "user"
    ) -> ContainerFile:
        """Keep the bytes of a file: one of the user's waits for the next cell. Raises Fault if they are too many."""
        name = safe_name(name)
        content = await self._state.contents.put(self._state.new_id("cfile"), name, pieces, self._clock())
        return self._put(session, name, content.bytes, source, content.place)

    def link(self, session: StoredContainer, asked: ExecRequest) -> list[str]:
        """Let the session have the files that a cell names. Returns the names of those that are no longer there.

        LibreChat names a file with each cell: one that came before, and was changed since, stays as it is.
        """
        missing = []
        there = {source for file in self.files(session.owner_id, session.id) for source in (file.id, file.file_id)}
        for ref in asked.files:
            found = self._state.containers.file(session.owner_id, ref.session_id, ref.id)
            if found is None or found.place is None or not self.path(found).is_file():
                missing.append(safe_name(ref.name or ref.id))
            elif found.id not in there:
                name = safe_name(found.path)
                self._put(session, name, found.bytes, "user", found.place, original=found.id)
        return missing

    def to_put(self, session: StoredContainer, *, is_fresh: bool) -> list[ContainerFile]:
        """The files that are not in the sandbox yet: of a fresh one all, but for those that lay in folders."""
        return [
            file
            for file in self.files(session.owner_id, session.id)
            if (is_fresh or file.is_pending) and "/" not in file.path and self.path(file).is_file()
        ]

    def note_put(self, session: StoredContainer, files: Iterable[ContainerFile]) -> None:
        """The files are in the sandbox now."""
        for file in files:
            self._state.containers.put_file(session.owner_id, replace(file, is_pending=False))

    def note_made(
        self, session: StoredContainer, run: str, records: Sequence[FileRecord]
    ) -> list[tuple[ContainerFile, str | None]]:
        """Keep what a cell has made, each with the id of the user's file that it is a change of."""
        originals = {
            file.path: file.file_id or file.id
            for file in self.files(session.owner_id, session.id)
            if file.source == "user" or file.file_id
        }
        made = []
        for record in records:
            original, place = originals.get(record.name), f"{RUNS}/{run}/files/{record.name}"
            kept = self._put(session, record.name, record.size_bytes, "assistant", place, original=original)
            made.append((kept, original))
        return made

    def _put(
        self,
        session: StoredContainer,
        path: str,
        size_bytes: int,
        source: Source,
        place: str,
        *,
        original: str | None = None,
    ) -> ContainerFile:
        kept = self._state.containers.put_file(
            session.owner_id,
            ContainerFile(
                id=new_id(),
                container_id=session.id,
                path=path,
                bytes=size_bytes,
                created_at=self._clock(),
                source=source,
                file_id=original,
                is_pending=source == "user",
                place=place,
            ),
        )
        assert kept is not None
        return kept
