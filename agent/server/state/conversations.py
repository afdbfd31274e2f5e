"""Conversations: items in order, to which responses add theirs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.server.state.database import Database, Row
from agent.server.state.paging import NEWEST, Page, PageQuery, page

Item = dict[str, Any]


@dataclass(frozen=True)
class StoredConversation:
    """A conversation without its items."""

    id: str
    owner_id: str
    created_at: int
    last_active_at: int
    metadata: Mapping[str, str]


class Conversations:
    """The conversations of all owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner_id: str, conversation_id: str) -> StoredConversation | None:
        """A conversation of this owner; None if there is none of this id."""
        row = self._database.one("SELECT * FROM conversations WHERE id = ? AND owner_id = ?", conversation_id, owner_id)
        return _read(row) if row else None

    def insert(self, conversation: StoredConversation) -> None:
        """Keep a new conversation."""
        self._database.run(
            "INSERT INTO conversations (id, owner_id, created_at, last_active_at, metadata) VALUES (?, ?, ?, ?, ?)",
            conversation.id,
            conversation.owner_id,
            conversation.created_at,
            conversation.last_active_at,
            json.dumps(conversation.metadata),
        )

    def set_metadata(self, owner_id: str, conversation_id: str, metadata: Mapping[str, str]) -> bool:
        """Replace the metadata. False if this owner has no such conversation."""
        count = self._database.run(
            "UPDATE conversations SET metadata = ? WHERE id = ? AND owner_id = ?",
            json.dumps(metadata),
            conversation_id,
            owner_id,
        )
        return count > 0

    def delete(self, owner_id: str, conversation_id: str) -> bool:
        """Forget a conversation and its items. False if this owner has no such conversation."""
        count = self._database.run("DELETE FROM conversations WHERE id = ? AND owner_id = ?", conversation_id, owner_id)
        return count > 0

    def append(self, owner_id: str, conversation_id: str, items: Sequence[Item], now: int) -> bool:
        """Add items at the end. Each has an id; one that is there already stays as it is.

        False if this owner has no such conversation.
        """
        with self._database.transaction():
            count = self._database.run(
                "UPDATE conversations SET last_active_at = ? WHERE id = ? AND owner_id = ?",
                now,
                conversation_id,
                owner_id,
            )
            for item in items if count else ():
                self._database.run(
                    "INSERT OR IGNORE INTO conversation_items (id, conversation_id, item) VALUES (?, ?, ?)",
                    item["id"],
                    conversation_id,
                    json.dumps(item),
                )
        return count > 0

    def items(self, owner_id: str, conversation_id: str, query: PageQuery = NEWEST) -> Page[Item]:
        """The items of a conversation; none if it is not this owner's."""
        if self.get(owner_id, conversation_id) is None:
            return Page((), has_more=False)
        where = {"conversation_id": conversation_id}
        return page(self._database, "conversation_items", where, query, _read_item)

    def all_items(self, owner_id: str, conversation_id: str) -> list[Item]:
        """All items of a conversation in their order."""
        rows = self._database.all(
            f"SELECT i.item {_OWN} WHERE c.id = ? AND c.owner_id = ? ORDER BY i.number", conversation_id, owner_id
        )
        return list(map(_read_item, rows))

    def item(self, owner_id: str, conversation_id: str, item_id: str) -> Item | None:
        """One item of a conversation."""
        row = self._database.one(
            f"SELECT i.item {_OWN} WHERE c.id = ? AND c.owner_id = ? AND i.id = ?", conversation_id, owner_id, item_id
        )
        return _read_item(row) if row else None

    def delete_item(self, owner_id: str, conversation_id: str, item_id: str) -> bool:
        """Take an item out. False if there is none."""
        count = self._database.run(
            f"DELETE FROM conversation_items WHERE number IN"
            f" (SELECT i.number {_OWN} WHERE c.id = ? AND c.owner_id = ? AND i.id = ?)",
            conversation_id,
            owner_id,
            item_id,
        )
        return count > 0


_OWN = "FROM conversation_items i JOIN conversations c ON c.id = i.conversation_id"


def _read(row: Row) -> StoredConversation:
    return StoredConversation(
        row["id"], row["owner_id"], row["created_at"], row["last_active_at"], json.loads(row["metadata"])
    )


def _read_item(row: Row) -> Item:
    item: Item = json.loads(row["item"])
    return item
