"""One line for each failure of an endpoint: what it did, which value, and the command that fixes it."""

import re
import shlex
from collections.abc import Sequence

import httpx2
import openai

from agent.credentials import bare_url
from agent.endpoint.config import Endpoint
from agent.endpoint.failures import (
    EmptyAnswerError,
    EndlessAnswerError,
    ForeignAnswerError,
    SilentAnswerError,
    UnfinishedAnswerError,
    asked_wait_s,
    body_in,
    describe,
    is_filtered,
    is_redirect_loop,
    is_too_long,
    message_in,
    one_safe_line,
    refused_field,
    server_text,
)
from agent.endpoint.route import Route
from agent.endpoint.sse import BrokenEventError, OverlongError
from agent.endpoint.unreachable import Complaint, on_the_way, via_proxy
from agent.endpoint.wire import ElsewhereError
from agent.errors import AccessError, ContentFilterError, ContextLengthError, EndpointError, UnreachableError
from agent.messages import Attempt
from agent.text import cut_middle

CHECK = "cellblock doctor"
SET_KEY = "export CELLBLOCK_API_KEY=KEY"
BOUND_OUTPUT = "cellblock run --max-output-tokens 8192 ..."
MAX_WORDS_CHARS = 200
MAX_URL_CHARS = 200
"""The longest address of a redirect that is shown."""

_HINTS = {
    **{name: f"cellblock run ..., without --{name.replace('_', '-')}" for name in ("temperature", "top_p", "seed")},
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "cellblock run --max-output-tokens NUMBER ..."),
    "thinking_budget": "cellblock run ..., without --thinking-budget",
    "enable_thinking": "cellblock run ..., without --thinking or --no-thinking",
}
"""The commands that avoid a refused field."""
_NO_MODEL = re.compile(
    r"model_?not_?found|model not exist|model .{1,80} (?:not found|does not exist)|unknown model", re.IGNORECASE
)
_BAD_KEY = re.compile(r"invalid_?api_?key|incorrect api key|invalid api-key", re.IGNORECASE)
_LOST = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError, httpx2.DecodingError)


_FIELD = r"--(?:no-)?(temperature|top-p|seed|max-output-tokens|thinking-budget|thinking)"
_SET = re.compile(r"cellblock run " + _FIELD + r" (\w+) \.\.\.")
_LEFT_OUT = re.compile(r"cellblock run \.\.\., without " + _FIELD + ".*")
_URL = re.compile(r"cellblock run --base-url '?([^' ]+)'? \.\.\.")


def _in_python(hint: str) -> str:
    """Options as what a program writes."""
    hint = _SET.sub(lambda match: "Sampling({}={})".format(match[1].replace("-", "_"), match[2]), hint)
    hint = _LEFT_OUT.sub(lambda match: "a Sampling without " + match[1].replace("-", "_"), hint)
    hint = _URL.sub(lambda match: f"Agent(base_url={match[1]!r}, ...)", hint)
    return hint.replace("cellblock run --model NAME ...", "Agent(model=NAME, ...)")


def as_endpoint_error(
    error: Exception, endpoint: Endpoint, attempts: Sequence[Attempt] = (), route: Route | None = None
) -> EndpointError:
    """The error for the user, with the failed attempts. `route` is the way that the request went."""
    words = _words_of(error, endpoint)
    blamed = on_the_way(error, endpoint.public_url, route, words) if route else None
    kind, what, hint = blamed or _complaint(error, endpoint, words)
    tried = f" (attempt {len(attempts)})" if len(attempts) > 1 else ""
    said = endpoint.redacted(f"The endpoint {endpoint.public_url!r}{via_proxy(error, route)} {what}{tried}.")
    hint = hint and endpoint.redacted(hint)
    found = kind(said, hint=hint, in_python=hint and _in_python(hint))
    found.attempts = tuple(attempts)
    found.retry_after_s = asked_wait_s(error)
    return found


def _complaint(error: Exception, endpoint: Endpoint, words: str) -> Complaint:
    """The kind of error, what the endpoint did, and what fixes it."""
    if is_too_long(error):
        what = f"says that the conversation is too long for model {endpoint.model!r}: {words}"
        return ContextLengthError, what, "cellblock run --model NAME ..., with a longer context"
    if is_filtered(error):
        return ContentFilterError, f"stopped the request by its content filter: {words}", None
    if isinstance(error, ElsewhereError):
        url, hint = _elsewhere(error.url, endpoint)
        hint = hint if hint == CHECK else f"{hint}, if you trust it"
        return AccessError, f"redirects to another origin, {url!r}; nothing was sent there", hint
    if is_redirect_loop(error):
        return AccessError, f"redirects in a loop: {words}", CHECK
    return _failing(error, endpoint, words)


def _elsewhere(url: str, endpoint: Endpoint) -> tuple[str, str]:
    """The target of a redirect, bounded and without credentials, and the command that asks there, if one can."""
    base_url = endpoint.redacted(bare_url(url)).removesuffix("/chat/completions").removesuffix("/models")
    if len(base_url) > MAX_URL_CHARS or not base_url.startswith(("http://", "https://")):
        return cut_middle(base_url, MAX_URL_CHARS, "..."), CHECK
    return base_url, f"cellblock run --base-url {shlex.quote(base_url)} ..."


def _failing(error: Exception, endpoint: Endpoint, words: str) -> Complaint:
    if isinstance(error, openai.APIStatusError):
        return _refusal(error, endpoint, words)
    if isinstance(error, ForeignAnswerError):
        return EndpointError, f"answered with an HTML page: {words!r}", _right_url(endpoint)
    if isinstance(error, EndlessAnswerError | OverlongError):
        return EndpointError, f"did not come to the end of its answer: {words}", BOUND_OUTPUT
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        if isinstance(error.__cause__, _LOST):
            return EndpointError, f"broke the connection: {words}", CHECK
        return UnreachableError, f"cannot be reached: {words}", CHECK
    return EndpointError, _what(error, endpoint, words), CHECK


def _what(error: Exception, endpoint: Endpoint, words: str) -> str:
    match error:
        case openai.APITimeoutError() | SilentAnswerError():
            return f"did not answer in time: {words}"
        case openai.APIError() | UnfinishedAnswerError():
            return f"broke off its answer: {words}"
        case EmptyAnswerError():
            return "answered without a message" + (f", but with {words!r}" if words else "")
        case RecursionError():
            return "answered with JSON that is nested too deeply"
        case BrokenEventError():
            return f"answered with text that is not JSON: {words}"
    return f"sent an invalid answer: {describe(error, endpoint)}"


def _refusal(error: openai.APIStatusError, endpoint: Endpoint, words: str) -> Complaint:
    said, status = server_text(error), error.status_code
    if error.response.history:  # most redirects drop the method and the body
        url, hint = _elsewhere(str(error.response.url), endpoint)
        return AccessError, f"redirects to {url!r}, which answered {status}: {words}", hint
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError) or _BAD_KEY.search(said):
        return AccessError, f"refused the API key ({status}): {words}", SET_KEY
    if isinstance(error, openai.NotFoundError) or _NO_MODEL.search(said):
        what = f"does not know the model {endpoint.model!r}, or its path is wrong ({words})"
        return AccessError, what, _right_url(endpoint)
    field = refused_field(error, _HINTS)
    return EndpointError, f"answered {status}: {words}", _HINTS[field] if field else CHECK


def _right_url(endpoint: Endpoint) -> str:
    """The command to try if the path may be wrong: most paths end in a version."""
    url = endpoint.public_url.rstrip("/")
    return CHECK if re.search(r"/v\d\w*$", url) else f"cellblock run --base-url {shlex.quote(f'{url}/v1')} ..."


def _words_of(error: Exception, endpoint: Endpoint) -> str:
    """The words of an error, as `one_safe_line` returns them."""
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        words = str(cause) or type(cause).__name__
    elif isinstance(error, openai.APIStatusError):
        words = message_in(body_in(error)) or error.response.reason_phrase or "no reason given"
    elif isinstance(error, openai.APIError):
        words = message_in(error.body) or str(error.message)
    else:
        words = message_in(str(error))
    return one_safe_line(words, endpoint, MAX_WORDS_CHARS).rstrip(".")
