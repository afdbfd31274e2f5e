"""The formats of servers that speak Chat Completions: one message, cut and labelled as each server does it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from agent.messages import Usage

Chunk = dict[str, Any]
PIECE_CHARS = 7
USAGE = Usage(input_tokens=10, output_tokens=5)
"""The default usage of a reply."""


@dataclass(frozen=True)
class ScriptedCall:
    """A native tool call; `arguments` is the text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """One generation, sent in the format of the endpoint's profile."""

    content: str = ""
    reasoning: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    finish_reason: str = "stop"
    usage: Usage = USAGE


@dataclass(frozen=True)
class Profile:
    """The format in which a server sends a message."""

    name: str
    reasoning: Literal["reasoning_content", "reasoning", "both", "think tags", "never"] = "reasoning_content"
    """The field of the thinking, or a block in the content, or none."""
    ids: Literal["first", "empty later", "null later", "every"] = "first"
    """The deltas of a call that have its id, and the value in the others."""
    names: Literal["first", "every"] = "first"
    index: Literal["counted", "zero", "missing"] = "counted"
    argument_chars: int = PIECE_CHARS
    """The characters of arguments in a delta; 0 sends them whole, together with the name."""
    arguments: Literal["pieces", "growing", "after an empty object", "after null"] = "pieces"
    """Each delta has a piece of the arguments, or all of them so far; an empty value may come first."""
    again: Literal["never", "message", "message beside a delta"] = "never"
    """Where the last chunk has the whole message once more."""
    other_content: Literal["absent", "null", "empty"] = "absent"
    """The content in deltas about something else."""
    role: Literal["first", "every", "never"] = "first"
    usage: Literal["own chunk", "last chunk", "every chunk", "never"] = "own chunk"
    usage_null: bool = False
    """True if the other chunks have `"usage": null`."""
    comment: str = ""
    """A comment between the events, to keep the connection alive."""
    line_end: str = "\n"

    def chunks(self, answer: Answer) -> list[Chunk]:
        """The chunks of a stream with the answer."""
        deltas = [*self._text_deltas(answer), *self._call_deltas(answer.calls)]
        if self.role == "first":
            deltas.insert(0, {"role": "assistant", "content": None if self.other_content == "null" else ""})
        chunks = [_chunk([_choice(self._full(delta))]) for delta in deltas]
        chunks.append(_chunk([self._last_choice(answer)]))
        return self._with_usage(chunks, usage_of(answer.usage))

    def events(self, chunks: list[Chunk]) -> list[bytes]:
        """The chunks as server-sent events, with the final `[DONE]`."""
        comment = f": {self.comment}{self.line_end * 2}" if self.comment else ""
        texts = [*(json.dumps(chunk) for chunk in chunks), "[DONE]"]
        return [f"{comment}data: {text}{self.line_end * 2}".encode() for text in texts]

    def _last_choice(self, answer: Answer) -> Chunk:
        last = _choice({}, answer.finish_reason)
        if self.again == "never":
            return last
        message: Chunk = {"role": "assistant", "content": self._content(answer)}
        message |= dict.fromkeys(self._reasoning_names(), answer.reasoning) | _calls_in(answer)
        if self.again == "message":
            del last["delta"]
        return last | {"message": message}

    def _reasoning_names(self) -> tuple[str, ...]:
        """The fields of the thinking."""
        several = {"both": ("reasoning_content", "reasoning"), "think tags": (), "never": ()}
        return several.get(self.reasoning, (self.reasoning,))

    def _content(self, answer: Answer) -> str:
        if self.reasoning == "think tags" and answer.reasoning:
            return f"<think>\n{answer.reasoning}\n</think>\n\n{answer.content}"
        return answer.content

    def _text_deltas(self, answer: Answer) -> Iterator[Chunk]:
        if names := self._reasoning_names():
            yield from (dict.fromkeys(names, piece) for piece in _pieces(answer.reasoning, PIECE_CHARS))
        yield from ({"content": piece} for piece in _pieces(self._content(answer), PIECE_CHARS))

    def _call_deltas(self, calls: tuple[ScriptedCall, ...]) -> Iterator[Chunk]:
        for place, call in enumerate(calls):
            label: Chunk = {} if self.index == "missing" else {"index": place if self.index == "counted" else 0}
            first = label | {"id": call.id, "type": "function"}
            if not self.argument_chars:
                yield _call_delta(first, {"name": call.name, "arguments": call.arguments})
                continue
            yield _call_delta(first, {"name": call.name, "arguments": ""})
            for piece in self._argument_texts(call.arguments):
                yield _call_delta(label | self._later_id(call), self._later_name(call) | {"arguments": piece})

    def _argument_texts(self, arguments: str) -> Iterable[str]:
        pieces = list(_pieces(arguments, self.argument_chars))
        first = {"after an empty object": ["{}"], "after null": ["null"]}.get(self.arguments, [])
        return accumulate(pieces) if self.arguments == "growing" else [*first, *pieces]

    def _later_id(self, call: ScriptedCall) -> Chunk:
        later: dict[str, Chunk] = {"empty later": {"id": ""}, "null later": {"id": None}, "every": {"id": call.id}}
        return later.get(self.ids, {})

    def _later_name(self, call: ScriptedCall) -> Chunk:
        if self.names == "every":
            return {"name": call.name}
        return {"name": None} if self.ids == "null later" else {}

    def _full(self, delta: Chunk) -> Chunk:
        contents: dict[str, Chunk] = {"absent": {}, "null": {"content": None}, "empty": {"content": ""}}
        return contents[self.other_content] | ({"role": "assistant"} if self.role == "every" else {}) | delta

    def _with_usage(self, chunks: list[Chunk], usage: Chunk) -> list[Chunk]:
        if self.usage == "own chunk":
            chunks.append(_chunk([]) | {"usage": usage})
        elif self.usage == "last chunk":
            chunks[-1]["usage"] = usage
        elif self.usage == "every chunk":
            chunks = [
                chunk | {"usage": usage | {"completion_tokens": usage["completion_tokens"] * place // len(chunks)}}
                for place, chunk in enumerate(chunks, start=1)
            ]
        return [{"usage": None} | chunk for chunk in chunks] if self.usage_null else chunks


PLAIN = Profile("plain", role="never")
OPENAI = Profile("openai", reasoning="never", usage_null=True)
MODEL_STUDIO = Profile("model_studio", ids="empty later", other_content="null", usage_null=True)
VLLM = Profile("vllm", reasoning="both", usage="every chunk")
SGLANG = Profile("sglang", ids="null later", other_content="null")
OLLAMA = Profile("ollama", reasoning="reasoning", index="zero", argument_chars=0, other_content="empty", role="every")
LLAMA_CPP = Profile("llama_cpp", argument_chars=1, other_content="null", usage="last chunk")
GATEWAY = Profile("gateway", ids="every", names="every", index="missing", comment="PROCESSING", line_end="\r\n")
"""A proxy that repeats every label and keeps the connection alive with comments."""
UNPARSED = Profile("unparsed", reasoning="think tags", index="missing", usage="never")
"""A server without a parser for the model's thinking."""
REPEATING = Profile("repeating", arguments="after an empty object", again="message", usage="last chunk")
"""A server that ends a stream with the whole message."""
GROWING = Profile("growing", arguments="growing", again="message beside a delta", usage="every chunk")
"""A server that sends in each delta of a call all its arguments so far."""
PROFILES = (PLAIN, OPENAI, MODEL_STUDIO, VLLM, SGLANG, OLLAMA, LLAMA_CPP, GATEWAY, UNPARSED, REPEATING, GROWING)


def usage_of(usage: Usage) -> Chunk:
    """Usage in the wire format."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def whole(answer: Answer) -> Chunk:
    """The answer as one `chat.completion`, from a server that does not stream."""
    message: Chunk = {"role": "assistant", "content": answer.content, "reasoning_content": answer.reasoning or None}
    message |= _calls_in(answer)
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
    return _chunk([choice]) | {"object": "chat.completion", "usage": usage_of(answer.usage)}


def _calls_in(answer: Answer) -> Chunk:
    """The calls of a whole message, if there are any."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.calls
    ]
    return {"tool_calls": calls} if calls else {}


def raw_chunks(deltas: list[Chunk], finish_reason: str) -> list[Chunk]:
    """The unchanged deltas, a finish reason, and the default usage."""
    chunks = [_chunk([_choice(delta)]) for delta in deltas]
    return [*chunks, _chunk([_choice({}, finish_reason)]), _chunk([]) | {"usage": usage_of(USAGE)}]


def _call_delta(label: Chunk, function: Chunk) -> Chunk:
    return {"tool_calls": [label | {"function": function}]}


def _choice(delta: Chunk, finish_reason: str | None = None) -> Chunk:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _chunk(choices: list[Chunk]) -> Chunk:
    return {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": choices}


def _pieces(text: str, chars: int) -> Iterator[str]:
    return (text[start : start + chars] for start in range(0, len(text), chars))
