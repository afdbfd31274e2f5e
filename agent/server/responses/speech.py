"""A message of the model as an item and its events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]
Event = dict[str, Any]
PIECE_CHARS = 64
"""An answer that is checked as a whole before it is sent comes in pieces: clients show it as it comes."""


@dataclass(frozen=True)
class Citation:
    """A file that the answer brings."""

    container_id: str
    file_id: str
    filename: str


class Speech:
    """One message, from its beginning to its end."""

    def __init__(self, item_id: str, place: int) -> None:
        """`place` is its index in the output."""
        self.place = place
        self._id = item_id
        self._text = ""
        self._annotations: list[Item] = []

    def item(self, status: str) -> Item:
        """The message as it is now. It has its content when it has ended."""
        content = [] if status == "in_progress" else [self._part()]
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _part(self) -> Item:
        return {"type": "output_text", "text": self._text, "annotations": self._annotations, "logprobs": []}

    def begin(self) -> Iterator[Event]:
        """The events of its beginning."""
        yield {"type": "response.output_item.added", "output_index": self.place, "item": self.item("in_progress")}
        yield self._event("response.content_part.added", part=self._part())

    def write(self, text: str) -> Iterator[Event]:
        """The events of more text."""
        self._text += text
        for start in range(0, len(text), PIECE_CHARS):
            piece = text[start : start + PIECE_CHARS]
            yield self._event("response.output_text.delta", delta=piece, logprobs=[])

    def end(self, citations: Sequence[Citation], status: str) -> Iterator[Event]:
        """The events of its end, with the files that it brings."""
        self._annotations = [_annotation(citation, self._text) for citation in citations]
        for index, annotation in enumerate(self._annotations):
            yield self._event("response.output_text.annotation.added", annotation_index=index, annotation=annotation)
        yield self._event("response.output_text.done", text=self._text, logprobs=[])
        yield self._event("response.content_part.done", part=self._part())
        yield {"type": "response.output_item.done", "output_index": self.place, "item": self.item(status)}

    def _event(self, kind: str, **fields: Any) -> Event:
        return {"type": kind, "item_id": self._id, "output_index": self.place, "content_index": 0, **fields}


def _annotation(citation: Citation, text: str) -> Item:
    """A file of the answer. Its place in the text is that of its link, or 0 to 0 if the text does not link it."""
    link = f"sandbox:/mnt/data/{citation.filename}"
    start = text.find(link)
    return {
        "type": "container_file_citation",
        "container_id": citation.container_id,
        "file_id": citation.file_id,
        "filename": citation.filename,
        "start_index": max(start, 0),
        "end_index": start + len(link) if start >= 0 else 0,
    }
