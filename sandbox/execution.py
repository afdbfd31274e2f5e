"""What running a cell gives: pure values, with the field names of nbformat 4.

See https://nbformat.readthedocs.io/en/latest/format_description.html#code-cell-outputs.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["ok", "error", "timeout", "died"]
ItemT = TypeVar("ItemT")
Items = Annotated[list[ItemT], Field(fail_fast=True)]
"""A list that is refused at its first item that does not fit: each complaint takes a kilobyte, and a list is long."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Said(_Value):
    omitted_bytes: int = 0
    """How many bytes were left out: before `text` of a stream, elsewhere where a note in the text says so."""
    full_text_path: str | None = None
    """The file in the sandbox that holds what was left out; None where nothing was, or where it is full."""
    full_text_bytes: int = 0
    """How much of the text that file holds, from its start; the policy's `spool_bytes` bounds it."""


class StreamOutput(_Said):
    """A stretch of text on stdout or stderr, from Python or from a child process."""

    output_type: Literal["stream"] = "stream"
    name: Literal["stdout", "stderr"]
    text: str


class DisplayData(_Said):
    """One rich output as a bundle of representations by MIME type; binary ones are base64 text."""

    output_type: Literal["display_data"] = "display_data"
    data: dict[str, Any]
    metadata: dict[str, Any] = {}


class ExecuteResult(_Said):
    """The value of a cell's last expression, as a MIME bundle."""

    output_type: Literal["execute_result"] = "execute_result"
    execution_count: int | None = None
    data: dict[str, Any]
    metadata: dict[str, Any] = {}


class ErrorOutput(_Said):
    """An exception that ended the cell; `traceback` holds lines without colour codes."""

    output_type: Literal["error"] = "error"
    ename: str
    evalue: str
    traceback: Items[str]


Output = Annotated[StreamOutput | DisplayData | ExecuteResult | ErrorOutput, Field(discriminator="output_type")]


class Execution(_Value):
    """One cell, run. What the code did wrong is in here; it is never an exception."""

    status: Status
    outputs: Items[Output] = []
    """In the order in which they came; text of one stream that follows itself is one output."""
    execution_count: int | None = None
    """The kernel's In[] number; None where the cell did not end by itself."""
    duration_s: float = 0.0
    """Wall-clock seconds from sending the code to its last output, measured on the host."""
    state_lost: bool = False
    """True where the kernel was replaced: variables and imports of earlier cells are gone."""
    files_lost: bool = False
    """True where the whole container was replaced: the files in /workspace are gone as well."""
    cause: str | None = None
    """Why the cell did not end by itself: "timeout", "session_timeout", "interrupted" (asked for),
    "out_of_memory", "exit", "signal SIGSEGV", "sandbox_lost" (the container went away); None where it did."""
    oom_kills: int = 0
    """How many processes were killed for memory while the cell ran: the kernel or children of it."""
    omitted_bytes: int = 0
    """Bytes of output left out in all, over streams and rich outputs."""
    omitted_outputs: int = 0
    """Rich outputs left out because the cell had spent its allowance."""

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
            return str(output.data.get("text/plain", "")) + "\n"
