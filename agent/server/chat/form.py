"""An answer in the form of Chat Completions, as Model Studio writes it: thinking in `reasoning_content`, then text.

The executed code is an extra key of a delta: a program that does not know it is not disturbed. Like each list in a
delta, it has only new entries, and their `index`; OpenAI's clients add them up.
"""

import time
import uuid
from collections.abc import Iterator
from typing import Any

from agent.loop.result import RunResult
from agent.messages import Usage
from agent.progress import CodeStarted, Noted, Progress, Waiting
from agent.server.wire.attended import noted
from agent.server.wire.errors import openai_error
from agent.server.wire.events import event
from agent.server.work.account import Account, in_pieces

DONE = b"data: [DONE]\n\n"
_Fields = dict[str, Any]


class ChatForm:
    """Writes one answer."""

    def __init__(self, model: str, *, has_usage: bool, is_live: bool = False) -> None:
        """If it is live, the text is told as the model writes it."""
        self.account = Account(is_live=is_live)
        self._id = f"chatcmpl-{uuid.uuid4()}"
        self._created_s = int(time.time())
        self._model = model
        self._has_usage = has_usage
        self._has_begun = False

    def events(self, piece: Progress | RunResult) -> Iterator[bytes]:
        """The events of a piece of the answer."""
        if isinstance(piece, Waiting | Noted):
            return
        if not self._has_begun:
            self._has_begun = True
            yield self._event({"content": None, "role": "assistant", "reasoning_content": ""})
        if isinstance(piece, RunResult):
            yield from self._end(piece)
            return
        if thought := self.account.take(piece):
            yield self._event({"content": None, "reasoning_content": thought})
        if text := self.account.say(piece):
            yield self._event({"content": text, "reasoning_content": None})
        if isinstance(piece, CodeStarted):
            entry = {"index": len(self.account.codes) - 1, **code_entry(piece.code)}
            yield self._event({"content": None, "reasoning_content": "", "tool_info": [entry]})

    def whole(self, result: RunResult) -> _Fields:
        """The whole answer of a request that is not streamed."""
        message: _Fields = {
            "role": "assistant",
            "content": result.answer or "",
            "reasoning_content": self.account.reasoning,
        }
        if self.account.codes:
            message["tool_info"] = list(map(code_entry, self.account.codes))
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self.account.finish_reason(result),
            "logprobs": None,
        }
        return self._object("chat.completion", [choice], usage_of(result.usage))

    def error(self, error: Exception) -> bytes:
        """The last event of an answer that fails."""
        return event(openai_error(noted(error)))

    def _end(self, result: RunResult) -> Iterator[bytes]:
        for text in in_pieces(self.account.rest_of(result.answer or "")):
            yield self._event({"content": text, "reasoning_content": None})
        yield self._event({"content": "", "reasoning_content": None}, self.account.finish_reason(result))
        if self._has_usage:
            yield event(self._object("chat.completion.chunk", [], usage_of(result.usage)))
        yield DONE

    def _event(self, delta: _Fields, finish_reason: str | None = None) -> bytes:
        choice = {"delta": delta, "finish_reason": finish_reason, "index": 0, "logprobs": None}
        return event(self._object("chat.completion.chunk", [choice], None))

    def _object(self, kind: str, choices: list[_Fields], usage: _Fields | None) -> _Fields:
        return {
            "choices": choices,
            "object": kind,
            "usage": usage,
            "created": self._created_s,
            "system_fingerprint": None,
            "model": self._model,
            "id": self._id,
        }


def code_entry(code: str) -> _Fields:
    """A cell, as `tool_info` lists it."""
    return {"code_interpreter": {"code": code}, "type": "code_interpreter"}


def usage_of(usage: Usage) -> _Fields:
    """The tokens of all inferences together."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens + usage.explicit_cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
