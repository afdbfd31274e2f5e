"""What LibreChat is told: of cells, and of files."""

import mimetypes
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.record.events import ToolRan
from agent.server.state.containers import ContainerFile
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput
from sandbox.bundles import bundle_text

PICTURE = "image/png"


def answer(
    session_id: str, *, stdout: str = "", stderr: str = "", files: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """The body of an answer to `POST /exec`."""
    return {"session_id": session_id, "stdout": stdout, "stderr": stderr, "files": list(files)}


def stdout_of(execution: Execution | None) -> str:
    """What a cell prints, and the values that it shows as text."""
    return "".join(map(_told, execution.outputs)) if execution else ""


def stderr_of(ran: ToolRan, notes: Iterable[str]) -> str:
    """What goes wrong in a cell, and what its outputs do not show."""
    if ran.execution is None:
        return "\n".join([ran.observation, *notes])
    told = "".join(map(_complained, ran.execution.outputs))
    return told + "".join(f"{note}\n" for note in (*ran.notes, *notes))


def pictures_of(execution: Execution | None) -> list[str]:
    """The pictures that a cell shows, in base64. LibreChat knows pictures as files only."""
    shown = (
        [output for output in execution.outputs if isinstance(output, DisplayData | ExecuteResult)] if execution else []
    )
    return [picture for output in shown if isinstance(picture := output.data.get(PICTURE), str)]


def made_file(file: ContainerFile, original: str | None) -> dict[str, Any]:
    """A file that a cell has made."""
    told = {"id": file.id, "name": file.path, "path": f"/mnt/data/{file.path}", **_place(file)}
    return told | ({"modified_from": {"id": original, "session_id": file.container_id}} if original else {})


def uploaded_file(file: ContainerFile) -> dict[str, Any]:
    """A file that was uploaded."""
    return {"fileId": file.id, "filename": file.path}


def listed_file(file: ContainerFile, detail: str) -> dict[str, Any]:
    """A file in a list, told as `detail` says."""
    name = f"{file.container_id}/{file.id}"
    if detail == "summary":
        return {"name": name, **last_modified(file)}
    if detail == "simple":
        return {"id": file.id, "name": file.path, "path": file.path}
    kind = mimetypes.guess_type(file.path)[0] or "application/octet-stream"
    return {
        "id": file.id,
        "name": name,
        "size": file.bytes,
        "etag": f'"{file.id}"',
        "contentType": kind,
        "metadata": {"content-type": kind, "original-filename": file.path},
        **last_modified(file),
        **_place(file),
    }


def last_modified(file: ContainerFile) -> dict[str, str]:
    """When a file came: LibreChat uploads an old one again."""
    return {"lastModified": f"{datetime.fromtimestamp(file.created_at, UTC):%Y-%m-%dT%H:%M:%S}.000Z"}


def _place(file: ContainerFile) -> dict[str, str]:
    return {"session_id": file.container_id, "storage_session_id": file.container_id}


def _told(output: Output) -> str:
    match output:
        case StreamOutput(name="stdout"):
            return output.text
        case DisplayData() | ExecuteResult() if PICTURE not in output.data:
            return bundle_text(output.data) + "\n"
    return ""


def _complained(output: Output) -> str:
    match output:
        case StreamOutput(name="stderr"):
            return output.text
        case ErrorOutput():
            return "\n".join(output.traceback) + "\n"
    return ""
