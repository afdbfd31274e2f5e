"""Keeps secrets out of the record. Redaction happens before recording, so that the record is what the model reads.

Known secrets, such as the endpoint's key, are redacted everywhere, in their usual encodings. Text that only looks like
a credential is redacted in text from outside: the task, the errors of an endpoint, the results of the caller's
functions, the variables of the sandbox. The model's code and its output are left alone, because a program that works
with addresses must run as it was written.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel

from agent.credentials import REDACTED, forms_of, is_secret_name, without, without_credentials
from agent.messages import Reply
from agent.record.events import RunStarted
from agent.text import encodable

CHUNK_BYTES = 1 << 20
FROM_OUTSIDE = ("task", "error", "attempts", "result")
"""Fields of events that hold text from outside. Observations do so too, except those of cells."""

ValueT = TypeVar("ValueT", bound=BaseModel)


class Redactor:
    """Removes the secrets of a run from texts and events."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms = forms_of(secrets)

    def text(self, text: str) -> str:
        """The text without the secrets, and without characters that UTF-8 cannot encode."""
        return without(self._forms, encodable(text))

    def words(self, text: str) -> str:
        """The same for text from outside, also without anything that looks like a credential."""
        return without_credentials(self.text(text))

    def clean(self, event: ValueT) -> ValueT:
        """The event, or a part of one, as it may be recorded. Unchanged events are returned as they are."""
        dumped = event.model_dump()
        clean = {name: self.value(value) for name, value in dumped.items()}
        for name in _from_outside(clean):
            if _holds_credentials(clean[name]):
                clean[name] = _each_text(clean[name], without_credentials)
        if isinstance(event, RunStarted):
            policy = clean["environment"]["policy"]
            policy["environment"] = {name: _variable(name, value) for name, value in policy["environment"].items()}
        return event if clean == dumped else type(event).model_validate(clean)

    def chunks(self, chunks: list[str], reply: Reply) -> list[str] | None:
        """The chunks of a stream, each JSON, without the secrets; None if the whole reply holds a secret.

        Such a secret may be spread over several chunks, so that none of them holds it.
        """
        dumped = reply.model_dump()
        is_clean = self.value(dumped) == _each_text(dumped, encodable)
        return [self.text(chunk) for chunk in chunks] if is_clean else None

    def is_in_file(self, path: Path) -> bool:
        """True if the user's file holds a secret. Raises OSError."""
        with path.open("rb") as file:
            return self.is_in(file)

    def is_in(self, file: IO[bytes]) -> bool:
        """True if the rest of an open file holds a secret. Raises OSError."""
        forms = [form.encode() for form in self._forms]
        kept = max(map(len, forms), default=1) - 1
        tail = b""
        while forms and (data := file.read(CHUNK_BYTES)):
            data = tail + data
            if any(form in data for form in forms):
                return True
            tail = data[len(data) - kept :]
        return False

    def value(self, value: Any) -> Any:
        """The same for each text in a JSON value, keys included."""
        return _each_text(value, self.text)


def _from_outside(event: dict[str, Any]) -> list[str]:
    """The fields of an event that hold text from outside. A tool that ran no code is a function of the caller."""
    is_function = event.get("code", "") is None
    return [name for name in event if name in FROM_OUTSIDE or (name == "observation" and is_function)]


def _holds_credentials(value: Any) -> bool:
    """True if a text in a value may hold one. All texts are searched at once: a result may have thousands."""
    joined = "\n".join(_texts(value))
    return without_credentials(joined) != joined


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from value
            yield from _texts(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from _texts(item)


def _variable(name: str, value: str) -> str:
    return REDACTED if is_secret_name(name) else without_credentials(value)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Change each text in a value, including keys."""
    match value:
        case str():
            return change(value)
        case dict():
            return {_each_text(key, change): _each_text(item, change) for key, item in value.items()}
        case list() | tuple():
            return [_each_text(item, change) for item in value]
        case _:
            return value
