"""Recognise secrets: variables with a telling name, credentials in addresses, and known kinds of keys."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit, urlunsplit

REDACTED = "[redacted]"
MIN_SECRET_CHARS = 8
"""Shorter secrets are ignored: too many words would match."""

_SECRET_NAME = re.compile(r"(?:key|token|password|passwd|passphrase|secret|credential|auth)s?$", re.IGNORECASE)
_CLIENT_SECRETS = (
    *("CELLBLOCK_API_KEY", "DASHSCOPE_API_KEY", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"),
    *("OPENAI_WEBHOOK_SECRET", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
)
_CREDENTIALS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(\b[a-z][a-z0-9+.-]{0,40}://)(?:[^\s/?#@:]*:[^\s/?#@]*|[^\s/?#@]{20,})(?=@)",
        r"([?&][\w.-]*(?:key|token|secret|password|passwd|signature|credential|auth|sig)=)[^\s\"'&#]+",
        r"(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|digest|token|apikey)\s+)?)[^\s\"',;]+",
        r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{16,}",
        r"(\b(?:api|access|auth|secret)[-_ ]?(?:key|token)[\"']?\s*[:=]\s*[\"']?)[\w.~+/=-]{16,}",
        r"()\b(?:sk|pk|rk)-[\w-]{16,}",
        r"()\b(?:gh[opsur]|github_pat|glpat|hf|xox[abprs])[_-][\w-]{16,}",
        r"()\b(?:AKIA|ASIA|LTAI)[A-Z0-9]{12,}",
        r"()\bAIza[\w-]{30,}",
        r"()\beyJ[\w-]{8,1000}\.[\w-]{8,}\.[\w-]+",
    )
]


def is_secret_name(name: str) -> bool:
    """True if a variable of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def secrets_in_url(url: str) -> set[str]:
    """The credentials in an address, both as written and decoded."""
    parts = urlsplit(url)
    user_info = parts.netloc.rpartition("@")[0]
    found = {user_info, user_info.partition(":")[2]}
    found |= {value for name, value in parse_qsl(parts.query) if _SECRET_NAME.search(name)}
    return {form for secret in found if secret for form in (secret, unquote(secret))}


def bare_url(url: str) -> str:
    """An address without credentials: without user, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def secrets_among(variables: Mapping[str, str]) -> set[str]:
    """The values of variables with the name of a secret, and the credentials in other values."""
    named = {value for name, value in variables.items() if _SECRET_NAME.search(name)}
    return named.union(*(secrets_in_url(value) for value in variables.values() if "://" in value))


def secrets_for_clients(environ: Mapping[str, str]) -> set[str]:
    """The values that clients of an endpoint send from the environment: keys, headers, organisation and project."""
    headers = environ.get("OPENAI_CUSTOM_HEADERS", "")
    values = {line.partition(":")[2].strip() for line in headers.splitlines()}
    return {value for value in (*values, *(environ.get(name) for name in _CLIENT_SECRETS)) if value}


def without_credentials(text: str) -> str:
    """The text without anything that looks like a key, a token, or the credentials in an address."""
    for pattern in _CREDENTIALS:
        text = pattern.sub(rf"\g<1>{REDACTED}", text)
    return text


def forms_of(secrets: Iterable[str]) -> list[str]:
    """The forms in which secrets usually travel, the longest first."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET_CHARS for form in _forms(secret)}
    return sorted(forms, key=len, reverse=True)


def without(forms: Sequence[str], text: str) -> str:
    """The text without any of these forms."""
    for form in forms:
        if form in text:
            text = text.replace(form, REDACTED)
    return text


def _forms(secret: str) -> set[str]:
    """A secret as written in text, Python, JSON, an address, and the header of HTTP's basic authentication."""
    forms = {secret, *_literals(secret)}
    for _ in range(2):  # JSON often holds JSON
        forms |= {json.dumps(form, ensure_ascii=is_ascii)[1:-1] for form in forms for is_ascii in (False, True)}
    basic = base64.b64encode(secret.encode()).decode().rstrip("=")
    return forms | {quote(secret, safe=""), quote(secret), quote_plus(secret), basic}


def _literals(secret: str) -> Iterator[str]:
    """A secret in Python's literals, which escape a quote if the text has both kinds."""
    for end in ("", '"'):
        last = -1 - len(end)
        yield repr(secret + end)[1:last]
        yield ascii(secret + end)[1:last]
        yield repr((secret + end).encode())[2:last]
