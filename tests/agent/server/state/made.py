"""Values for tests of the state."""

from collections.abc import AsyncIterator
from typing import Any

from agent.server.state.containers import ContainerFile, StoredContainer
from agent.server.state.conversations import StoredConversation
from agent.server.state.responses import StoredResponse

OWN, FOREIGN = "key_1", "key_2"
NOW = 1_800_000_000


def response(response_id: str = "resp_1", owner_id: str = OWN, **values: Any) -> StoredResponse:
    """A response that was answered with the text of its id."""
    defaults = {
        "created_at": NOW,
        "status": "completed",
        "body": {"id": response_id, "output": [{"id": f"msg_of_{response_id}", "type": "message"}]},
        "input": [{"id": f"msg_to_{response_id}", "role": "user", "content": "How many?"}],
    }
    return StoredResponse(id=response_id, owner_id=owner_id, **{**defaults, **values})


def conversation(conversation_id: str = "conv_1", owner_id: str = OWN, at: int = NOW) -> StoredConversation:
    """A conversation about nothing."""
    return StoredConversation(conversation_id, owner_id, at, at, {"topic": "none"})


def container(container_id: str = "cntr_1", owner_id: str = OWN, **values: Any) -> StoredContainer:
    """A container that is in use until 20 minutes from now."""
    defaults = {"name": "sums", "created_at": NOW, "last_active_at": NOW, "idle_minutes": 20}
    return StoredContainer(id=container_id, owner_id=owner_id, **{**defaults, **values})


def container_file(cfile_id: str = "cfile_1", container_id: str = "cntr_1", **values: Any) -> ContainerFile:
    """A file that code has written."""
    defaults = {"path": "plot.png", "bytes": 3, "created_at": NOW, "source": "assistant"}
    return ContainerFile(id=cfile_id, container_id=container_id, **{**defaults, **values})


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """A body that comes in pieces."""
    for piece in data:
        yield piece
