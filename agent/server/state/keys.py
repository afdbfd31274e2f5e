"""The keys of those who may ask. Only their hashes are kept."""

import hashlib
import hmac
import re
import secrets
import shlex
from dataclasses import dataclass

from agent.errors import UsageError
from agent.server.ids import NewId
from agent.server.owner import Owner
from agent.server.state.database import Database, Row

PREFIX = "cb-"
RANDOM_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Key:
    """A key, without what opens the door."""

    id: str
    name: str
    created_at: int
    max_sessions: int | None = None
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None

    @property
    def owner(self) -> Owner:
        """Its holder."""
        return Owner(self.id, self.name, self.max_sessions, self.requests_per_minute, self.tokens_per_day)


class Keys:
    """All keys of a server. Another process may add and remove some at any time."""

    def __init__(self, database: Database, new_id: NewId) -> None:
        self._database = database
        self._new_id = new_id

    def add(
        self,
        name: str,
        now: int,
        *,
        max_sessions: int | None = None,
        requests_per_minute: int | None = None,
        tokens_per_day: int | None = None,
    ) -> tuple[Key, str]:
        """Make a key. Returns it and the secret, which is not kept. Raises UsageError."""
        if not NAME.fullmatch(name):
            raise UsageError(
                f"The name {name[:100]!r} does not fit a key: up to 64 letters, digits and . _ @ - fit.",
                hint="cellblock serve key add laptop",
            )
        if self._named(name):
            raise UsageError(f"There is a key {name!r} already.", hint=f"cellblock serve key rm {shlex.quote(name)}")
        key = Key(self._new_id("key"), name, now, max_sessions, requests_per_minute, tokens_per_day)
        secret = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        values = {**vars(key), "sha256": _hash(secret)}
        self._database.run(
            f"INSERT INTO keys ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", *values.values()
        )
        return key, secret

    def find(self, secret: str) -> Key | None:
        """The key that a secret belongs to.

        The time that it takes tells nothing of a secret: what is compared are hashes of what the client sends.
        """
        sha256 = _hash(secret)
        row = self._database.one("SELECT * FROM keys WHERE sha256 = ?", sha256)
        return _read(row) if row and hmac.compare_digest(row["sha256"], sha256) else None

    def all(self) -> list[Key]:
        """All keys, the oldest first."""
        return [_read(row) for row in self._database.all("SELECT * FROM keys ORDER BY number")]

    def exist(self) -> bool:
        """Whether there is any key."""
        return self._database.one("SELECT 1 FROM keys LIMIT 1") is not None

    def remove(self, name: str) -> None:
        """Revoke a key: from now on it opens nothing. Raises UsageError if there is none of this name."""
        if not self._database.run("DELETE FROM keys WHERE name = ?", name):
            raise UsageError(f"There is no key {name[:100]!r}.", hint="cellblock serve key ls")

    def add_tokens(self, key_id: str, day: str, tokens: int) -> None:
        """Count tokens that were used with a key on a day. A key that is gone, or none, counts nothing."""
        self._database.run(
            "INSERT INTO key_days (key_id, day, tokens) SELECT id, ?, ? FROM keys WHERE id = ?"
            " ON CONFLICT (key_id, day) DO UPDATE SET tokens = tokens + excluded.tokens",
            day,
            tokens,
            key_id,
        )

    def tokens_used(self, key_id: str, day: str) -> int:
        """How many tokens were used with a key on a day."""
        return self._database.number("SELECT tokens FROM key_days WHERE key_id = ? AND day = ?", key_id, day)

    def _named(self, name: str) -> bool:
        return self._database.one("SELECT 1 FROM keys WHERE name = ?", name) is not None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _read(row: Row) -> Key:
    return Key(**{name: row[name] for name in Key.__dataclass_fields__})
