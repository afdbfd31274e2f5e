"""The messages of a request, in the forms of Chat Completions and DashScope, as what a job asks and what came before.

The content of a message is a text, a list of parts, null or an empty list: clients send all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agent.endpoint.config import Sampling
from agent.messages import Message
from agent.server.faults import Fault, bad_request
from agent.server.owner import Owner
from agent.server.work.job import Job
from agent.text import encodable

MAX_MESSAGES = 5_000
SYSTEM_ROLES = ("system", "developer")
ROLES = (*SYSTEM_ROLES, "user", "assistant", "tool")
LOOK = "See the image."
"""The question of a message that has nothing but images."""
_TEXT_KEYS = ("text", "refusal")
_IMAGE_KEYS = ("image_url", "image")


@dataclass(frozen=True)
class Talk:
    """A conversation by the account of the caller, up to the question."""

    question: str
    history: tuple[Message, ...] = ()
    images: tuple[str, ...] = ()
    instructions: str = ""
    call_id: str | None = None
    """The call whose result the caller tells in place of a question."""

    def job(self, owner: Owner, model: str, sampling: Sampling, max_written_tokens: int | None) -> Job:
        """The job to answer it. A budget for thinking counts only if the model is to think."""
        budget = sampling.thinking_budget if sampling.thinking else None
        return Job(
            owner=owner,
            model=model,
            question=self.question,
            history=self.history,
            images=self.images,
            call_id=self.call_id,
            instructions=self.instructions,
            sampling=sampling.model_copy(update={"thinking_budget": budget}),
            max_written_tokens=max_written_tokens,
        )


@dataclass(frozen=True)
class _Content:
    text: str
    images: tuple[str, ...]

    @property
    def parts(self) -> str | list[dict[str, Any]]:
        """The content as a request holds it."""
        if not self.images:
            return self.text
        texts = [{"type": "text", "text": self.text}] if self.text else []
        return [*texts, *({"type": "image_url", "image_url": {"url": url}} for url in self.images)]


def talk_of(messages: Sequence[Any], param: str) -> Talk:
    """The talk in a list of messages, which the request has under the name `param`. Raises Fault."""
    read = _read_all(messages, param)
    said = [message for message in read if message["role"] not in SYSTEM_ROLES]
    instructions = [message["content"].text for message in read if message["role"] in SYSTEM_ROLES]
    if not said or said[-1]["role"] == "assistant":
        raise bad_request(f"The last of {param} must have the role user or tool: there is nothing to answer.", param)
    *earlier, last = said
    content: _Content = last["content"]
    if not content.text.strip() and not content.images and last["role"] == "user":
        raise bad_request(f"The last of {param} has no text: there is nothing to answer.", param)
    return Talk(
        question=content.text if content.text.strip() else LOOK if content.images else "(empty)",
        history=tuple(message | {"content": message["content"].parts} for message in earlier),
        images=content.images,
        instructions="\n\n".join(filter(None, instructions)),
        call_id=last.get("tool_call_id"),
    )


def chat_messages(messages: Sequence[Any], param: str) -> list[Message]:
    """The same messages, in the form of Chat Completions. Raises Fault."""
    return [message | {"content": message["content"].parts} for message in _read_all(messages, param)]


def _read_all(messages: Sequence[Any], param: str) -> list[dict[str, Any]]:
    if not messages:
        raise bad_request(f"{param} is empty: it needs a message with the role user.", param)
    if len(messages) > MAX_MESSAGES:
        raise bad_request(f"{param} has {len(messages)} messages, over the limit of {MAX_MESSAGES}.", param)
    return [_read(message, f"{param}[{place}]") for place, message in enumerate(messages)]


def _read(message: object, place: str) -> dict[str, Any]:
    """A message with its role, its content and what belongs to a call."""
    if not isinstance(message, dict):
        raise bad_request(f"{place} must be an object with role and content, and is {message!r:.100}.", place)
    role = message.get("role")
    if role not in ROLES:
        raise bad_request(f"{place}.role must be one of {', '.join(ROLES)}, and is {role!r:.50}.", f"{place}.role")
    content = _content(message.get("content"), f"{place}.content")
    if content.images and role != "user":
        raise bad_request(f"{place}.content has an image: only the role user has images.", f"{place}.content")
    read: dict[str, Any] = {"role": role, "content": content}
    if role == "assistant" and message.get("tool_calls"):
        read["tool_calls"] = _calls(message["tool_calls"], f"{place}.tool_calls")
    if role == "tool":
        read["tool_call_id"] = _text(message.get("tool_call_id"), f"{place}.tool_call_id")
    return read


def _content(content: object, place: str) -> _Content:
    if content is None or isinstance(content, str):
        return _Content(encodable(content or ""), ())
    if not isinstance(content, list):
        raise bad_request(f"{place} must be a text or a list of parts, and is {content!r:.100}.", place)
    texts: list[str] = []
    images: list[str] = []
    for index, part in enumerate(content):
        text, image = _part(part, f"{place}[{index}]")
        texts += [encodable(text)] if text else []
        images += [image] if image else []
    return _Content("\n".join(texts), tuple(images))


def _part(part: object, place: str) -> tuple[str, str]:
    """The text and the URL of an image in a part; one of them is empty."""
    if isinstance(part, str):
        return part, ""
    if not isinstance(part, dict):
        raise bad_request(f"{place} must be a part with text or an image, and is {part!r:.100}.", place)
    for key in _TEXT_KEYS:
        if isinstance(part.get(key), str):
            return part[key], ""
    for key in _IMAGE_KEYS:
        image = part.get(key)
        url = image.get("url") if isinstance(image, dict) else image
        if isinstance(url, str):
            return "", _url(url, f"{place}.{key}")
    kind = part.get("type") or next(iter(part), "")
    raise _not_taken(kind, place)


def _not_taken(kind: object, place: str) -> Fault:
    return bad_request(f"{place} is of the kind {kind!r:.60}: this server takes text and images.", place)


def _url(url: str, place: str) -> str:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https", "data"):
        raise bad_request(f"{place} must be a URL of http, https or data, and is {url!r:.100}.", place)
    return encodable(url)


def _calls(calls: object, place: str) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise bad_request(f"{place} must be a list, and is {calls!r:.100}.", place)
    return [_call(call, f"{place}[{index}]") for index, call in enumerate(calls)]


def _call(call: object, place: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        raise bad_request(f"{place} must be a call of a function, and is {call!r:.100}.", place)
    return {
        "id": _text(call.get("id"), f"{place}.id"),
        "type": "function",
        "function": {
            "name": _text(function.get("name"), f"{place}.function.name"),
            "arguments": _text(function.get("arguments"), f"{place}.function.arguments"),
        },
    }


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise bad_request(f"{place} must be a text, and is {value!r:.100}.", place)
    return encodable(value)
