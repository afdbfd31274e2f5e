"""The result of a cell: pure values, with the field names of nbformat 4.

See https://nbformat.readthedocs.io/en/latest/format_description.html#code-cell-outputs.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sandbox.bundles import bundle_text

Status = Literal["ok", "error", "timeout", "died"]
ItemT = TypeVar("ItemT")
Items = Annotated[list[ItemT], Field(fail_fast=True)]
"""A list whose validation stops at the first invalid item: an error takes about 1 kB, and a list can be long."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _TruncatedOutput(_Value):
    omitted_bytes: int = 0
    """Bytes that were left out: of a stream before `text`, of other outputs where a note in the text says so."""
    full_text_path: str | None = None
    """The file in the sandbox with the full text; None if nothing was left out, or if the sandbox had no room."""
    full_text_bytes: int = 0
    """Bytes of the text that this file holds, from the start; the policy's `spool_bytes` bounds them."""


class StreamOutput(_TruncatedOutput):
    """A piece of text on stdout or stderr, from Python or from a child process."""

    output_type: Literal["stream"] = "stream"
    name: Literal["stdout", "stderr"]
    text: str


class DisplayData(_TruncatedOutput):
    """One rich output as a bundle of representations by MIME type; binary ones are base64 text."""

    output_type: Literal["display_data"] = "display_data"
    data: dict[str, Any]
    metadata: dict[str, Any] = {}


class ExecuteResult(_TruncatedOutput):
    """The value of a cell's last expression, as a MIME bundle."""

    output_type: Literal["execute_result"] = "execute_result"
    execution_count: int | None = None
    data: dict[str, Any]
    metadata: dict[str, Any] = {}


class ErrorOutput(_TruncatedOutput):
    """An exception that ended the cell; `traceback` holds lines without colour codes."""

    output_type: Literal["error"] = "error"
    ename: str
    evalue: str
    traceback: Items[str]


Output = Annotated[StreamOutput | DisplayData | ExecuteResult | ErrorOutput, Field(discriminator="output_type")]


class Execution(_Value):
    """The result of one cell. A failure of its code is a value here, never an exception."""

    status: Status
    outputs: Items[Output] = []
    """In the order of arrival; consecutive pieces of one stream are joined into one output."""
    execution_count: int | None = None
    """The kernel's In[] number; None if the cell did not end by itself."""
    duration_s: float = 0.0
    """Wall-clock seconds from sending the code to its last output, measured on the host."""
    state_lost: bool = False
    """True if the kernel was replaced: variables and imports of earlier cells are gone."""
    files_lost: bool = False
    """True if the whole container was replaced: the files in /workspace are gone as well."""
    cause: str | None = None
    """Why the cell did not end by itself: "timeout", "session_timeout", "interrupted" (on request),
    "out_of_memory", "exit", "signal SIGSEGV", "sandbox_lost" (the container is gone); None if it did."""
    oom_kills: int = 0
    """Processes that were killed for memory while the cell ran: the kernel or its children."""
    omitted_bytes: int = 0
    """Bytes of output that were left out in total, of streams and rich outputs."""
    omitted_outputs: int = 0
    """Rich outputs that were left out because they exceeded the cell's `rich_bytes`."""

    @property
    def text(self) -> str:
        """stdout, stderr and plain-text results in order, as a terminal would show them."""
        return "".join(_as_text(output) for output in self.outputs)


def _as_text(output: Output) -> str:
    match output:
        case StreamOutput():
            return output.text
        case ErrorOutput():
            return "\n".join(output.traceback) + "\n"
        case _:
            return bundle_text(output.data) + "\n"
