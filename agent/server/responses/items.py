"""Items of the Responses API as clients send them, and the messages that a model reads of them.

Clients differ: items come with and without `type`, ids and annotations, with content as a text, a list or nothing.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.loop.rendering import output_message, spoken_message
from agent.messages import RUN_PYTHON, Message, ToolCall
from agent.prompting.words import INSTRUCTION
from agent.record.events import ModelSettings
from agent.server.faults import bad_request
from agent.server.responses.outputs import logs_in

Item = dict[str, Any]
MAX_ITEMS = 5_000
_KNOWN = (
    "message",
    "reasoning",
    "code_interpreter_call",
    "function_call",
    "function_call_output",
    "item_reference",
    "compaction",
)
_TEXT_PARTS = ("input_text", "output_text", "text", "summary_text")


def read_items(given: str | Sequence[Item]) -> list[Item]:
    """The items of an input, each with type and status, and messages in parts. Raises Fault for a bad one."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if len(given) > MAX_ITEMS:
        raise bad_request(f"input has {len(given)} items, over the limit of {MAX_ITEMS}.", "input")
    items = [_read(item, place) for place, item in enumerate(given)]
    return [item for item in items if item["type"] in _KNOWN]


def _read(item: Item, place: int) -> Item:
    kind = item.get("type") or ("message" if "role" in item else None)
    if not isinstance(kind, str):
        raise bad_request(f"input[{place}] needs a type or a role.", f"input[{place}]")
    required = {
        "message": ("role",),
        "code_interpreter_call": ("code",),
        "function_call": ("call_id", "name", "arguments"),
        "function_call_output": ("call_id",),
        "item_reference": ("id",),
    }
    for name in required.get(kind, ()):
        if not isinstance(item.get(name), str) and (kind, name) != ("code_interpreter_call", "code"):
            raise bad_request(f"input[{place}].{name} must be a text.", f"input[{place}].{name}")
    if kind == "message" and item["role"] not in ("user", "assistant", "system", "developer"):
        raise bad_request(
            f"input[{place}].role must be user, assistant, system or developer, and is {item['role']!r:.50}.",
            f"input[{place}].role",
        )
    read = {**item, "type": kind, "status": item.get("status") or "completed"}
    return {**read, "content": parts_of(item)} if kind == "message" else read


def parts_of(item: Item) -> list[Item]:
    """The content of a message as parts."""
    content = item.get("content")
    if isinstance(content, str):
        spoken = {"type": "output_text", "text": content, "annotations": []}
        return [spoken if item["role"] == "assistant" else {"type": "input_text", "text": content}]
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def text_of(item: Item) -> str:
    """The text of a message."""
    texts = [str(part.get("text", "")) for part in parts_of(item) if part.get("type") in _TEXT_PARTS]
    return "\n".join([*texts, *(str(part.get("refusal")) for part in parts_of(item) if part.get("refusal"))])


def output_of(item: Item) -> str:
    """The result in a function_call_output, which may also be a list of parts or any JSON."""
    output = item.get("output")
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(isinstance(part, dict) and "text" in part for part in output):
        return "\n".join(str(part["text"]) for part in output)
    return json.dumps(output, ensure_ascii=False)


def instructions_in(items: Sequence[Item]) -> str:
    """The texts of system and developer messages."""
    told = [text_of(item) for item in items if item["type"] == "message" and item["role"] in ("system", "developer")]
    return "\n\n".join(filter(None, told))


@dataclass
class _Turn:
    """One turn of the model: what it said, what it called, and the outputs of its cells."""

    texts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    outputs: list[Message] = field(default_factory=list)

    def messages(self, settings: ModelSettings) -> list[Message]:
        """The turn as messages, none if it is empty."""
        text = "\n\n".join(filter(None, self.texts))
        said = [spoken_message(text, "", self.calls, settings)] if text or self.calls else []
        return [*said, *self.outputs]


def messages_of(items: Sequence[Item], settings: ModelSettings) -> list[Message]:
    """The items as messages, without those of the system, in the form in which this model calls."""
    messages: list[Message] = []
    turn = _Turn()
    for item in items:
        told = _told(item, settings)
        if told or (turn.outputs and item["type"] != "reasoning") or (turn.calls and item["type"] == "message"):
            messages += turn.messages(settings)
            turn = _Turn()
        messages += told
        match item["type"]:
            case "message" if item["role"] == "assistant":
                turn.texts.append(text_of(item))
            case "function_call":
                turn.calls.append(ToolCall(id=item["call_id"], name=item["name"], arguments=item["arguments"]))
            case "code_interpreter_call":
                turn.calls.append(_code_call(item))
                turn.outputs.append(output_message(_id_of(item), logs_in(item.get("outputs")), settings))
    return [*messages, *turn.messages(settings)]


def _code_call(item: Item) -> ToolCall:
    arguments = json.dumps({"code": item.get("code") or ""}, ensure_ascii=False)
    return ToolCall(id=_id_of(item), name=RUN_PYTHON, arguments=arguments)


def _id_of(item: Item) -> str:
    return str(item.get("id") or "ci")


def _told(item: Item, settings: ModelSettings) -> list[Message]:
    """What the model is told by an item that is not its own."""
    match item["type"]:
        case "message" if item["role"] == "user":
            return [{"role": "user", "content": _user_content(item)}]
        case "compaction" if said := summary_in(item):
            return [{"role": "user", "content": INSTRUCTION["compacted"].format(said=said)}]
        case "function_call_output":
            return [output_message(item["call_id"], output_of(item), settings)]
        case _:
            return []


def summary_in(item: Item) -> str:
    """What a compaction says; empty if it is not one of ours."""
    try:
        return base64.b64decode(str(item.get("encrypted_content", "")), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _user_content(item: Item) -> str | list[Item]:
    text, images = text_of(item), list(images_of(item))
    if not images:
        return text
    return [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in images)]


def images_of(item: Item) -> Iterator[str]:
    """The URLs of the images in a message."""
    for part in parts_of(item):
        url = part.get("image_url")
        url = url.get("url") if isinstance(url, dict) else url
        if part.get("type") in ("input_image", "image_url") and isinstance(url, str):
            yield url


def fingerprint(items: Sequence[Item]) -> str:
    """A hash of what items say, whatever ids, annotations and statuses a client leaves out when it sends them again."""
    said = hashlib.sha256()
    for item in items:
        if (words := _words(item)) is not None:
            said.update(json.dumps(words, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return said.hexdigest()


def _words(item: Item) -> list[Any] | None:
    match item["type"]:
        case "message":
            return [item["role"], text_of(item), *images_of(item)]
        case "code_interpreter_call":
            return ["code", item.get("code") or ""]
        case "compaction":
            return ["compaction", summary_in(item)]
        case "function_call":
            return ["call", item["call_id"], item["name"], item["arguments"]]
        case "function_call_output":
            return ["output", item["call_id"], output_of(item)]
        case _:
            return None
