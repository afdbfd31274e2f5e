"""What the failures of an endpoint mean: whether trying again may help, how long to wait, and one line about each."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import openai

from agent.config import Endpoint
from agent.errors import ContentFilterError, ContextLengthError, EndpointError

MAX_RETRY_AFTER_S = 60.0
"""The longest wait that a server may ask for."""
PASSING_STATUSES = (408, 409, 429)
"""Beside those from 500: what may be otherwise a moment later."""
CHECK = "cellblock doctor"
SET_KEY = "export CELLBLOCK_API_KEY=KEY"

_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|exceed_context_size|exceeds the available context size"
    r"|longer than the model's context length|range of input length should be|context length exceeded"
    r"|exceeds? the (?:model's )?(?:maximum )?context (?:length|window)|exceed(?:s|ed)? max(?:imum)? context"
    r"|total message token length exceed|prompt is too long|prompt too long|input is too long",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"data_?inspection_?failed|inappropriate content|content_filter|content_policy_violation"
    r"|content management policy",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_?not_?found|model not exist|model .{1,80} (?:not found|does not exist)|unknown model", re.IGNORECASE
)
_BAD_KEY = re.compile(r"invalid_?api_?key|incorrect api key|invalid api-key", re.IGNORECASE)


class EmptyStreamError(Exception):
    """The stream ended without a message."""


FAILURES = (openai.OpenAIError, EmptyStreamError, ValueError, RecursionError)
"""What an attempt may raise."""


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, openai.APIConnectionError | EmptyStreamError):
        return True
    if not isinstance(error, openai.APIError) or _TOO_LONG.search(_said(error)) or _FILTERED.search(_said(error)):
        return False
    status = status_of(error)  # None where the stream says an error without one
    return status is None or status in PASSING_STATUSES or status >= 500


def is_throttling(error: BaseException) -> bool:
    """Whether the endpoint says that it is asked too often."""
    return status_of(error) == 429


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of a failure, or the one that the stream tells; None where there is none."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    return _status_in_stream(error) if type(error) is openai.APIError else None


def asked_wait_s(error: BaseException | None) -> float | None:
    """How long the server asks to wait, bounded; None where it does not say."""
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


def describe(error: BaseException | None) -> str:
    """The kind of a failure and what was said, on one line and not too long."""
    return _one_line(f"{type(error).__name__}: {error}", 300)


def as_endpoint_error(error: Exception, endpoint: Endpoint, *, attempts: int = 1) -> EndpointError:
    """One line for each way in which an endpoint fails; `attempts` is how often it was asked."""
    words = _server_words(error) if isinstance(error, openai.APIError) else ""
    start = f"The endpoint {endpoint.public_url!r}"
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        said = _said(error)
        if _TOO_LONG.search(said) or status_of(error) == 413:
            return ContextLengthError(
                f"{start} says that the conversation is too long for model {endpoint.model!r}: {words}.",
                mend="cellblock run --model NAME ..., with a longer context",
            )
        if _FILTERED.search(said):
            return ContentFilterError(f"{start} stopped the request by its content filter: {words}.")
    what, mend = _what(error, endpoint, words)
    tried = f" (attempt {attempts})" if attempts > 1 else ""
    return EndpointError(f"{start} {what}{tried}.", mend=mend)


def _what(error: Exception, endpoint: Endpoint, words: str) -> tuple[str, str]:
    """What the endpoint did, and what mends it."""
    if isinstance(error, openai.APIStatusError):
        return _refusal(error, endpoint, words)
    match error:
        case openai.APITimeoutError():
            what = "did not answer in time"
        case openai.APIConnectionError():
            what = f"cannot be reached: {_one_line(str(error.__cause__ or error), 200)}"
        case openai.APIError():
            what = f"broke off its answer: {words}"
        case json.JSONDecodeError() | UnicodeDecodeError() | RecursionError():
            what = "answered with something that is not JSON"
        case _:
            what = f"answered nonsense: {describe(error)}"
    return what, CHECK


def _refusal(error: openai.APIStatusError, endpoint: Endpoint, words: str) -> tuple[str, str]:
    said = _said(error)
    if isinstance(error, openai.AuthenticationError) or _BAD_KEY.search(said):
        return f"refused the API key ({error.status_code})", SET_KEY
    if isinstance(error, openai.PermissionDeniedError):
        return f"refused the API key ({error.status_code}): {words}", SET_KEY
    if isinstance(error, openai.NotFoundError) or _NO_MODEL.search(said):
        return f"knows no model {endpoint.model!r}, or its path is wrong ({words})", CHECK
    return f"answered {error.status_code}: {words}", CHECK


def _status_in_stream(error: BaseException | None) -> int | None:
    """Servers write a status into `code`, as a number or as text, and other things too."""
    body = getattr(error, "body", None)
    code = str(body.get("code")) if isinstance(body, dict) else ""
    return int(code) if re.fullmatch(r"[1-5]\d\d", code, re.ASCII) else None


def _said(error: openai.APIError) -> str:
    """All that tells what is wrong: the message, and the code and type beside it."""
    body = error.body if isinstance(error.body, dict) else {}
    return " ".join(str(part) for part in (error.message, body.get("code"), body.get("type"), body.get("message")))


def _server_words(error: openai.APIError) -> str:
    """What the server said, on one line and not too long."""
    return _one_line(str(error.message), 200).rstrip(".")


def _one_line(text: str, max_chars: int) -> str:
    return " ".join(text.split())[:max_chars]


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
