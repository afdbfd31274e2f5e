"""Tells if a host is this machine. No name is resolved."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

NAMES = ("localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback")


def is_this_machine(host: str) -> bool:
    """True if the host of a URL is a loopback address, the unspecified address, or one of their names."""
    name = host.strip("[]").rstrip(".").lower()
    address = address_of(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return name in NAMES or name.endswith(".localhost")


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, in any notation; None for a name. An IPv4 address in an IPv6 one is returned."""
    bare = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        found = ip_address(bare)
    except ValueError:
        return _short_address(bare)
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _short_address(text: str) -> IPv4Address | None:
    """The address behind a notation such as 127.1 or 0x7f000001, which the system accepts too."""
    try:
        return IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None
