"""The container of a response: which one it is, the files that go into it, and what an answer leaves there."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agent.record.events import FileRecord
from agent.runtime import Runtime
from agent.server.faults import bad_request, not_found
from agent.server.owner import Owner
from agent.server.responses.asking import Asking, Clock
from agent.server.responses.attached import attached_in, file_parts
from agent.server.responses.items import Item
from agent.server.responses.request import ContainerWish
from agent.server.responses.speech import Citation
from agent.server.state.containers import ContainerFile, StoredContainer
from agent.server.state.state import State
from agent.server.work.sandboxes import Home

MEMORY_LIMITS = {"1g": 1 << 30, "4g": 4 << 30, "16g": 16 << 30, "64g": 64 << 30}
AUTO_NAME = "auto"


class ContainerRoom:
    """The containers of a server, as responses use them."""

    def __init__(self, state: State, runtime: Runtime, clock: Clock, *, idle_minutes: int) -> None:
        self._state = state
        self._runtime = runtime
        self._clock = clock
        self._idle_minutes = idle_minutes

    def chosen(self, wish: ContainerWish, asking: Asking, owner: Owner) -> StoredContainer:
        """The container that is named, or that earlier calls ran in, or else a new one. Raises Fault."""
        if wish.id is not None:
            return self.named(wish.id, owner)
        check_memory(wish.memory_limit, self._runtime)
        for name in asking.container_ids():
            found = self._state.containers.get(owner.id, name)
            if found is not None and found.status != "deleted":
                return found
        return self.made(owner, AUTO_NAME, memory_limit=wish.memory_limit)

    def named(self, container_id: str, owner: Owner, param: str = "tools[0].container") -> StoredContainer:
        """The owner's container of this id. Raises Fault."""
        found = self._state.containers.get(owner.id, container_id)
        if found is None or found.status == "deleted":
            raise not_found(f"Container with id {container_id[:100]!r} not found.", param)
        return found

    def made(
        self, owner: Owner, name: str, *, memory_limit: str | None = None, idle_minutes: int | None = None
    ) -> StoredContainer:
        """A new container. Its sandbox starts with the first question. Raises Fault for too much memory."""
        check_memory(memory_limit, self._runtime)
        now, container_id = self._clock(), self._state.new_id("cntr")
        container = StoredContainer(
            id=container_id,
            owner_id=owner.id,
            name=name,
            created_at=now,
            last_active_at=now,
            idle_minutes=min(idle_minutes or self._idle_minutes, self._idle_minutes),
            memory_limit=memory_limit,
            run=container_id,
        )
        self._state.containers.insert(container)
        return container

    def home(self, container: StoredContainer, owner: Owner) -> Home:
        """What its sandbox is opened from."""
        runtime = self._runtime
        if container.memory_limit is not None:
            memory_bytes = min(MEMORY_LIMITS[container.memory_limit], runtime.policy.memory_bytes)
            runtime = replace(runtime, policy=runtime.policy.model_copy(update={"memory_bytes": memory_bytes}))
        directory = self._state.runs / (container.run or container.id)
        return Home(container.id, owner, directory, runtime)

    async def bring_files(self, container: StoredContainer, wish: ContainerWish, asking: Asking, owner: Owner) -> None:
        """Note that the files which a request names or has belong into the container. Raises Fault for an unknown one.

        A file that only earlier messages name may be deleted by now: the conversation goes on without it. One whose
        bytes are in an earlier message is there already, and may have changed since.
        """
        files = self._state.containers.all_files(owner.id, container.id)
        there, names = {file.file_id for file in files}, {file.path for file in files}
        question = asking.spoken[-1:]
        earlier = [file for file in attached_in(asking.spoken[:-1]) if file.name not in names]
        for file in (*earlier, *attached_in(question)):
            await self.save(container, owner, file.name, _whole(file.data))
        asked = (*wish.file_ids, *_named_files(question))
        for file_id in dict.fromkeys((*asked, *_named_files(asking.items))):
            is_known = file_id in asked or self._state.files.get(owner.id, file_id) is not None
            if file_id not in there and is_known:
                self.add_file(container, file_id, owner)

    def add_file(self, container: StoredContainer, file_id: str, owner: Owner) -> ContainerFile:
        """Note that an uploaded file belongs into the container: it gets there with the next question."""
        stored = self._state.files.get(owner.id, file_id)
        if stored is None:
            raise not_found(f"There is no file {file_id[:100]!r}.", "file_ids")
        kept = self._state.containers.put_file(
            owner.id,
            ContainerFile(
                id=self._state.new_id("cfile"),
                container_id=container.id,
                path=stored.filename,
                bytes=stored.bytes,
                created_at=self._clock(),
                source="user",
                file_id=file_id,
                is_pending=True,
                place=stored.place,
            ),
        )
        assert kept is not None
        return kept

    async def save(
        self, container: StoredContainer, owner: Owner, name: str, pieces: AsyncIterable[bytes]
    ) -> ContainerFile:
        """Keep a file that a client sends: it gets into the sandbox with the next question. Raises Fault."""
        file_id = self._state.new_id("cfile")
        content = await self._state.contents.put(file_id, name, pieces, self._clock())
        kept = self._state.containers.put_file(
            owner.id,
            ContainerFile(
                id=file_id,
                container_id=container.id,
                path=name,
                bytes=content.bytes,
                created_at=self._clock(),
                source="user",
                is_pending=True,
                place=content.place,
            ),
        )
        assert kept is not None
        return kept

    def pending(self, container: StoredContainer, owner: Owner) -> list[ContainerFile]:
        """The files that are not in the sandbox yet."""
        return [file for file in self._state.containers.all_files(owner.id, container.id) if file.is_pending]

    def sent(self, container: StoredContainer, owner: Owner) -> list[ContainerFile]:
        """The files that clients have sent, also those that were in the sandbox."""
        return [file for file in self._state.containers.all_files(owner.id, container.id) if file.place is not None]

    def path(self, file: ContainerFile) -> Path:
        """Where the content of a file lies that a client has uploaded. Raises Fault if it is lost."""
        assert file.place is not None
        path = self._state.contents.path(file.place)
        if not path.is_file():
            raise not_found(
                f"The content of {file.path!r} is no longer there: delete file {file.id!r} from the container.",
                "file_id",
            )
        return path

    def note_put(self, files: Sequence[ContainerFile], owner: Owner) -> None:
        """The files are in the sandbox now."""
        for file in files:
            self._state.containers.put_file(owner.id, replace(file, is_pending=False))

    def note_answer(
        self, container: StoredContainer, owner: Owner, artifacts: Sequence[FileRecord], response_id: str
    ) -> list[Citation]:
        """Note what an answer has left, and that it was the last one. Returns its files for the answer to cite."""
        now = self._clock()
        citations: list[Citation] = []
        for artifact in artifacts:
            kept = self._state.containers.put_file(
                owner.id,
                ContainerFile(
                    id=self._state.new_id("cfile"),
                    container_id=container.id,
                    path=artifact.name,
                    bytes=artifact.size_bytes,
                    created_at=now,
                    source="assistant",
                ),
            )
            if kept is not None:
                citations.append(Citation(container.id, kept.id, artifact.name))
        current = self._state.containers.get(owner.id, container.id)
        if current is not None and current.status != "deleted":
            self._state.containers.update(
                replace(current, last_active_at=now, status="running", head_response=response_id)
            )
        return citations


def check_memory(asked: str | None, runtime: Runtime) -> None:
    """Raises Fault if a sandbox cannot have so much memory."""
    if asked is None:
        return
    if asked not in MEMORY_LIMITS:
        raise bad_request(
            f"memory_limit must be one of {', '.join(MEMORY_LIMITS)}, and is {asked!r:.50}.", "memory_limit"
        )
    allowed = runtime.policy.memory_bytes
    if MEMORY_LIMITS[asked] > allowed and asked != "1g":
        raise bad_request(
            f"memory_limit {asked} is more than the {allowed >> 20} MiB that this server gives a sandbox.",
            "memory_limit",
        )


def _named_files(items: Iterable[Item]) -> Iterator[str]:
    """The uploaded files that messages name."""
    return (name for part in file_parts(items) if isinstance(name := part.get("file_id"), str))


async def _whole(data: bytes) -> AsyncGenerator[bytes]:
    yield data
