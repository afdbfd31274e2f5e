"""Short forms of conversations, and the counting of tokens: one turn of the model each."""

import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from agent.messages import Message, Usage
from agent.progress import Progress
from agent.prompting.words import INSTRUCTION
from agent.server.owner import Owner
from agent.server.responses.asking import Asking, Clock, Past
from agent.server.responses.choice import chosen
from agent.server.responses.images import Images
from agent.server.responses.items import Item, instructions_in, messages_of
from agent.server.responses.request import CreateRequest, tools_of
from agent.server.responses.response import usage_body
from agent.server.state.state import State
from agent.server.work.desk import Desk
from agent.server.work.job import Job
from agent.server.work.plain import Turn


class Shortener:
    """Answers `POST /responses/compact` and `POST /responses/input_tokens`."""

    def __init__(self, desk: Desk, state: State, clock: Clock, *, count: Callable[[Owner, Usage], None]) -> None:
        """`count` hears what each turn used."""
        self._count_usage = count
        self._desk = desk
        self._state = state
        self._clock = clock
        self._past = Past(state.responses, state.conversations, Images(state.files, state.contents), state.new_id)

    async def compact(self, request: CreateRequest, owner: Owner) -> dict[str, Any]:
        """The messages of the user, and one item with what the model says of the whole conversation. Raises Fault."""
        asking = self._past.conversation(request, owner)
        turn = await self._turn(request, owner, asking, [{"role": "user", "content": INSTRUCTION["compact"]}])
        said = base64.b64encode(turn.text.encode("utf-8", "replace")).decode()
        summary = {"id": self._state.new_id("cmp"), "type": "compaction", "encrypted_content": said}
        return {
            "id": self._state.new_id("resp"),
            "object": "response.compaction",
            "created_at": self._clock(),
            "output": [*(_whole(item) for item in asking.items if item.get("role") == "user"), summary],
            "usage": usage_body(turn.usage, 0),
        }

    async def count(self, request: CreateRequest, owner: Owner) -> dict[str, Any]:
        """How many tokens the model reads for a request, as it counts them itself. Raises Fault."""
        asking = self._past.conversation(request, owner)
        turn = await self._turn(request, owner, asking, [], max_written_tokens=1)
        return {"object": "response.input_tokens", "input_tokens": turn.usage.input_tokens}

    async def _turn(
        self,
        request: CreateRequest,
        owner: Owner,
        asking: Asking,
        more: list[Message],
        *,
        max_written_tokens: int | None = None,
    ) -> Turn:
        told = (request.instructions or "", instructions_in(asking.items))
        job = Job(
            owner=owner,
            model=request.model,
            question="",
            instructions="\n\n".join(filter(None, told)),
            functions=chosen(tools_of(request, is_strict=False), request.tool_choice).functions if not more else (),
            max_written_tokens=max_written_tokens,
        )
        runtime = await self._desk.models.runtime_for(job)
        system = [{"role": "system", "content": runtime.instructions}] if runtime.instructions else []
        messages = [*system, *messages_of(asking.spoken, runtime.settings), *more]
        turn = await _last(self._desk.one_turn(job, runtime, messages))
        self._count_usage(owner, turn.usage)
        return turn


async def _last(pieces: AsyncGenerator[Progress | Turn]) -> Turn:
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Turn):
                return piece
    raise AssertionError("an answer ends with its turn")


def _whole(item: Item) -> Item:
    """A message of the user with all fields of an output item."""
    content = item.get("content")
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {**item, "type": "message", "status": "completed", "content": parts}
