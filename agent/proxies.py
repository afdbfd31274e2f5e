"""The proxy that the environment sets for an address, by the rules that curl, requests and Go share.

A lower-case variable wins over an upper-case one, and the variable of the scheme over ALL_PROXY. NO_PROXY lists hosts,
domains, addresses and networks, each with a port if need be. This machine is always reached directly.
"""

import importlib.util
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_network
from urllib.parse import SplitResult, unquote, urlsplit

from agent.errors import UsageError
from sandbox.hosts import address_of, is_this_machine

KINDS = ("http", "https", "all")
"""What a variable `KIND_proxy` is for."""
SCHEMES = ("http", "https", "socks5", "socks5h")
ALIASES = {"socks": "socks5h"}
"""Desktops write `socks://` for their SOCKS 5 proxy."""
DEFAULT_PORTS = {"http": 80, "https": 443}

_SEPARATORS = re.compile(r"[\s,;]+")
_BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\](?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it."""

    variable: str
    url: str
    """Its address without credentials."""
    auth: tuple[str, str] | None = field(default=None, repr=False)
    """User and password."""

    @property
    def is_tls(self) -> bool:
        """True if the connection to the proxy itself is encrypted."""
        return self.url.startswith("https://")

    @property
    def is_socks(self) -> bool:
        """True if it speaks SOCKS and not HTTP."""
        return self.url.startswith("socks")


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for a URL; None if it is reached directly. Raises UsageError if the variable has no usable value."""
    named = named_for_url(url, environ)
    return parsed(*named) if named else None


def named_for_url(url: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The variable that counts for a URL, and its value; None if the URL is reached directly."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    _, listed = no_proxy(environ)
    if is_this_machine(host) or is_exempt(host, parts.port or DEFAULT_PORTS.get(parts.scheme), listed):
        return None
    return named_for(parts.scheme, environ) or named_for("all", environ)


def named_for(kind: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The variable that is set for a scheme or for all, and its value; None if there is none."""
    for name in _names(kind):
        if (value := environ.get(name)) is not None:
            return (name, value.strip()) if value.strip() else None
    return None


def no_proxy(environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that lists the hosts that need no proxy, and its value."""
    name = "no_proxy" if "no_proxy" in environ else "NO_PROXY"
    return name, environ.get(name, "")


def parsed(variable: str, value: str) -> Proxy:
    """The proxy that a variable names. Raises UsageError, without the password in the value."""
    parts = _split(value if "://" in value else f"http://{value}")
    if parts is None:
        raise not_a_proxy(variable, value)
    scheme, (user_info, _, place) = ALIASES.get(parts.scheme, parts.scheme), parts.netloc.rpartition("@")
    if scheme not in SCHEMES:
        likely = "socks5h" if scheme.startswith("socks") else "http"
        raise UsageError(
            f"{variable} names a proxy of the kind {parts.scheme!r}; there are {', '.join(SCHEMES)}.",
            hint=f"export {variable}={shlex.quote(f'{likely}://{place}')}",
        )
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise UsageError(
            f"{variable} names a SOCKS proxy, and the package socksio is not installed.", hint="pip install socksio"
        )
    user, _, password = user_info.partition(":")
    return Proxy(variable, f"{scheme}://{place}", (unquote(user), unquote(password)) if user_info else None)


def not_a_proxy(variable: str, value: str) -> UsageError:
    """The error for a value that is no address, without the password in it."""
    return UsageError(
        f"{variable} is not the address of a proxy: {value.rpartition('@')[2]!r}.",
        hint=f"export {variable}=http://HOST:PORT, with %XX for special characters in a password",
    )


def proxy_secrets(environ: Mapping[str, str]) -> set[str]:
    """The credentials of all proxies, as written and decoded."""
    values = (environ.get(name, "") for kind in KINDS for name in _names(kind))
    written = {part for value in values for part in _credentials(value)}
    return {form for secret in written if secret for form in (secret, unquote(secret))}


def is_exempt(host: str, port: int | None, listed: str) -> bool:
    """True if the text of NO_PROXY lists the host."""
    return any(_covers(entry, host.rstrip(".").lower(), port) for entry in entries_of(listed))


def entries_of(listed: str) -> list[str]:
    """The entries of NO_PROXY in lower case, without schemes."""
    return [entry.rpartition("://")[2].lower() for entry in _SEPARATORS.split(listed) if entry]


def _names(kind: str) -> tuple[str, str]:
    return f"{kind}_proxy", f"{kind}_proxy".upper()


def _split(url: str) -> SplitResult | None:
    """The parts of an address that has a host and a valid port; None if it has not."""
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/")
    except ValueError:
        return None
    is_plain = is_whole and not re.search(r"[\s\"'<>{}|\\^`$]", parts.netloc.rpartition("@")[2])
    return parts if is_plain and not parts.query and not parts.fragment else None


def _credentials(value: str) -> Iterator[str]:
    user_info = value.rpartition("://")[2].rpartition("@")[0]
    yield user_info
    yield user_info.partition(":")[2]


def _covers(entry: str, host: str, port: int | None) -> bool:
    """True if one entry covers the host: a name covers the names below it, too."""
    name, only_port = _entry_parts(entry)
    if only_port is not None and only_port != port:
        return False
    if fnmatchcase(host, name):
        return True
    if (address := address_of(host)) is None:
        domain = name.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return address == address_of(name)


def _entry_parts(entry: str) -> tuple[str, int | None]:
    """The host or network of an entry, and its port."""
    if bracketed := _BRACKETED.fullmatch(entry):
        return bracketed["host"], int(bracketed["port"]) if bracketed["port"] else None
    name, colon, port = entry.partition(":")
    return (name, int(port)) if colon and port.isdecimal() and port.isascii() else (entry, None)
