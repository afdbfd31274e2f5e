"""The failures of an endpoint: whether a retry may help, how long to wait, and the server's message."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai

from agent.endpoint.config import Endpoint
from agent.endpoint.sse import BrokenEventError, OverlongError
from agent.messages import Reply
from agent.text import plain

Streamed = tuple[Reply, list[str]]
"""A reply, and its chunks as JSON."""
MAX_RETRY_AFTER_S = 60.0
"""The longest wait that a server may ask for."""
PASSING_STATUSES = (408, 409, 429)
"""The statuses below 500 for which a retry may help."""
MAX_DESCRIBED_CHARS = 300
MAX_SAID_CHARS = 8_000
"""The most characters of an error that are read."""

_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|exceed_context_size|exceeds the available context size"
    r"|longer than the model's context length|range of input length should be|context length exceeded"
    r"|exceeds? the (?:model's )?(?:maximum )?context (?:length|window)|exceed(?:s|ed)? max(?:imum)? context"
    r"|total message token length exceed|prompt is too long|prompt too long|input is too long"
    r"|input (?:token count|length) .{0,60}exceeds|reduce the length of the (?:messages|prompt|input)"
    r"|inputs` must have less than|inputs` tokens \+ `max_new_tokens` must be|loaded with context length of only",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"data_?inspection_?failed|inappropriate content|content_filter|content_policy_violation"
    r"|content management policy",
    re.IGNORECASE,
)
_SAYING_KEYS = (
    *("message", "error", "detail", "msg", "errors", "error_msg", "error_message", "errormessage", "errormsg"),
    *("error_description", "errmsg", "status_msg", "base_resp", "fault", "faultstring"),
)
"""The keys, in lower case, under which servers put the error message, the likeliest first."""
_MESSAGE_KEYS = (*_SAYING_KEYS, "reason", "description", "title", "code", "type")
_FINE = ("0", "200", "ok", "success", "none", "")
"""What servers write as the code beside a message if nothing is wrong."""
_CODE_KEYS = ("code", "status", "status_code", "error_code", "errcode")
_MAX_DEPTH = 4
_MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_BARRED = re.compile(r"4\d\d\b|Requested .+ from proxy|Invalid username/password|.+not allowed by ruleset")
"""How the HTTP client begins the refusal of a proxy."""
_LAST_WORD = re.compile(r"\s\S*\Z")
_REFUSES = re.compile(
    r"unsupported|not (?:be )?(?:supported|permitted|allowed|recogni[sz]ed)|not support|not accept|un(?:known|expected"
    r"|recogni[sz]ed)|extra (?:input|field)|requires --",
    re.IGNORECASE,
)
_FIELD_PATTERNS = {"tools": r"\btools\b(?![\[.])|--enable-auto-tool-choice"}
"""For fields with an ambiguous name: "tools" may mean that one of the tools is wrong."""


class SilentAnswerError(Exception):
    """The endpoint sent nothing for too long."""


class EmptyAnswerError(Exception):
    """The answer ended without a message."""


class UnfinishedAnswerError(Exception):
    """The answer ended in the middle of the message, or without a mark of its end."""

    def __init__(self, words: str, streamed: Streamed | None = None) -> None:
        super().__init__(words)
        self.streamed = streamed
        """The reply so far, if it may be complete."""


class EndlessAnswerError(Exception):
    """The answer did not end."""


class FilteredAnswerError(Exception):
    """The provider's filter ended the answer."""


class ForeignAnswerError(Exception):
    """The server does not speak Chat Completions: it sent an HTML page."""


PASSING = (
    *(openai.APIConnectionError, SilentAnswerError),
    *(EmptyAnswerError, UnfinishedAnswerError, ForeignAnswerError, BrokenEventError),
)
"""Failures for which a retry may help."""
FAILURES = (
    *PASSING,
    *(openai.OpenAIError, ValueError, RecursionError),
    *(EndlessAnswerError, FilteredAnswerError, OverlongError),
)
"""The exceptions that an attempt may raise."""


def is_passing(error: BaseException) -> bool:
    """True if the same request may succeed a moment later."""
    if isinstance(error, PASSING):
        return not (is_redirect_loop(error) or is_untrusted(error) or is_barred(error))
    if not isinstance(error, openai.APIError) or is_too_long(error) or is_filtered(error):
        return False
    status = status_of(error)  # None if the stream reports an error without one
    return status is None or status in PASSING_STATUSES or status >= 500


def is_redirect_loop(error: BaseException) -> bool:
    """True if the endpoint redirects in a loop."""
    return isinstance(error.__cause__, httpx2.TooManyRedirects)


def is_untrusted(error: BaseException) -> bool:
    """True if the certificate of the endpoint, or of its proxy, is not trusted."""
    return isinstance(error, openai.APIConnectionError) and "CERTIFICATE_VERIFY_FAILED" in str(error.__cause__)


def is_barred(error: BaseException) -> bool:
    """True if a proxy refuses the request, or wants other credentials."""
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
    return status_of(error) == 407 or (isinstance(cause, httpx2.ProxyError) and bool(_BARRED.match(str(cause))))


def is_throttling(error: BaseException) -> bool:
    """True if the endpoint reports too many requests."""
    return status_of(error) == 429


def is_too_long(error: BaseException) -> bool:
    """True if the messages are longer than the model can read."""
    return status_of(error) == 413 or _TOO_LONG.search(server_text(error)) is not None


def is_filtered(error: BaseException) -> bool:
    """True if the provider's filter stopped the request or the answer."""
    return isinstance(error, FilteredAnswerError) or _FILTERED.search(server_text(error)) is not None


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of a failure, or the one reported in the stream; None if there is none."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    return _status_in_stream(error) if type(error) is openai.APIError else None


def refused_field(error: BaseException, fields: Iterable[str]) -> str | None:
    """The field that the endpoint refuses; it may answer without it."""
    if status_of(error) not in (400, 422) or is_too_long(error):
        return None
    said = f"{server_text(error)} {getattr(error, 'body', None)}"[:MAX_SAID_CHARS]
    if not _REFUSES.search(said):
        return None
    return next((field for field in fields if re.search(_FIELD_PATTERNS.get(field, rf"\b{field}\b"), said)), None)


def error_in(value: object, request: httpx2.Request) -> openai.APIError | None:
    """The error reported by a value in a stream whose status is success."""
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if not isinstance(error, dict):
        error = value if error or _is_error(value) else _error_of_choice(value.get("choices"))
    return openai.APIError(message_in(error) or "no reason given", request, body=error) if error else None


def _is_error(value: dict[str, Any]) -> bool:
    """True if a value has no choices and says something that is not a success."""
    inner = value.get("base_resp")
    codes = [part.get(name) for part in (value, inner) if isinstance(part, dict) for name in _CODE_KEYS]
    is_fine = value.get("success") is True or any(str(code).lower() in _FINE for code in codes if code is not None)
    says = any(part and name.lower() in _SAYING_KEYS for name, part in value.items())
    return says and not is_fine and not value.get("choices")


def _error_of_choice(choices: object) -> object:
    """The error that a proxy puts into a choice."""
    found = [choice.get("error") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return next((error for error in found if error), None)


def asked_wait_s(error: BaseException | None) -> float | None:
    """The wait that the server asks for, bounded; None if it asks for none."""
    if not isinstance(error, openai.APIStatusError):
        return None
    return retry_after_s(error.response.headers, datetime.now(UTC))


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """`retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), from 0 to MAX_RETRY_AFTER_S."""
    milliseconds = _number(headers.get("retry-after-ms"))
    seconds = milliseconds / 1000 if milliseconds is not None else _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _seconds_until(headers.get("retry-after", ""), now)
    return None if seconds is None else min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def describe(error: BaseException | None, endpoint: Endpoint) -> str:
    """The kind and the message of a failure, as `one_safe_line` returns them."""
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
    words = f"{type(error).__name__}: {error}"
    return one_safe_line(f"{words} {type(cause).__name__}: {cause}" if cause else words, endpoint, MAX_DESCRIBED_CHARS)


def server_text(error: BaseException) -> str:
    """The server's description of an error: its message, code and type."""
    if not isinstance(error, openai.APIError):
        return ""
    body = error.body if isinstance(error.body, dict) else {}
    parts = (error.message, body.get("code"), body.get("type"), message_in(error.body))
    return " ".join(str(part)[:MAX_SAID_CHARS] for part in parts)


def body_in(error: openai.APIStatusError) -> object:
    """The body of an error. The client keeps only its `error`, which may be a word beside the message."""
    try:
        return error.response.json() if isinstance(error.body, str) else error.body
    except (ValueError, RecursionError):
        return error.body


def message_in(body: object, depth: int = 0) -> str:
    """The message in an error's body, at any depth; the text of an HTML page."""
    if isinstance(body, str):
        return _MARKUP.sub(" ", _head(body)).strip()
    inner: Iterable[object] = ()
    if depth < _MAX_DEPTH and isinstance(body, dict):
        lower = {str(key).lower(): part for key, part in body.items()}
        known = [lower.get(key) for key in _MESSAGE_KEYS]
        inner = [*known, *body.values()] if depth else known  # an object of errors has the names of fields as its keys
    elif depth < _MAX_DEPTH and isinstance(body, list):
        inner = body
    return next((words for part in inner if (words := message_in(part, depth + 1))), "")


def _head(text: str) -> str:
    """The beginning of a text, cut between words: a part of a word may be a part of a secret."""
    return text if len(text) <= MAX_SAID_CHARS else _LAST_WORD.sub("", text[:MAX_SAID_CHARS])


def one_safe_line(text: str, endpoint: Endpoint, max_chars: int) -> str:
    """The text on one line, without secrets and control characters, and not too long.

    Secrets are removed before and after the cleaning, and before the cut, so that no part of one remains.
    """
    line = " ".join(plain(endpoint.redacted(text)).split())
    return endpoint.redacted(line)[:max_chars]


def _status_in_stream(error: BaseException | None) -> int | None:
    """The status in `code` or the like, where servers write a number, a text or something else."""
    body = getattr(error, "body", None)
    codes = [str(body.get(key)) for key in _CODE_KEYS] if isinstance(body, dict) else []
    return next((int(code) for code in codes if re.fullmatch(r"[1-5]\d\d", code, re.ASCII)), None)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
