"""Requests for this server's own names only.

A page that the user's browser has open can let its own name point to this machine (DNS rebinding), and its requests are
of the same origin then. Their Host is still that name.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from agent.server.access.requests import header, is_request, refuse
from agent.server.faults import Fault

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})
"""Names of `--host` that mean all addresses of the machine."""
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::[0-9]{1,5})?")


def host_name(value: str) -> str | None:
    """The name in a Host header, in small letters and without its port; None if it is none."""
    found = _HOST.fullmatch(value)
    if found is None:
        return None
    if found["ipv6"]:
        with suppress(ValueError):
            return str(ip_address(found["ipv6"]))
        return None
    return found["name"].lower().removesuffix(".") or None


def is_loopback(host: str) -> bool:
    """Whether a server on this address is reached from this machine alone."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host.lower() == "localhost"


class HostCheck:
    """Refuses requests for other names: status 403."""

    def __init__(self, app: ASGIApp, *, host: str, further: Iterable[str] = ()) -> None:
        """`host` is the address that the server is bound to, `further` are names by which it is reached as well.

        A server on every address takes each address for its own: rebinding needs a name.
        """
        self._app = app
        self._takes_addresses = host in EVERY_ADDRESS
        own = () if self._takes_addresses else (f"[{host}]" if ":" in host else host,)
        self._names = LOOPBACK | {host_name(name) or name for name in (*own, *further)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_request(scope) or self._is_own(header(scope, b"host") or ""):
            await self._app(scope, receive, send)
            return
        shown = (header(scope, b"host") or "")[:100]
        await refuse(
            scope,
            receive,
            send,
            Fault(403, f"The host {shown!r} is none of this server's names; --allow-host adds one.", "forbidden_host"),
        )

    def _is_own(self, value: str) -> bool:
        name = host_name(value)
        return name is not None and (name in self._names or (self._takes_addresses and _is_address(name)))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
