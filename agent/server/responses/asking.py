"""What a request asks, in the light of what was said before: history, question, results of calls."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.server.faults import bad_request, not_found
from agent.server.ids import NewId
from agent.server.owner import Owner
from agent.server.responses.images import Images
from agent.server.responses.items import Item, fingerprint, images_of, output_of, parts_of, read_items, text_of
from agent.server.responses.request import CreateRequest
from agent.server.state.conversations import Conversations
from agent.server.state.responses import Responses, StoredResponse

MAX_CHAIN = 2_000
"""How many responses one behind the other are followed."""
_KINDS: Mapping[str, str] = {"reasoning": "rs", "code_interpreter_call": "ci", "function_call": "fc"}


@dataclass(frozen=True)
class Asking:
    """A question with its history, as items."""

    earlier: Sequence[Item]
    """What was said before, by earlier responses or by the client."""
    new: Sequence[Item]
    """The items that came with the request, each with an id."""
    previous: StoredResponse | None
    seen: Callable[[Item], Item] = lambda item: item
    """The item with the images in it that are only named."""

    @cached_property
    def items(self) -> list[Item]:
        """All of them, in order."""
        return [self.seen(item) for item in (*self.earlier, *self.new)]

    @cached_property
    def spoken(self) -> list[Item]:
        """All items but those of the system, and thinking at the end."""
        spoken = [
            item for item in self.items if item["type"] != "message" or item["role"] not in ("system", "developer")
        ]
        while spoken and spoken[-1]["type"] == "reasoning":
            spoken.pop()
        return spoken

    @cached_property
    def results(self) -> Mapping[str, str]:
        """The results of calls with which it ends, by the ids of the calls."""
        found: dict[str, str] = {}
        for item in reversed(self.spoken):
            if item["type"] != "function_call_output":
                break
            found[item["call_id"]] = output_of(item)
        return found

    @property
    def history(self) -> list[Item]:
        """What was said before the question, or before the last result that is told in its place."""
        return self.spoken[:-1]

    @property
    def history_before_results(self) -> list[Item]:
        """What was said before the results at the end."""
        return self.spoken[: len(self.spoken) - len(self.results)]

    @property
    def question(self) -> str:
        """The question, or the last result."""
        last = self.spoken[-1]
        return output_of(last) if last["type"] == "function_call_output" else text_of(last)

    @property
    def call_id(self) -> str | None:
        """The call whose result is told in place of a question."""
        last = self.spoken[-1]
        return str(last["call_id"]) if last["type"] == "function_call_output" else None

    @property
    def images(self) -> tuple[str, ...]:
        """The URLs of the images that came with the question."""
        return tuple(images_of(self.spoken[-1]))

    def container_ids(self) -> Iterable[str]:
        """The containers that earlier calls ran in, the last first."""
        for item in reversed(self.items):
            if item["type"] == "code_interpreter_call" and isinstance(name := item.get("container_id"), str):
                yield name
        if self.previous is not None and self.previous.container_id:
            yield self.previous.container_id


class Past:
    """Looks up what requests go on from."""

    def __init__(self, responses: Responses, conversations: Conversations, images: Images, new_id: NewId) -> None:
        self._images = images
        self._responses = responses
        self._conversations = conversations
        self._new_id = new_id

    def asking(self, request: CreateRequest, owner: Owner) -> Asking:
        """The question of a request. Raises Fault if it names what is not there, or asks nothing."""
        asking = self.conversation(request, owner)
        _check(asking)
        return asking

    def conversation(self, request: CreateRequest, owner: Owner) -> Asking:
        """The same, whether or not it ends with a question."""
        new = [self._with_id(self._resolved(item, owner)) for item in read_items(request.input)]
        previous = self._previous(request.previous_response_id, owner)
        earlier = self._said_before(previous, owner)
        if request.conversation_id is not None:
            if self._conversations.get(owner.id, request.conversation_id) is None:
                raise not_found(f"There is no conversation {request.conversation_id[:100]!r}.", "conversation")
            earlier = self._conversations.all_items(owner.id, request.conversation_id)
        _check_ids([*earlier, *new])
        return Asking(earlier, new, previous, lambda item: self._images.put_in(item, owner))

    def _previous(self, response_id: str | None, owner: Owner) -> StoredResponse | None:
        if response_id is None:
            return None
        found = self._responses.get(owner.id, response_id)
        if found is None:
            raise not_found(
                f"There is no response {response_id[:100]!r}, or it was not stored.",
                "previous_response_id",
                "previous_response_not_found",
            )
        if found.status in ("queued", "in_progress"):
            raise bad_request(f"Response {response_id!r} has not ended yet.", "previous_response_id")
        return found

    def _said_before(self, last: StoredResponse | None, owner: Owner) -> list[Item]:
        """The items of a chain of responses, the first of them first."""
        chain: list[StoredResponse] = []
        while last is not None and len(chain) < MAX_CHAIN:
            chain.append(last)
            last = self._responses.get(owner.id, last.previous_id) if last.previous_id else None
        return [item for each in reversed(chain) for item in (*each.input, *each.body.get("output", ()))]

    def _resolved(self, item: Item, owner: Owner) -> Item:
        """The item that a reference names."""
        if item["type"] != "item_reference":
            return item
        found = self._responses.item(owner.id, item["id"])
        if found is None:
            raise not_found(f"There is no item {item['id'][:100]!r}, or its response was not stored.", "input")
        return found[0]

    def _with_id(self, item: Item) -> Item:
        known = item.get("id")
        if isinstance(known, str) and known:
            return item
        kind = _KINDS.get(item["type"], "msg")
        return {"id": self._new_id(kind), **{name: value for name, value in item.items() if name != "id"}}


def _check(asking: Asking) -> None:
    spoken = asking.spoken
    if not spoken:
        raise bad_request("input holds no question: add a message of the user.", "input")
    last = spoken[-1]
    if last["type"] not in ("message", "function_call_output") or last.get("role", "user") != "user":
        raise bad_request(
            "input must end with a message of the user or with a function_call_output, "
            f"and ends with {last.get('role') or last['type']!r:.50}.",
            "input",
        )
    for part in parts_of(last):
        if part.get("type") == "input_image" and not part.get("image_url"):
            raise not_found(f"There is no file {part.get('file_id')!r:.100} for an input_image.", "input")
    if last["type"] == "message" and not asking.question.strip() and not asking.images and not _files_in(last):
        raise bad_request("The last message of the user is empty.", "input")
    _check_calls(spoken)


def _check_ids(items: Sequence[Item]) -> None:
    """Raise Fault for an id that two items have: no list of items could name both."""
    seen: set[str] = set()
    for item in items:
        if item["id"] in seen:
            raise bad_request(f"Two items have the id {item['id']!r:.100}: send each item once.", "input")
        seen.add(item["id"])


def _files_in(item: Item) -> bool:
    return any(part.get("type") == "input_file" for part in parts_of(item))


def _check_calls(spoken: Sequence[Item]) -> None:
    """Each result has its call, and each call has its result."""
    calls = {item["call_id"] for item in spoken if item["type"] == "function_call"}
    outputs = {item["call_id"] for item in spoken if item["type"] == "function_call_output"}
    if stray := sorted(outputs - calls):
        raise bad_request(f"No function_call has the call_id {stray[0]!r:.100}.", "input")
    if missing := sorted(calls - outputs):
        raise bad_request(f"No tool output found for function call {missing[0]!r:.100}.", "input")


def fingerprint_after(asking: Asking, output: Sequence[Item]) -> str:
    """The fingerprint of the history once the answer belongs to it."""
    return fingerprint([*asking.spoken, *output])


Clock = Callable[[], int]
"""Seconds since 1970."""
