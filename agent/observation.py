"""Execution → the exact text that the model reads. All its words stand in one table."""

from agent.text import cut_middle, plain
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput

MAX_CHARS = 8_000
"""Of one observation; the full output lies in the transcript."""

WORDS = {
    "nothing": "The code ran without output. Print what you need to see.",
    "timeout": "The code was stopped after {seconds:.0f} s. Use a faster method or a smaller input.",
    "died": "The Python process died ({cause}).",
    "out_of_memory": "The Python process was killed because memory ran out. Use less memory.",
    "sandbox_lost": "The sandbox went away while the code ran.",
    "session_timeout": "The time for all code of this task is over; the code was stopped after {seconds:.0f} s.",
    "child_out_of_memory": "A child process was killed because memory ran out. Use less memory.",
    "state_kept": "Variables of earlier cells are kept.",
    "state_lost": "All variables and imports are gone: run again what you need. Files are kept.",
    "files_lost": "All variables and files are gone: start again from nothing.",
    "omitted": "\n[... {count} bytes left out ...]\n",
    "full_text": "[The first {size} bytes of the output are in {path}.]",
    "omitted_outputs": "[{count} further outputs were left out.]",
    "image": "[image shown: {kind}]",
    "cut": "\n[... {count} characters left out ...]\n",
}


def observe(execution: Execution) -> str:
    """What the model is told about a cell: its output, then how it ended where it did not end well."""
    body = cut_middle("".join(_render(output) for output in execution.outputs).strip("\n"), MAX_CHARS, WORDS["cut"])
    notes = _ending(execution)
    if not body and not notes:
        return WORDS["nothing"]
    return "\n".join(part for part in (body, *notes) if part)


def _render(output: Output) -> str:
    match output:
        case StreamOutput():
            omission = WORDS["omitted"].format(count=output.omitted_bytes) if output.omitted_bytes else ""
            return omission + plain(output.text)
        case ErrorOutput():
            return plain("\n".join(output.traceback)) + "\n"
        case ExecuteResult() | DisplayData():
            return _render_bundle(output)


def _render_bundle(output: ExecuteResult | DisplayData) -> str:
    images = [kind for kind in output.data if kind.startswith("image/")]
    if images:
        return WORDS["image"].format(kind=images[0]) + "\n"
    return plain(str(output.data.get("text/plain", ""))) + "\n"


def _ending(execution: Execution) -> list[str]:
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
