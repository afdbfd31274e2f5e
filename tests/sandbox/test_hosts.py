"""Which hosts are this machine."""

import pytest

from sandbox.hosts import is_this_machine

HERE = (
    *("localhost", "LOCALHOST", "localhost.", "api.localhost", "ip6-localhost", "localhost.localdomain"),
    *("127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "0"),
    *("::1", "[::1]", "0:0:0:0:0:0:0:1", "::1%lo", "::", "[::]", "::ffff:127.0.0.1", "[::ffff:7f00:2]"),
)
ELSEWHERE = (
    *("", "h", "example.com", "localhost.example.com", "mylocalhost", "127.0.0.1.example.com", "12.7.0.1"),
    *("10.0.0.1", "192.168.1.5", "128.0.0.1", "169.254.169.254", "fe80::1", "fd00::1", "::2", "::ffff:10.0.0.1"),
)


@pytest.mark.parametrize("host", HERE)
def test_loopback_and_the_unspecified_address_are_this_machine_in_any_notation(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_any_other_host_is_not(host: str) -> None:
    assert not is_this_machine(host)
