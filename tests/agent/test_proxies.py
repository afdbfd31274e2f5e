"""The proxy for an address, and the hosts that need none."""

import pytest

from agent.proxies import is_exempt, parsed, proxy_for, proxy_secrets

EXEMPT = {
    "*": ("anything.test", "10.0.0.1", "fd00::1"),
    "10.0.0.0/8": ("10.0.0.1", "10.255.0.1", "::ffff:10.0.0.1"),
    "192.168.0.0/255.255.0.0": ("192.168.7.7",),
    "192.168.1.5": ("192.168.1.5",),
    "192.168.*": ("192.168.1.5",),
    "fd00::/8": ("fd00::1", "[fd00::1]"),
    "fd00::1": ("fd00::1", "fd00:0::1"),
    "[fd00::1]": ("fd00::1",),
    "[fd00::1]:8080": ("fd00::1",),
    "gpu:8080": ("gpu", "GPU", "a.gpu"),
    "example.com": ("example.com", "EXAMPLE.com.", "api.example.com"),
    ".example.com": ("example.com", "api.example.com"),
    "*.example.com": ("example.com", "a.b.example.com"),
    " a.test , b.test;c.test d.test ": ("a.test", "b.test", "c.test", "d.test"),
    "https://example.com": ("example.com",),
}
NOT_EXEMPT = {
    "": ("example.com",),
    ",": ("example.com", "10.0.0.1"),
    "10.0.0.0/8": ("11.0.0.1", "10.example.com", "fd00::1"),
    "10.0.0.0/99": ("10.0.0.1",),
    "192.168.1.5": ("192.168.1.50", "5", "1.192.168.1.5.test"),
    "0.0.1": ("10.0.0.1",),
    "gpu:8081": ("gpu",),
    "[fd00::1]:8081": ("fd00::1",),
    "example.com": ("myexample.com", "example.com.test", "example.org"),
    "fd00::/8": ("fe80::1", "10.0.0.1"),
}


@pytest.mark.parametrize("listed", EXEMPT)
def test_no_proxy_lists_hosts_domains_addresses_and_networks(listed: str) -> None:
    for host in EXEMPT[listed]:
        assert is_exempt(host, 8080, listed), host


@pytest.mark.parametrize("listed", NOT_EXEMPT)
def test_what_no_proxy_does_not_list_is_asked_through_the_proxy(listed: str) -> None:
    for host in NOT_EXEMPT[listed]:
        assert not is_exempt(host, 8080, listed), host


def url_of(url: str, **environ: str) -> str | None:
    proxy = proxy_for(url, environ)
    return f"{proxy.variable} {proxy.url}" if proxy else None


def test_the_variable_of_the_scheme_goes_first_and_lower_case_before_upper_case() -> None:
    both = {"HTTPS_PROXY": "http://https:1", "ALL_PROXY": "http://all:1"}
    assert url_of("https://a.test/v1", **both) == "HTTPS_PROXY http://https:1"
    assert url_of("http://a.test/v1", **both) == "ALL_PROXY http://all:1"
    assert url_of("https://a.test/v1", https_proxy="lower:2", **both) == "https_proxy http://lower:2"
    assert url_of("https://a.test/v1", https_proxy="", **both) == "ALL_PROXY http://all:1"
    assert url_of("https://a.test/v1", no_proxy="a.test", NO_PROXY="b.test", **both) is None
    assert url_of("https://b.test/v1", no_proxy="", NO_PROXY="b.test", **both) == "HTTPS_PROXY http://https:1"
    assert url_of("https://a.test/v1", HTTP_PROXY="http://other:1") is None


def test_a_port_in_no_proxy_is_that_of_the_address_or_of_its_scheme() -> None:
    for url, listed in (("https://a.test/v1", "a.test:443"), ("http://a.test/v1", "a.test:80")):
        assert url_of(url, ALL_PROXY="p:1", NO_PROXY=listed) is None
    assert url_of("https://a.test:8443/v1", ALL_PROXY="p:1", NO_PROXY="a.test:443") == "ALL_PROXY http://p:1"


def test_the_credentials_of_a_proxy_are_decoded_and_not_shown() -> None:
    for written in ("http://us%40er:p%3Aw%2F@p:1", "us%40er:p%3Aw%2F@p:1"):
        proxy = parsed("ALL_PROXY", written)
        assert (proxy.url, proxy.auth) == ("http://p:1", ("us@er", "p:w/"))
        assert "p:w/" not in repr(proxy)
    assert parsed("ALL_PROXY", "http://user:p@ss@p:1").auth == ("user", "p@ss")


def test_the_credentials_of_every_proxy_are_secrets_also_of_one_that_does_not_count() -> None:
    environ = {
        "HTTPS_PROXY": "http://a:first%21word@p:1",
        "https_proxy": "b:second-word@p:1",
        "ALL_PROXY": "http://p:1",
    }
    assert {"first%21word", "first!word", "second-word"} <= proxy_secrets(environ)
