"""What a request can get instead of an answer. Each protocol has its own form for it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.errors import (
    ContentFilterError,
    ContextLengthError,
    EndpointError,
    LocalModelError,
    TranscriptError,
    UsageError,
)
from agent.server.state.database import UnusableError
from sandbox import CellblockError

MESSAGE_CHARS = 2_000
_OURS = (500, "server_error", None)


@dataclass(eq=False)  # not frozen: Python sets the traceback of an exception
class Fault(Exception):  # noqa: N818 - nothing failed in the program
    """A refusal of a request, as a value that each protocol writes in its own form."""

    status: int
    """The HTTP status."""
    message: str
    """One line: what, which value, and what mends it."""
    code: str
    """One of the codes that OpenAI's error objects have, so that clients know it."""
    param: str | None = None
    """The field of the request that is at fault."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    @property
    def type(self) -> str:
        """The kind of error, as OpenAI names it."""
        kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
        return kinds.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> Fault:
    """The request cannot be understood or granted."""
    return Fault(400, message, code, param)


def not_found(message: str, param: str | None = None, code: str = "not_found") -> Fault:
    """What the request names does not exist, or is another key's."""
    return Fault(404, message, code, param)


_KINDS: Mapping[type[Exception], tuple[int, str, str | None]] = {
    ContextLengthError: (400, "context_length_exceeded", "input"),
    ContentFilterError: (400, "content_filter", None),
    UsageError: (400, "invalid_value", None),
    EndpointError: (502, "server_error", None),
    LocalModelError: (502, "server_error", None),
}
"""The first that fits counts."""


def fault_of(error: Exception) -> Fault:
    """The fault that an error in answering amounts to. Nothing of this machine is told but the error's own line."""
    if isinstance(error, Fault):
        return error
    told = "The server failed; its log says why."
    if isinstance(error, CellblockError) and not isinstance(error, TranscriptError):  # which names a file
        told = error.message
    elif isinstance(error, UnusableError):
        told = f"The server cannot use its state: {error}."
    status, code, param = next((what for kind, what in _KINDS.items() if isinstance(error, kind)), _OURS)
    return Fault(status, told[:MESSAGE_CHARS], code, param, _when_again(error))


def _when_again(error: Exception) -> Mapping[str, str]:
    """The header with which the model's endpoint says when to ask again."""
    wait_s = error.retry_after_s if isinstance(error, EndpointError) else None
    return {} if wait_s is None else {"Retry-After": str(math.ceil(wait_s))}
