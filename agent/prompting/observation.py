"""Execution → the exact text that the model reads."""

from collections.abc import Iterable

from agent.prompting.tracebacks import shorten
from agent.prompting.words import OBSERVATION as WORDS
from agent.text import cut_middle, plain, printed
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput
from sandbox.bundles import bundle_text

MAX_CHARS = 8_000
"""The limit for one observation; the full output is in the transcript."""


def observe(execution: Execution, hints: Iterable[str] = (), *, unprinted: str | None = None) -> str:
    """What the model reads about a cell: its output, how it ended if it failed, and hints.

    `unprinted` names a value that the cell's last line made and that nobody sees.
    """
    body = cut_middle(_body(execution.outputs).strip("\n"), MAX_CHARS, WORDS["cut"])
    notes = [note for note in (*endings(execution), *hints) if note]
    if not body and not notes:
        if execution.outputs:
            return WORDS["blank"]
        return WORDS["assigned"].format(name=unprinted) if unprinted else WORDS["nothing"]
    return "\n".join(part for part in (body, *notes) if part)


def _body(outputs: Iterable[Output]) -> str:
    """The outputs in order. An output that is not stream text starts on a new line."""
    body = ""
    for output in outputs:
        if body and not body.endswith("\n") and not isinstance(output, StreamOutput):
            body += "\n"
        body += _render(output)
    return body


def _render(output: Output) -> str:
    match output:
        case StreamOutput():
            omission = WORDS["omitted"].format(count=output.omitted_bytes) if output.omitted_bytes else ""
            return omission + printed(output.text)
        case ErrorOutput():
            return shorten(output) + "\n"
        case ExecuteResult() | DisplayData():
            return _render_bundle(output)


def _render_bundle(output: ExecuteResult | DisplayData) -> str:
    images = [kind for kind in output.data if kind.startswith("image/")]
    if images:
        return WORDS["image"].format(kind=images[0]) + "\n"
    return plain(bundle_text(output.data)) + "\n"


def endings(execution: Execution) -> list[str]:
    """What the output of a cell does not show: how it ended, what was lost, what was left out."""
    notes = [
        WORDS["full_text"].format(size=output.full_text_bytes, path=output.full_text_path)
        for output in execution.outputs
        if output.full_text_path
    ]
    if execution.omitted_outputs:
        notes.append(WORDS["omitted_outputs"].format(count=execution.omitted_outputs))
    if execution.status in ("timeout", "died"):
        words = WORDS.get(execution.cause or "", WORDS["died"])
        notes.append(words.format(seconds=execution.duration_s, cause=execution.cause))
    elif execution.oom_kills:
        notes.append(WORDS["child_out_of_memory"])
    if execution.files_lost:
        notes.append(WORDS["files_lost"])
    elif execution.state_lost:
        notes.append(WORDS["state_lost"])
    elif execution.status == "timeout":
        notes.append(WORDS["state_kept"])
    return notes
