"""Images of messages that are named by the id of an upload."""

import base64
import mimetypes

from agent.server.faults import bad_request
from agent.server.owner import Owner
from agent.server.responses.items import Item, parts_of
from agent.server.state.contents import Contents
from agent.server.state.files import Files

MAX_IMAGE_BYTES = 20 << 20
"""A model reads an image as text of a third more."""


class Images:
    """The uploaded images of all owners."""

    def __init__(self, files: Files, contents: Contents) -> None:
        self._files = files
        self._contents = contents

    def put_in(self, item: Item, owner: Owner) -> Item:
        """The item, with the images that it names as data. One that is deleted stays a name. Raises Fault for what is
        no image."""
        parts = parts_of(item) if item["type"] == "message" else []
        if not any(map(_is_named, parts)):
            return item
        content = [self._seen(part, owner) if _is_named(part) else part for part in parts]
        return {**item, "content": content}

    def _seen(self, part: Item, owner: Owner) -> Item:
        file = self._files.get(owner.id, part["file_id"])
        if file is None:
            return part
        kind, _ = mimetypes.guess_type(file.filename)
        if kind is None or not kind.startswith("image/") or file.bytes > MAX_IMAGE_BYTES:
            raise bad_request(
                f"An input_image must be an image of at most {MAX_IMAGE_BYTES:,} bytes, and {file.filename!r} is not.",
                "input",
            )
        data = base64.b64encode(self._contents.path(file.place).read_bytes()).decode()
        return {**part, "image_url": f"data:{kind};base64,{data}"}


def _is_named(part: Item) -> bool:
    return part.get("type") == "input_image" and isinstance(part.get("file_id"), str) and not part.get("image_url")
