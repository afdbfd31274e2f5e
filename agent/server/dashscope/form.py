"""An answer in the form of DashScope: each event has the state so far, and no space after its colons."""

from collections.abc import Iterator
from typing import Any

from agent.loop.result import RunResult
from agent.messages import Reply, Usage
from agent.progress import ArgumentsDelta, CallBegun, CodeStarted, Progress, ReasoningDelta, TextDelta
from agent.server.chat.form import code_entry
from agent.server.faults import Fault
from agent.server.wire.attended import noted
from agent.server.wire.errors import dashscope_error
from agent.server.wire.events import dumped
from agent.server.work.account import Account, in_pieces

RUNNING = "null"
"""The finish reason of an answer that goes on: a text, and not the value null."""
CONTENT_TYPE = "text/event-stream;charset=UTF-8"
_Fields = dict[str, Any]


class GenerationForm:
    """Writes one answer."""

    def __init__(
        self,
        request_id: str,
        *,
        has_messages: bool,
        is_multimodal: bool,
        is_incremental: bool,
        is_live: bool = False,
    ) -> None:
        """If it is live, the text is told as the model writes it."""
        self.account = Account(is_live=is_live)
        self._request_id = request_id
        self._has_messages = has_messages or is_multimodal
        self._is_multimodal = is_multimodal
        self._is_incremental = is_incremental
        self._number = 0
        """The id of the last event."""
        self._text = ""
        """All text so far."""

    def events(self, piece: Progress | RunResult) -> Iterator[bytes]:
        """The events of a piece of an answer with the code interpreter."""
        if isinstance(piece, RunResult):
            for text in in_pieces(self.account.rest_of(piece.answer or "")):
                yield self._chunk(text=text)
            self.account.usage = piece.usage
            yield self._chunk(finish_reason=self.account.finish_reason(piece))
            return
        thought, text = self.account.take(piece), self.account.say(piece)
        if thought or text or isinstance(piece, CallBegun | ArgumentsDelta | CodeStarted):
            yield self._chunk(thought=thought, text=text)

    def plain_events(self, piece: ReasoningDelta | TextDelta | Reply) -> Iterator[bytes]:
        """The events of a piece of the model's own answer."""
        match piece:
            case ReasoningDelta():
                yield self._chunk(thought=self.account.take(piece))
            case TextDelta(text=text):
                yield self._chunk(text=text)
            case Reply():
                self.account.usage = piece.usage
                yield self._chunk(finish_reason=piece.finish_reason or "stop", calls=_calls_of(piece))

    def whole(self, result: RunResult) -> _Fields:
        """The whole answer with the code interpreter, for a request that is not streamed."""
        self.account.usage = result.usage
        return self._answer(result.answer or "", self.account.reasoning, self.account.finish_reason(result), [])

    def plain_whole(self, reply: Reply) -> _Fields:
        """The model's own answer, for a request that is not streamed."""
        self.account.usage = reply.usage
        return self._answer(reply.content, reply.reasoning, reply.finish_reason or "stop", _calls_of(reply))

    def error(self, error: Exception) -> bytes:
        """The last event of an answer that fails. The SDK knows it by a name without a space before it."""
        fault: Fault = noted(error)
        return self._event("error", fault.status, dashscope_error(fault, self._request_id))

    def _chunk(
        self, *, text: str = "", thought: str = "", finish_reason: str = RUNNING, calls: list[_Fields] | None = None
    ) -> bytes:
        if not self._is_incremental:
            self._text += text
            text, thought = self._text, self.account.reasoning
        return self._event("result", 200, self._answer(text, thought, finish_reason, calls or []))

    def _event(self, name: str, status: int, data: _Fields) -> bytes:
        self._number += 1
        return f"id:{self._number}\nevent:{name}\n:HTTP_STATUS/{status}\ndata:{dumped(data)}\n\n".encode()

    def _answer(self, text: str, thought: str, finish_reason: str, calls: list[_Fields]) -> _Fields:
        output = self._output(text, thought, finish_reason, calls)
        if self.account.codes:
            output["tool_info"] = list(map(code_entry, self.account.codes))
        return {"output": output, "usage": self._usage(self.account.usage), "request_id": self._request_id}

    def _output(self, text: str, thought: str, finish_reason: str, calls: list[_Fields]) -> _Fields:
        if not self._has_messages:
            return {"finish_reason": finish_reason, "text": text}
        content: str | list[_Fields] = text
        if self._is_multimodal:
            content = [{"text": text}] if text else []
        message: _Fields = {"content": content, "reasoning_content": thought, "role": "assistant"}
        if calls:
            message["tool_calls"] = calls
        return {"choices": [{"message": message, "finish_reason": finish_reason}]}

    def _usage(self, usage: Usage) -> _Fields:
        told: _Fields = {
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "output_tokens": usage.output_tokens,
            "input_tokens": usage.input_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        }
        if self._is_multimodal:
            told["input_tokens_details"] = {"text_tokens": usage.input_tokens}
            told["output_tokens_details"]["text_tokens"] = max(0, usage.output_tokens - usage.reasoning_tokens)
        if cached := usage.cached_tokens + usage.explicit_cached_tokens:
            told["prompt_tokens_details"] = {"cached_tokens": cached}
        if self.account.codes:
            told["plugins"] = {"code_interpreter": {"count": len(self.account.codes)}}
        return told


def _calls_of(reply: Reply) -> list[_Fields]:
    """The calls of the client's functions."""
    return [
        {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(reply.tool_calls)
    ]
