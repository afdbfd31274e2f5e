"""What can go wrong while driving a model.

CellblockError
└── AgentError
    ├── UsageError            a flag, variable, file or task is wrong (exit code 2)
    ├── EndpointError         the endpoint refused, vanished or answered nonsense (exit code 3)
    │   ├── AccessError           it refuses the key or knows no such model: it will answer nothing
    │   ├── UnreachableError      nothing answers there
    │   ├── ContextLengthError    the messages are longer than the model can read
    │   └── ContentFilterError    the provider's filter stopped what was asked or answered
    ├── LocalModelError       the built-in model is missing, damaged or cannot be served (exit code 3)
    ├── ClusterError          no machine of a Ray cluster can be had (exit code 3)
    ├── TranscriptError       a run directory cannot be read or written (exit code 3)
    ├── PlaybackError         a recorded run was asked what it does not hold (exit code 1)
    ├── ResumeError           a run cannot be gone on with as it was (exit code 1)
    ├── OutputError           stdout takes no more at the command line (exit code 3)
    └── InterruptedRunError   Ctrl-C at the command line (exit code 130)
"""

import errno
import shlex
from pathlib import Path

from agent.messages import Attempt
from sandbox.errors import CellblockError


class AgentError(CellblockError):
    """The agent could not do its part."""


class UsageError(AgentError):
    """What the user passed is wrong."""

    exit_code = 2


class EndpointError(AgentError):
    """The model's endpoint refused, vanished or answered nonsense."""

    exit_code = 3
    attempts: tuple[Attempt, ...] = ()
    """Each that failed; the last one ended it."""


class AccessError(EndpointError):
    """The endpoint refuses the key or knows no such model: it will answer nothing."""


class UnreachableError(EndpointError):
    """Nothing answers at the endpoint's address."""


class ContextLengthError(EndpointError):
    """The messages are longer than the model can read: a shorter history may be answered."""


class ContentFilterError(EndpointError):
    """The provider's filter stopped what was asked or answered."""


class LocalModelError(AgentError):
    """The built-in model is missing, damaged or cannot be served."""

    exit_code = 3


class ClusterError(AgentError):
    """No machine of a Ray cluster can be had, or tasks are lost with theirs."""

    exit_code = 3


class TranscriptError(AgentError):
    """A run directory cannot be read or written."""

    exit_code = 3

    @classmethod
    def unwritable(cls, what: str, directory: Path, error: OSError) -> "TranscriptError":
        """One for a directory that the system does not let be written."""
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        look = (
            f"df -h {shlex.quote(str(directory.parent))}"
            if is_full
            else f"ls -ld {shlex.quote(str(directory if directory.exists() else directory.parent))}"
        )
        return cls(f"Cannot write {what} {str(directory)!r}: {error.strerror}.", hint=look)


class PlaybackError(AgentError):
    """A recorded run in place of a model was asked what it does not hold; below the first line, a diff."""


class ResumeError(AgentError):
    """A run cannot be gone on with: its cells give something else now."""


class OutputError(AgentError):
    """The result cannot be written to stdout."""

    exit_code = 3


class InterruptedRunError(AgentError):
    """The user interrupted a command."""

    exit_code = 130
