"""The errors of the agent.

CellblockError
└── AgentError
    ├── UsageError            a flag, variable, file or task is wrong (exit code 2)
    ├── EndpointError         the endpoint refused, vanished or sent an invalid answer (exit code 3)
    │   ├── AccessError           it refuses the key or does not know the model: each request fails
    │   ├── UnreachableError      nothing answers at its address
    │   ├── ContextLengthError    the messages are longer than the model can read
    │   └── ContentFilterError    the provider's filter stopped the request or the answer
    ├── LocalModelError       the built-in model is missing, damaged or cannot be served (exit code 3)
    ├── ClusterError          no machine of a Ray cluster is available (exit code 3)
    ├── TranscriptError       a run directory cannot be read or written (exit code 3)
    │   └── RunPathError          a path names no run, or a run where a new one should begin (exit code 2)
    ├── PlaybackError         a recorded run was asked a request that it does not contain (exit code 1)
    ├── ResumeError           a run cannot be resumed (exit code 1)
    ├── OutputError           the result cannot be written to stdout (exit code 3)
    └── InterruptedRunError   Ctrl-C at the command line (exit code 130)
"""

import errno
import shlex
from pathlib import Path

from agent.messages import Attempt
from sandbox.errors import CellblockError


class AgentError(CellblockError):
    """The base of the errors of the agent."""


class UsageError(AgentError):
    """A flag, variable, file or task is wrong."""

    exit_code = 2

    @classmethod
    def not_ours(cls, directory: Path, holds: str) -> "UsageError":
        """Build the error for a directory that holds files of others, which a run or a batch could overwrite."""
        new = str(directory / "new")
        return cls(
            f"{str(directory)!r} is not empty and holds {holds}: nothing is written there.",
            hint=f"-o {shlex.quote(new)}",
            in_python=f"run_directory={new!r}",
        )


class EndpointError(AgentError):
    """The model's endpoint refused, vanished or sent an invalid answer."""

    exit_code = 3
    attempts: tuple[Attempt, ...] = ()
    """The failed attempts, in order."""
    retry_after_s: float | None = None
    """When to ask again, if the endpoint says so."""


class AccessError(EndpointError):
    """The endpoint refuses the key or does not know the model: each request fails."""


class UnreachableError(EndpointError):
    """Nothing answers at the endpoint's address."""


class ContextLengthError(EndpointError):
    """The messages are longer than the model can read. A shorter history may succeed."""


class ContentFilterError(EndpointError):
    """The provider's filter stopped the request or the answer."""


class LocalModelError(AgentError):
    """The built-in model is missing, damaged or cannot be served."""

    exit_code = 3


class ClusterError(AgentError):
    """No machine of a Ray cluster is available, or tasks were lost with their machine."""

    exit_code = 3


class TranscriptError(AgentError):
    """A run directory cannot be read or written."""

    exit_code = 3

    @classmethod
    def unwritable(cls, what: str, directory: Path, error: OSError) -> "TranscriptError":
        """Build the error for a directory that cannot be written."""
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        look = (
            f"df -h {shlex.quote(str(directory.parent))}"
            if is_full
            else f"ls -ld {shlex.quote(str(directory if directory.exists() else directory.parent))}"
        )
        return cls(f"Cannot write {what} {str(directory)!r}: {error.strerror}.", hint=look)


class RunPathError(TranscriptError):
    """A path names no run, or a run where a new one should begin."""

    exit_code = 2


class PlaybackError(AgentError):
    """A recorded run, used as a model, does not contain the request. A diff follows the first line."""


class ResumeError(AgentError):
    """The run cannot be resumed: its cells no longer produce the recorded output."""


class OutputError(AgentError):
    """The result cannot be written to stdout."""

    exit_code = 3


class InterruptedRunError(AgentError):
    """The user interrupted a command."""

    exit_code = 130
