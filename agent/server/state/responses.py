"""Responses: what was answered, and what it was asked."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.server.ids import MAX_CHARS
from agent.server.state.database import Database, Row, Value
from agent.server.state.paging import NEWEST, Page, PageQuery, page

Item = dict[str, Any]
UNFINISHED = ("in_progress", "queued")
_COMPRESSION = 1  # JSON that repeats itself is a twentieth of its size at any level, and this is the quickest


@dataclass(frozen=True)
class StoredResponse:
    """A response as it was last told to the client, with all that is needed to go on from it."""

    id: str
    owner_id: str
    created_at: int
    status: str
    body: Mapping[str, Any]
    """The response object."""
    input: Sequence[Item] = ()
    """The items that it was asked, each with an id."""
    previous_id: str | None = None
    conversation_id: str | None = None
    container_id: str | None = None
    run: str | None = None
    """The name of its run directory."""
    history_sha256: str | None = None
    is_background: bool = False


class Responses:
    """The responses of all owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner_id: str, response_id: str) -> StoredResponse | None:
        """A response of this owner; None if there is none of this id."""
        row = self._database.one("SELECT * FROM responses WHERE id = ? AND owner_id = ?", response_id, owner_id)
        return _read(row) if row else None

    def insert(self, response: StoredResponse) -> None:
        """Keep a new response."""
        values = _values(response)
        with self._database.transaction():
            self._database.run(
                f"INSERT INTO responses ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                *values.values(),
            )
            self._index(response.id, response.input, is_output=False)
            self._index(response.id, _output(response), is_output=True)

    def update(self, response: StoredResponse) -> bool:
        """Keep what has come of a response so far; what it was asked stays. False if it was deleted meanwhile."""
        with self._database.transaction():
            count = self._database.run(
                "UPDATE responses SET status = ?, body = ?, run = ?, history_sha256 = ? WHERE id = ? AND owner_id = ?",
                response.status,
                json.dumps(response.body),
                response.run,
                response.history_sha256,
                response.id,
                response.owner_id,
            )
            if count:
                self._index(response.id, _output(response), is_output=True)
        return count > 0

    def delete(self, owner_id: str, response_id: str) -> bool:
        """Forget a response. False if this owner has none of this id."""
        return self._database.run("DELETE FROM responses WHERE id = ? AND owner_id = ?", response_id, owner_id) > 0

    def listed(self, owner_id: str, query: PageQuery = NEWEST) -> Page[StoredResponse]:
        """The responses of an owner."""
        return page(self._database, "responses", {"owner_id": owner_id}, query, _read)

    def item(self, owner_id: str, item_id: str) -> tuple[Item, str] | None:
        """An item of an owner's response, put out or else put in, and the id of the response."""
        row = self._database.one(
            "SELECT r.* FROM response_items i JOIN responses r ON r.id = i.response_id"
            " WHERE i.item_id = ? AND r.owner_id = ? ORDER BY i.is_output DESC, r.number LIMIT 1",
            item_id,
            owner_id,
        )
        if row is None:
            return None
        response = _read(row)
        items = filter(_has_id, (*_output(response), *response.input))
        return next((item, response.id) for item in items if item["id"] == item_id)

    def history_sha256(self, owner_id: str, response_id: str) -> str | None:
        """The hash of the history after a response; None if there is none."""
        row = self._database.one(
            "SELECT history_sha256 FROM responses WHERE id = ? AND owner_id = ?", response_id, owner_id
        )
        return row["history_sha256"] if row else None

    def keep_events(self, owner_id: str, response_id: str, packed_events: bytes) -> None:
        """Keep the bytes of a response's whole stream, `packed`."""
        self._database.run(
            "UPDATE responses SET events = ? WHERE id = ? AND owner_id = ?", packed_events, response_id, owner_id
        )

    def events(self, owner_id: str, response_id: str) -> bytes | None:
        """The bytes of a response's stream, still `packed`; None if they are not kept."""
        row = self._database.one("SELECT events FROM responses WHERE id = ? AND owner_id = ?", response_id, owner_id)
        return row["events"] if row else None

    def fail_unfinished(self, reason: str, code: str = "server_error") -> int:
        """Let each response fail that an earlier server has not finished. Returns how many there were."""
        rows = self._database.all("SELECT number, body FROM responses WHERE status IN (?, ?)", *UNFINISHED)
        with self._database.transaction():
            for row in rows:
                body = {**json.loads(row["body"]), "status": "failed", "error": {"code": code, "message": reason}}
                self._database.run(
                    "UPDATE responses SET status = 'failed', body = ? WHERE number = ?",
                    json.dumps(body),
                    row["number"],
                )
        return len(rows)

    def _index(self, response_id: str, items: Sequence[Item], *, is_output: bool) -> None:
        for item in filter(_has_id, items):
            self._database.run(
                "INSERT OR REPLACE INTO response_items VALUES (?, ?, ?)", item["id"], response_id, int(is_output)
            )


def packed(events: bytes) -> bytes:
    """The bytes of a stream, compressed. It takes some milliseconds for 1 MB: a long stream is packed in a thread."""
    return gzip.compress(events, _COMPRESSION, mtime=0)


def unpacked(events: bytes) -> bytes:
    """What `packed` has compressed."""
    return gzip.decompress(events)


def _output(response: StoredResponse) -> Sequence[Item]:
    return response.body.get("output") or ()


def _has_id(item: Item) -> bool:
    """Whether an item has an id by which it can be found."""
    return isinstance(item_id := item.get("id"), str) and 0 < len(item_id) <= MAX_CHARS


def _values(response: StoredResponse) -> dict[str, Value]:
    return {
        **{name: value for name, value in vars(response).items() if name not in ("body", "input", "is_background")},
        "body": json.dumps(response.body),
        "input": json.dumps(list(response.input)),
        "is_background": int(response.is_background),
    }


def _read(row: Row) -> StoredResponse:
    values = {name: row[name] for name in StoredResponse.__dataclass_fields__}
    return StoredResponse(
        **values
        | {
            "body": json.loads(row["body"]),
            "input": json.loads(row["input"]),
            "is_background": bool(row["is_background"]),
        }
    )
