"""What can go wrong while driving a model.

CellblockError
└── AgentError
    ├── UsageError            a flag, variable, file or task is wrong (exit code 2)
    ├── EndpointError         the endpoint refused, vanished or answered nonsense (exit code 3)
    │   ├── ContextLengthError    the messages are longer than the model can read
    │   └── ContentFilterError    the provider's filter stopped what was asked or answered
    ├── LocalModelError       the built-in model is missing, damaged or cannot be served (exit code 3)
    ├── TranscriptError       a run directory cannot be read or written (exit code 3)
    └── InterruptedRunError   Ctrl-C at the command line (exit code 130)
"""

from sandbox.errors import CellblockError


class AgentError(CellblockError):
    """The agent could not do its part."""


class UsageError(AgentError):
    """What the user passed is wrong."""

    exit_code = 2


class EndpointError(AgentError):
    """The model's endpoint refused, vanished or answered nonsense."""

    exit_code = 3


class ContextLengthError(EndpointError):
    """The messages are longer than the model can read: a shorter history may be answered."""


class ContentFilterError(EndpointError):
    """The provider's filter stopped what was asked or answered."""


class LocalModelError(AgentError):
    """The built-in model is missing, damaged or cannot be served."""

    exit_code = 3


class TranscriptError(AgentError):
    """A run directory cannot be read or written."""

    exit_code = 3


class InterruptedRunError(AgentError):
    """The user interrupted a command."""

    exit_code = 130
