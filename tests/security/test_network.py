"""Attempts to reach anything over a network or a socket. None sends a packet, even if the hardening fails."""

import platform
import socket

import pytest

from sandbox import Session
from tests.security.attempts import Table, assert_found, assert_refused

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

REFUSED: Table = {
    "a route to the metadata service": ("route_to('169.254.169.254')", "ENETUNREACH"),
    "a route to the engine's bridge": ("route_to('172.17.0.1')", "ENETUNREACH"),
    "a route to a private network": ("route_to('10.0.0.1')", "ENETUNREACH"),
    "a route to a public address": ("route_to('192.0.2.1', 53)", "ENETUNREACH"),
    "a route over IPv6": ("route_to('2001:db8::1')", "ENETUNREACH"),
    "a multicast group": ("route_to('224.0.0.251', 5353)", "ENETUNREACH"),
    "a TCP connection to the engine's bridge": ("socket.create_connection(('172.17.0.1', 2375), 1)", "ENETUNREACH"),
    "a name server": (
        "socket.gethostbyname('cellblock.invalid')",
        "gaierror(-3, 'Temporary failure in name resolution')",
    ),
    "the engine's socket": ("connect_to('/var/run/docker.sock')", "ENOENT"),
    "containerd's socket": ("connect_to('/run/containerd/containerd.sock')", "ENOENT"),
    "the system bus": ("connect_to('/run/dbus/system_bus_socket')", "ENOENT"),
    "a raw ICMP socket": ("open_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)", "EPERM"),
    "a raw IPv6 socket": ("open_socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)", "EPERM"),
    "a ping socket": ("open_socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)", "EPERM"),
    "a packet socket": ("open_socket(socket.AF_PACKET, socket.SOCK_RAW, 3)", "EPERM"),
    "an SCTP socket": ("open_socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)", "EPERM"),
    "a multipath TCP socket": ("open_socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)", "EPERM"),
    "a netlink socket for routes": ("open_socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", "ENOTSUP"),
    "a netlink socket for packet filters": ("open_socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)", "ENOTSUP"),
    "a socket to the hypervisor": ("open_socket(socket.AF_VSOCK, socket.SOCK_STREAM)", "EPERM"),
    "a kernel crypto socket": ("open_socket(socket.AF_ALG, socket.SOCK_SEQPACKET)", "EPERM"),
    "a CAN socket": ("open_socket(socket.AF_CAN, socket.SOCK_RAW, 1)", "EPERM"),
    "a TIPC socket": ("open_socket(socket.AF_TIPC, socket.SOCK_STREAM)", "EPERM"),
    "an express data path socket": ("open_socket(44, socket.SOCK_RAW)", "EPERM"),
    "an IPsec key socket": ("open_socket(15, socket.SOCK_RAW, 2)", "EPERM"),
    "a packet socket behind a long number": (
        "system_call('socket', UPPER_HALF | socket.AF_PACKET, socket.SOCK_RAW, 3)",
        "EPERM",
    ),
    "a new address for an interface": ("system_call('ioctl', socket.socket().fileno(), 0x8916)", "EPERM"),
    "an interface brought up": ("system_call('ioctl', socket.socket().fileno(), 0x8914)", "EPERM"),
    "a tunnel": ("os.open('/dev/net/tun', os.O_RDWR)", "ENOENT"),
    "a port below 1024": ("socket.create_connection(('127.0.0.1', 22), 1)", "ECONNREFUSED"),
}

FOUND: Table = {
    "loopback is the only interface": ("sorted(os.listdir('/sys/class/net'))", "['lo']"),
    "no route leads anywhere": ("len(Path('/proc/net/route').read_text().splitlines())", "1"),
    "no IPv6 route except to itself": (
        "{line.split()[-1] for line in Path('/proc/net/ipv6_route').read_text().splitlines()} - {'lo'}",
        "set()",
    ),
    "no name server is known": ("'nameserver' in Path('/etc/resolv.conf').read_text()", "False"),
    "no neighbour is known": ("len(Path('/proc/net/arp').read_text().splitlines())", "1"),
}


@pytest.mark.parametrize("attempt", REFUSED)
async def test_a_cell_does_not_get(cell: Session, attempt: str) -> None:
    await assert_refused(cell, *REFUSED[attempt])


@pytest.mark.parametrize("fact", FOUND)
async def test_in_a_cell(cell: Session, fact: str) -> None:
    await assert_found(cell, *FOUND[fact])


@pytest.mark.skipif(platform.system() != "Linux", reason="abstract sockets are Linux's")
async def test_a_cell_does_not_reach_an_abstract_socket_of_the_host(cell: Session) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0cellblock-test")
        listening.listen()
        await assert_refused(cell, r"connect_to('\0cellblock-test')", "ECONNREFUSED")


async def test_a_cell_does_not_reach_a_port_of_the_host_s_loopback(cell: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        await assert_refused(cell, f"socket.create_connection(('127.0.0.1', {port}), 1)", "ECONNREFUSED")
