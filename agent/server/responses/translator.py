"""The progress of an answer as items and events of the Responses API.

The order is that of OpenAI's service. Thinking, and what the model says before its answer, are reasoning; a cell is a
`code_interpreter_call`; only the accepted answer is a `message`. Where no check can object, a text is a `message` as
the model writes it, also one before a call.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from agent.messages import ToolCall
from agent.progress import (
    ArgumentsDelta,
    CallBegun,
    CodeEnded,
    CodeStarted,
    Progress,
    ReasoningDelta,
    TextDelta,
    TurnEnded,
    TurnRestarted,
)
from agent.server.responses.code_text import CodeText
from agent.server.responses.outputs import outputs, status_of
from agent.server.responses.speech import Citation, Speech
from agent.server.work.live_text import LiveText
from agent.tools.run_python import is_run_python

Item = dict[str, Any]
Event = dict[str, Any]


class Translator:
    """Turns pieces of progress into events, without their numbers, and keeps the items that they add up to."""

    def __init__(self, new_id: Callable[[str], str], container_id: Callable[[], str], *, is_live: bool = False) -> None:
        """`new_id` makes an id with a prefix. `container_id` names the container of a cell that is about to run.

        If it is live, no check can object to the answer.
        """
        self.output: list[Item] = []
        self.cells = 0
        """How many cells were run."""
        self._new_id = new_id
        self._container_id = container_id
        self._live = LiveText(is_open=is_live)
        self._speech: Speech | None = None
        """The message that is open."""
        self._held: list[str] = []
        """The text of the turn so far, which may be a call, or an answer that is not accepted."""
        self._thought = ""
        """What the open reasoning item says so far; empty if none is open."""
        self._has_thought = False
        """True if the turn has had a reasoning item."""
        self._call: Item | None = None
        """The code interpreter call that is open."""
        self._arguments: CodeText | None = None
        """Reads the code of the open call, while the model writes it."""

    def feed(self, piece: Progress) -> Iterator[Event]:
        """The events of one piece."""
        yield from self._say(self._live.take(piece))
        match piece:
            case ReasoningDelta(text=text):
                yield from self._think(text)
            case TextDelta(text=text) if not self._live.is_open:
                self._held.append(text)
            case CallBegun(name=name) if is_run_python(name) and self._call is None:
                yield from self._end_speech()
                yield from self._end_thinking(self._take_held())
                yield from self._open_call()
                self._arguments = CodeText()
            case CallBegun():
                self._arguments = None
            case ArgumentsDelta(text=text) if self._arguments is not None:
                yield from self._write_code(self._arguments.add(text))
            case CodeStarted(code=code):
                yield from self._run(code)
            case _:
                yield from self._end_of(piece)

    def _end_of(self, piece: Progress) -> Iterator[Event]:
        match piece:
            case TurnRestarted():
                self._held.clear()
                yield from self._end_thinking()
                yield from self._close_call(None, "", "incomplete")
            case TurnEnded(reasoning=reasoning, text=text, is_answer=is_answer):
                missed = "" if self._has_thought else reasoning
                yield from () if is_answer else self._end_speech()
                said = text.strip() if self._take_held() and not is_answer else ""  # held text may hold a call
                yield from self._end_thinking(missed, said)
                self._has_thought, self._arguments = False, None
            case CodeEnded(execution=execution, observation=observation):
                self.cells += execution is not None
                yield from self._close_call(outputs(execution, observation), observation, status_of(execution))
            case _:
                return

    def answer(self, text: str | None, calls: Sequence[ToolCall], citations: Sequence[Citation]) -> Iterator[Event]:
        """The events of the end: calls of the client's functions, or the answer with the files that it brings."""
        yield from self._end_thinking()
        yield from self._close_call(None, "", "incomplete")
        if text and (self._live.is_open or not calls):
            yield from self._end_answer(text, citations)
        yield from self._end_speech()
        for call in calls:
            yield from self._function_call(call)

    # --- items

    def _add(self, item: Item) -> Event:
        self.output.append(item)
        return {"type": "response.output_item.added", "output_index": self._place, "item": dict(item)}

    def _done(self, item: Item) -> Event:
        self.output[self._place] = item
        return {"type": "response.output_item.done", "output_index": self._place, "item": item}

    @property
    def _place(self) -> int:
        return len(self.output) - 1

    def _of(self, item: Item, kind: str, **fields: Any) -> Event:
        return {"type": kind, "item_id": item["id"], "output_index": self._place, **fields}

    # --- reasoning

    def _take_held(self) -> str:
        held, self._held = "".join(self._held).strip(), []
        return held

    def _think(self, text: str) -> Iterator[Event]:
        if not text:
            return
        yield from self._end_speech()
        if not self._thought:
            item: Item = {"id": self._new_id("rs"), "type": "reasoning", "summary": []}
            yield self._add(item)
            part = {"type": "summary_text", "text": ""}
            yield self._of(item, "response.reasoning_summary_part.added", summary_index=0, part=part)
        self._has_thought = True
        self._thought += text
        yield self._of(self.output[-1], "response.reasoning_summary_text.delta", summary_index=0, delta=text)

    def _end_thinking(self, *more: str) -> Iterator[Event]:
        """Close the reasoning item, with more text than was streamed."""
        for text in filter(None, more):
            yield from self._think(f"\n\n{text}" if self._thought else text)
        if not self._thought:
            return
        text, self._thought = self._thought, ""
        item, part = self.output[-1], {"type": "summary_text", "text": text}
        yield self._of(item, "response.reasoning_summary_text.done", summary_index=0, text=text)
        yield self._of(item, "response.reasoning_summary_part.done", summary_index=0, part=part)
        yield self._done(item | {"summary": [part]})

    # --- cells

    def _open_call(self) -> Iterator[Event]:
        self._call = {
            "id": self._new_id("ci"),
            "type": "code_interpreter_call",
            "status": "in_progress",
            "code": "",
            "container_id": self._container_id(),
            "outputs": [],
        }
        yield self._add(self._call)
        yield self._of(self._call, "response.code_interpreter_call.in_progress")

    def _write_code(self, text: str) -> Iterator[Event]:
        if text and self._call is not None:
            self._call["code"] += text
            yield self._of(self._call, "response.code_interpreter_call_code.delta", delta=text)

    def _run(self, code: str) -> Iterator[Event]:
        if self._call is None:
            yield from self._end_thinking(self._take_held())
            yield from self._open_call()
        assert self._call is not None
        written = self._call["code"]
        yield from self._write_code(code[len(written) :] if code.startswith(written) else "")
        self._call["code"] = code
        yield self._of(self._call, "response.code_interpreter_call_code.done", code=code)
        yield self._of(self._call, "response.code_interpreter_call.interpreting")

    def _close_call(self, found: list[Item] | None, told: str, status: str) -> Iterator[Event]:
        """End the open call, if there is one. A call that could not be run has the reason as its log."""
        if self._call is None:
            return
        call, self._call, self._arguments = self._call, None, None
        yield self._of(call, "response.code_interpreter_call.completed")
        yield self._done(call | {"status": status, "outputs": found or []})

    # --- the end

    def _function_call(self, call: ToolCall) -> Iterator[Event]:
        item: Item = {
            "id": self._new_id("fc"),
            "type": "function_call",
            "status": "in_progress",
            "call_id": call.id,
            "name": call.name,
            "arguments": "",
        }
        yield self._add(item)
        yield self._of(item, "response.function_call_arguments.delta", delta=call.arguments)
        yield self._of(item, "response.function_call_arguments.done", name=call.name, arguments=call.arguments)
        yield self._done(item | {"status": "completed", "arguments": call.arguments})

    def _say(self, text: str) -> Iterator[Event]:
        if text and self._call is None:
            speech = yield from self._open_speech()
            yield from speech.write(text)

    def _open_speech(self) -> Generator[Event, None, Speech]:
        """The message that is open, or a new one."""
        if self._speech is None:
            yield from self._end_thinking()
            self._speech = Speech(self._new_id("msg"), len(self.output))
            self.output.append(self._speech.item("in_progress"))
            yield from self._speech.begin()
        return self._speech

    def _end_speech(self, citations: Sequence[Citation] = (), status: str = "completed") -> Iterator[Event]:
        if self._speech is None:
            return
        speech, self._speech = self._speech, None
        yield from speech.end(citations, status)
        self.output[speech.place] = speech.item(status)

    def _end_answer(self, text: str, citations: Sequence[Citation]) -> Iterator[Event]:
        """Tell what is left of the answer, and the files that it brings."""
        left = self._live.left_of(text)
        if left is None:  # what was told is void, and cannot be taken back
            yield from self._end_speech(status="incomplete")
            left = text
        if left or citations:
            speech = yield from self._open_speech()
            yield from speech.write(left)
        yield from self._end_speech(citations)
