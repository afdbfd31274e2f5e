"""The errors of this project.

    CellblockError                every error of this project; `exit_code` is what the command line returns
    ├── SettingsError         a program set a value that cannot be (exit code 2); also a ValueError
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
    """One line that says what happened and to which value, and what fixes it.

    `hint` is a command for a shell, None if none helps. `in_python` is what fixes it in a program, if that differs.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, in_python: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.in_python = in_python

    def __str__(self) -> str:
        return _with_hint(self.message, self.in_python or self.hint)

    @property
    def for_shell(self) -> str:
        """The line for somebody who typed a command."""
        return _with_hint(self.message, self.hint)


def _with_hint(message: str, hint: str | None) -> str:
    return f"{message} Try: {hint}" if hint else message


class SettingsError(CellblockError, ValueError):
    """A program set a value of a policy, a limit or the like that cannot be."""

    exit_code = 2


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
