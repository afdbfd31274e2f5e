"""The paths of conversations and their items."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.server.faults import bad_request, not_found
from agent.server.responses.asking import Clock
from agent.server.responses.items import Item, read_items
from agent.server.state.conversations import StoredConversation
from agent.server.state.state import State
from agent.server.wire.asked import listed, owner_of, page_query
from agent.server.wire.body import json_object

MAX_METADATA = 16
MAX_NEW_ITEMS = 20


class ConversationRoutes:
    """Answers the requests under `/conversations`."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def routes(self, prefix: str) -> list[Route]:
        """The routes under a prefix."""
        path = f"{prefix}/conversations"
        items = f"{path}/{{id}}/items"
        return [
            Route(path, self._create, methods=["POST"]),
            Route(f"{path}/{{id}}", self._retrieve, methods=["GET"]),
            Route(f"{path}/{{id}}", self._update, methods=["POST"]),
            Route(f"{path}/{{id}}", self._delete, methods=["DELETE"]),
            Route(items, self._add_items, methods=["POST"]),
            Route(items, self._list_items, methods=["GET"]),
            Route(f"{items}/{{item_id}}", self._retrieve_item, methods=["GET"]),
            Route(f"{items}/{{item_id}}", self._delete_item, methods=["DELETE"]),
        ]

    async def _create(self, request: Request) -> Response:
        body, owner, now = await json_object(request), owner_of(request), self._clock()
        items, metadata = self._new_items(body.get("items") or []), _metadata(body)
        conversation = StoredConversation(self._state.new_id("conv"), owner.id, now, now, metadata)
        self._state.conversations.insert(conversation)
        self._state.conversations.append(owner.id, conversation.id, items, now)
        return JSONResponse(conversation_body(conversation))

    async def _retrieve(self, request: Request) -> Response:
        return JSONResponse(conversation_body(self._named(request)))

    async def _update(self, request: Request) -> Response:
        found = self._named(request)
        self._state.conversations.set_metadata(found.owner_id, found.id, _metadata(await json_object(request)))
        return JSONResponse(conversation_body(self._named(request)))

    async def _delete(self, request: Request) -> Response:
        found = self._named(request)
        self._state.conversations.delete(found.owner_id, found.id)
        return JSONResponse({"id": found.id, "object": "conversation.deleted", "deleted": True})

    async def _add_items(self, request: Request) -> Response:
        found = self._named(request)
        items = self._new_items((await json_object(request)).get("items"))
        self._state.conversations.append(found.owner_id, found.id, items, self._clock())
        return JSONResponse(listed(items, has_more=False))

    async def _list_items(self, request: Request) -> Response:
        found = self._named(request)
        page = self._state.conversations.items(found.owner_id, found.id, page_query(request))
        return JSONResponse(listed(list(page.items), has_more=page.has_more))

    async def _retrieve_item(self, request: Request) -> Response:
        found, item_id = self._named(request), request.path_params["item_id"]
        item = self._state.conversations.item(found.owner_id, found.id, item_id)
        if item is None:
            raise not_found(f"There is no item {item_id[:100]!r} in this conversation.", "item_id")
        return JSONResponse(item)

    async def _delete_item(self, request: Request) -> Response:
        found, item_id = self._named(request), request.path_params["item_id"]
        if not self._state.conversations.delete_item(found.owner_id, found.id, item_id):
            raise not_found(f"There is no item {item_id[:100]!r} in this conversation.", "item_id")
        return JSONResponse(conversation_body(found))

    def _named(self, request: Request) -> StoredConversation:
        conversation_id = request.path_params["id"]
        found = self._state.conversations.get(owner_of(request).id, conversation_id)
        if found is None:
            raise not_found(f"There is no conversation {conversation_id[:100]!r}.", "conversation_id")
        return found

    def _new_items(self, given: object) -> list[Item]:
        if (
            not isinstance(given, list)
            or len(given) > MAX_NEW_ITEMS
            or not all(isinstance(each, dict) for each in given)
        ):
            raise bad_request(f"items must be a list of at most {MAX_NEW_ITEMS} items.", "items")
        return [{**item, "id": self._state.new_id("msg")} for item in read_items(given)]


def _metadata(body: Mapping[str, Any]) -> dict[str, str]:
    given = body.get("metadata") or {}
    if (
        not isinstance(given, dict)
        or len(given) > MAX_METADATA
        or not all(isinstance(value, str) for value in given.values())
    ):
        raise bad_request(f"metadata must be an object of at most {MAX_METADATA} texts.", "metadata")
    return given


def conversation_body(conversation: StoredConversation) -> dict[str, Any]:
    """A conversation as an object."""
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": conversation.created_at,
        "metadata": dict(conversation.metadata),
    }
