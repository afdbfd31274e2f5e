"""The errors of this project.

    CellblockError                every error of this project; `exit_code` is what the command line returns
    └── SandboxError              the sandbox could not do its part (environment, exit code 3)
        ├── EngineError           no engine answers, or it refused a request
        ├── ImageError            the sandbox image is missing or cannot be built
        ├── PackageError          a package cannot be added to the image
        ├── StartError            a container started, but no kernel came up in it
        ├── ProtocolError         the guest broke the frame protocol; its session is over
        ├── SessionClosedError    the session was closed, or its sandbox is gone for good
        └── FileTransferError     a file could not be moved into or out of the sandbox

A failure of the sandboxed code (an exception, a time-out, a crash) is never one of these: it is in
the `Execution`.
"""


class CellblockError(Exception):
    """One line that says what happened and to which value, and the command that fixes it.

    `hint` is None if no command helps.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} Try: {self.hint}" if self.hint else self.message


class SandboxError(CellblockError):
    """The sandbox could not do its part."""

    exit_code = 3


class EngineError(SandboxError):
    """No container engine answers, or it refused a request."""


class ImageError(SandboxError):
    """The sandbox image is missing or cannot be built."""


class PackageError(SandboxError):
    """A package cannot be added to the image."""


class StartError(SandboxError):
    """A container started, but no kernel came up in it."""


class ProtocolError(SandboxError):
    """The guest sent a frame that is malformed, oversized or unknown."""


class SessionClosedError(SandboxError):
    """The session was closed, or its sandbox is gone for good."""


class FileTransferError(SandboxError):
    """A file could not be moved into or out of the sandbox."""
