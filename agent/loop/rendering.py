"""The messages of a run, as they are sent and recorded.

A model that calls natively reads each output as a `tool` message. One that is asked for ```python blocks reads its own
calls as such blocks, and each output as a `user` message.
"""

import json
from collections.abc import Iterator, Sequence
from textwrap import indent

from agent.messages import Message, ToolCall
from agent.prompting.files import MAX_ALL_CHARS, told_of
from agent.prompting.words import INSTRUCTION, OBSERVATION
from agent.record.events import Asked, GivenFile, ModelReplied, ModelSettings, RunStarted, ToolRan
from agent.text import cut_middle, in_one_line
from agent.tools.run_python import canonical

MAX_QUESTION_CHARS = 4_000
"""How much of a question is shown again."""


def question_message(asked: RunStarted | Asked, settings: ModelSettings) -> Message:
    """The task and the files that lie ready for it. In fenced mode, it asks for a code block.

    The result of a call, which is told in place of a question, is a `tool` message.
    """
    if asked.call_id is not None:
        return {"role": "tool", "tool_call_id": asked.call_id, "content": asked.task}
    parts = [asked.task]
    if asked.files:
        parts.append("\n".join(["Files:", *_listed(asked.files)]))
    if asked.answer_schema is not None:
        schema = json.dumps(asked.answer_schema, ensure_ascii=False)
        parts.append(INSTRUCTION["typed"].format(schema=schema))
    if settings.calls == "fenced":
        parts.append(INSTRUCTION["write" if asked.files or asked.must_call else "write_if_it_helps"])
    text = "\n\n".join(parts)
    if not asked.images:
        return {"role": "user", "content": text}
    images = [{"type": "image_url", "image_url": {"url": url}} for url in asked.images]
    return {"role": "user", "content": [{"type": "text", "text": text}, *images]}


def reply_message(replied: ModelReplied, settings: ModelSettings) -> Message:
    """The model's own reply, as later requests repeat it."""
    return spoken_message(replied.content, replied.reasoning, replied.tool_calls, settings)


def spoken_message(text: str, reasoning: str, calls: Sequence[ToolCall], settings: ModelSettings) -> Message:
    """What the model said, thought and called: each call with arguments that are JSON."""
    calls = list(map(canonical, calls))
    message: Message = {"role": "assistant", "content": text}
    if settings.reasoning_field and reasoning:
        message[settings.reasoning_field] = reasoning
    if settings.calls == "fenced":
        codes = [json.loads(call.arguments).get("code") for call in calls]
        fences = [f"```python\n{code}\n```" for code in codes if code]
        return message | {"content": "\n\n".join(part for part in (text, *fences) if part)}
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def observation_message(ran: ToolRan, settings: ModelSettings, question: str | None = None) -> Message:
    """What the model reads about one of its calls, and the `question` again if it was asked long ago."""
    text = ran.observation
    if question is not None:
        text += OBSERVATION["question"].format(task=cut_middle(question, MAX_QUESTION_CHARS, OBSERVATION["cut"]))
    return output_message(ran.call_id, text, settings)


def output_message(call_id: str, text: str, settings: ModelSettings) -> Message:
    """A text about a call, in the form in which the model reads outputs."""
    if settings.calls == "fenced":
        return {"role": "user", "content": OBSERVATION["output"].format(text=text)}
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def _listed(files: Sequence[GivenFile]) -> Iterator[str]:
    """The files of a question. Once the whole is long, the others are told in short."""
    left_chars = MAX_ALL_CHARS
    for file in files:
        told = _told(file)
        if len(told) > left_chars:
            told = told.partition(":\n")[0]
        left_chars -= len(told)
        yield told


def _told(file: GivenFile) -> str:
    if file.profile is not None:
        return told_of(file.name, file.size_bytes, file.profile)
    line = f"- /workspace/{in_one_line(file.name)} ({file.size_bytes} bytes)"
    return f"{line}, which begins:\n{indent(file.head, '    ')}" if file.head else line
