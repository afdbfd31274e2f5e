"""What a sandbox may do and use. The defaults are the strict ones."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20


class Policy(BaseModel):
    """The limits of one sandbox. Every field has a unit and a default; nothing is inherited from the host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str | None = None
    """Any image with `python3`, ipykernel and jupyter-client; None means Cellblock's own."""
    memory_bytes: int = Field(2048 * MIB, ge=128 * MIB)
    """Memory of the container, tmpfs included; there is no swap beyond it."""
    cpus: float = Field(2.0, gt=0)
    """CPU cores' worth of time; more than the engine has is cut to what it has."""
    pids: int = Field(256, ge=16)
    """Processes and threads."""
    open_files: int = Field(1024, ge=64)
    """Descriptors a process may hold."""
    workspace_bytes: int = Field(512 * MIB, ge=MIB)
    """Size of /workspace, a tmpfs that ends with the container."""
    tmp_bytes: int = Field(128 * MIB, ge=MIB)
    """Size of /tmp, likewise."""
    user: str = Field("1000:1000", pattern=r"^[0-9]+:[0-9]+$")
    """Numeric uid:gid of every process inside."""

    network: Literal["none"] = "none"
    """Sandboxes have no network; the field is there for the record."""

    start_timeout_s: float = Field(60.0, gt=0)
    """From asking for a container to a kernel that answers."""
    cell_timeout_s: float = Field(60.0, gt=0)
    """A cell that runs longer is interrupted."""
    session_timeout_s: float = Field(3600.0, gt=0)
    """Wall clock of one session from its start, in seconds."""
    interrupt_grace_s: float = Field(5.0, gt=0)
    """How long an interrupted cell may take to end before its kernel is replaced."""
    restart_grace_s: float = Field(10.0, gt=0)
    """How long replacing a kernel may take before the container is replaced."""

    stream_head_bytes: int = Field(64 * 1024, ge=0, le=16 * MIB)
    """The start of each of stdout and stderr that a cell returns."""
    stream_tail_bytes: int = Field(64 * 1024, ge=0, le=16 * MIB)
    """The end of each of stdout and stderr that a cell returns."""
    spool_bytes: int = Field(64 * MIB, ge=0)
    """How much of an over-long stream is kept in a file in the workspace."""
    rich_bytes: int = Field(16 * MIB, ge=0, le=64 * MIB)
    """All rich outputs of one cell together, encoded."""

    def output_limits(self) -> dict[str, int]:
        """The limits that the guest keeps to, and that the host holds it to."""
        names = ("stream_head_bytes", "stream_tail_bytes", "spool_bytes", "rich_bytes")
        return {name: getattr(self, name) for name in names}

    @property
    def max_cell_bytes(self) -> int:
        """More than this from one cell means that the guest no longer keeps to its limits."""
        return 2 * (self.stream_head_bytes + self.stream_tail_bytes) + self.rich_bytes + 64 * MIB
