"""Files that come in messages: their bytes, or the id of an upload."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.server.faults import bad_request
from agent.server.responses.items import Item, parts_of
from agent.server.state.contents import safe_name


@dataclass(frozen=True)
class Attached:
    """A file whose bytes came in a message."""

    name: str
    data: bytes


def file_parts(items: Iterable[Item]) -> Iterator[Mapping[str, Any]]:
    """The parts of messages that are files."""
    for item in items:
        for part in parts_of(item) if item["type"] == "message" else ():
            if part.get("type") == "input_file":
                yield part


def check_files(items: Iterable[Item], *, can_run_code: bool) -> None:
    """Raise Fault for a file that cannot be had, or that nothing can read."""
    for part in file_parts(items):
        if part.get("file_url"):
            raise bad_request(
                f"file_url {part['file_url']!r:.100} is not fetched: send the file as file_data, or upload it and send "
                "its file_id.",
                "input",
            )
        if not isinstance(part.get("file_id") or part.get("file_data"), str):
            raise bad_request("An input_file needs a file_id, or file_data with a filename.", "input")
        if not can_run_code:
            raise bad_request("An input_file needs the tool code_interpreter, whose code reads it.", "input")


def attached_in(items: Iterable[Item]) -> Iterator[Attached]:
    """The files whose bytes are in messages. Raises Fault for data that are not base64."""
    for part in file_parts(items):
        data = part.get("file_data")
        if not part.get("file_id") and isinstance(data, str):
            yield Attached(safe_name(str(part.get("filename") or "")), _decoded(data))


def _decoded(data: str) -> bytes:
    """The bytes in a data URL, or in base64 alone."""
    try:
        return base64.b64decode(data.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"file_data must be a data URL in base64, and is {data!r:.60}.", "input") from error
