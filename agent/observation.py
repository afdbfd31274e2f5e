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
    "state_kept": "Variables of earlier cells are kept.",
    "state_lost": "All variables and imports are gone: run again what you need. Files are kept.",
    "files_lost": "All variables and files are gone: start again from nothing.",
    "omitted": "\n[... {count} bytes left out{where} ...]\n",
    "where": "; the full text is in {path}",
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
            return _omission(output) + plain(output.text)
        case ErrorOutput():
            return plain("\n".join(output.traceback)) + "\n"
        case ExecuteResult() | DisplayData():
            return _render_bundle(output)


def _omission(output: StreamOutput) -> str:
    if not output.omitted_bytes:
        return ""
    where = WORDS["where"].format(path=output.full_text_path) if output.full_text_path else ""
    return WORDS["omitted"].format(count=output.omitted_bytes, where=where)


def _render_bundle(output: ExecuteResult | DisplayData) -> str:
    images = [kind for kind in output.data if kind.startswith("image/")]
    if images:
        return WORDS["image"].format(kind=images[0]) + "\n"
    return plain(str(output.data.get("text/plain", ""))) + "\n"


def _ending(execution: Execution) -> list[str]:
    notes = []
    if execution.omitted_outputs:
        notes.append(WORDS["omitted_outputs"].format(count=execution.omitted_outputs))
    if execution.status == "timeout":
        notes.append(WORDS["timeout"].format(seconds=execution.duration_s))
    elif execution.status == "died":
        notes.append(WORDS.get(execution.cause or "", WORDS["died"]).format(cause=execution.cause))
    if execution.files_lost:
        notes.append(WORDS["files_lost"])
    elif execution.state_lost:
        notes.append(WORDS["state_lost"])
    elif execution.status == "timeout":
        notes.append(WORDS["state_kept"])
    return notes
