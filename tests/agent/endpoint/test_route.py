"""The way to an endpoint in any environment: proxies of each kind, and certificates."""

import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import httpx2
import openai
import pytest
from pydantic import SecretStr

from agent import AccessError, Agent, Endpoint, EndpointError, Sampling, UnreachableError, UsageError
from agent.endpoint import route
from agent.endpoint.model import Model
from agent.endpoint.route import Route, route_to
from agent.endpoint.unreachable import on_the_way
from tests.agent.endpoint.raw import HEAD, raw_endpoint, said
from tests.agent.endpoint.ways import NAME, Issuer, answering, issuer, over_http, over_socks, silent, straight, way

ANSWER = [HEAD + said("It is 42.")]
GONE = "http://127.0.0.1:9"
CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without proxies and certificates."""
    for kind in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(kind, raising=False)
        monkeypatch.delenv(kind.upper(), raising=False)
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """An authority of our own."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    return issuer(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def hashed(authority: Issuer, tmp_path: Path) -> Path:
    """A directory with the authority's certificate under its hash."""
    shutil.copy(authority.file, tmp_path)
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)
    return tmp_path


async def asked(base_url: str) -> str:
    """The answer of the endpoint at an address."""

    async def at_once(seconds: float) -> None:
        pass

    endpoint = Endpoint(base_url=base_url, model="m", api_key=SecretStr("sk-a-secret-key"))
    async with Model(endpoint, Sampling(), sleep=at_once) as model:
        generation = await model.generate([{"role": "user", "content": "?"}], [], lambda kind, text: None)
        return generation.reply.content


def port_of(base_url: str) -> int:
    return int(base_url.rpartition(":")[2].removesuffix("/v1"))


async def failure(base_url: str) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        await asked(base_url)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


# --- proxies


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["", "http://", "HTTP://"])
async def test_an_http_proxy_forwards_requests(variable: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_endpoint(ANSWER) as endpoint, way(over_http, port_of(endpoint.base_url)) as proxy:
        monkeypatch.setenv(variable, f" {scheme}127.0.0.1:{proxy.port} ")
        assert await asked(f"http://{NAME}:8000/v1") == "It is 42."
    assert proxy.asked == [f"{NAME}:8000"]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_a_socks_proxy_connects(scheme: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_endpoint(ANSWER) as endpoint, way(over_socks, port_of(endpoint.base_url)) as proxy:
        monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{proxy.port}/")
        assert await asked(f"http://{NAME}:8000/v1") == "It is 42."
    assert proxy.asked == [f"{NAME}:8000"]


@pytest.mark.parametrize("over", [over_http, over_socks])
async def test_the_credentials_of_a_proxy_are_sent_to_it_and_kept_secret(
    over: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeting, scheme = (over_http, "http") if over is over_http else (over_socks, "socks5")
    async with raw_endpoint(ANSWER) as endpoint, way(greeting, port_of(endpoint.base_url)) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://us%40er:p%40ss-word@127.0.0.1:{proxy.port}")
        assert await asked(f"http://{NAME}:8000/v1") == "It is 42."
        assert b"p@ss" not in endpoint.heads[0] or scheme == "http"
    assert proxy.auths == ["us@er:p@ss-word"]
    assert {"p%40ss-word", "p@ss-word"} <= Agent(base_url="http://127.0.0.1:9/v1", model="m").runtime.secrets
    assert "p@ss" not in repr(route_to(f"http://{NAME}/v1", os.environ))


async def test_tls_goes_through_each_kind_of_proxy(authority: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with (
        raw_endpoint(ANSWER) as endpoint,
        way(straight, port_of(endpoint.base_url), authority.context()) as server,
        way(over_http, server.port) as plain,
        way(over_http, server.port, authority.context()) as encrypted,
        way(over_socks, server.port) as socks,
    ):
        for address in (
            f"http://127.0.0.1:{plain.port}",
            f"https://localhost:{encrypted.port}",
            f"socks5://127.0.0.1:{socks.port}",
        ):
            monkeypatch.setenv("HTTPS_PROXY", address)
            assert await asked(f"https://{NAME}/v1") == "It is 42."
    assert plain.asked == encrypted.asked == socks.asked == [f"{NAME}:443"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST", "127.0.0.2", "0.0.0.0", "[::ffff:127.0.0.1]", "127.1"]
)
async def test_this_machine_is_reached_past_any_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (GONE, "socks4://nowhere:1", "nonsense://", "http://h:port"):
        monkeypatch.setenv("HTTP_PROXY", value)
        monkeypatch.setenv("ALL_PROXY", value)
        async with raw_endpoint(ANSWER, host="0.0.0.0") as endpoint:
            assert await asked(f"http://{host}:{port_of(endpoint.base_url)}/v1") == "It is 42."


async def test_a_host_of_no_proxy_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://nonsense:port")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, .lan")
    assert route_to("http://10.1.2.3:8000/v1", os.environ).proxy is None
    assert route_to("http://gpu.lan/v1", os.environ).proxy is None
    with pytest.raises(UsageError):
        route_to("http://11.1.2.3:8000/v1", os.environ)


BAD_PROXIES = {
    "socks4://proxy:1080": "HTTPS_PROXY names a proxy of the kind 'socks4'; there are http, https, socks5, socks5h. "
    "Try: export HTTPS_PROXY=socks5h://proxy:1080",
    "ftp://proxy": "HTTPS_PROXY names a proxy of the kind 'ftp'; there are http, https, socks5, socks5h. "
    "Try: export HTTPS_PROXY=http://proxy",
    "http://us:se#cret@proxy:80": "HTTPS_PROXY is not the address of a proxy: 'proxy:80'. "
    "Try: export HTTPS_PROXY=http://HOST:PORT, with %XX for special characters in a password",
    "http://proxy:port": "HTTPS_PROXY is not the address of a proxy: 'http://proxy:port'. "
    "Try: export HTTPS_PROXY=http://HOST:PORT, with %XX for special characters in a password",
}


@pytest.mark.parametrize("value", BAD_PROXIES)
def test_a_proxy_that_cannot_be_used_is_one_line_with_its_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(UsageError) as caught:
        Model(Endpoint(base_url=f"https://{NAME}/v1", model="m"), Sampling())
    assert str(caught.value) == BAD_PROXIES[value]


@pytest.mark.parametrize("host", ["h\udcff", "\u200b", "xn--\u00fc"])
def test_a_name_that_cannot_be_looked_up_is_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://user:password@{host}:1")
    with pytest.raises(UsageError) as caught:
        Model(Endpoint(base_url=f"https://{NAME}/v1", model="m"), Sampling())
    assert str(caught.value).startswith(f"ALL_PROXY is not the address of a proxy: {f'http://{host}:1'!r}. ")


@pytest.mark.parametrize(
    "value", ["http://[::1", "http://", "'http://h:1'", "http://h:99999", "$PROXY", "http:/h", "a b"]
)
def test_no_malformed_proxy_is_taken(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", value)
    with pytest.raises(UsageError, match=r"\Aall_proxy is not the address of a proxy"):
        route_to(f"http://{NAME}/v1", os.environ)


async def test_a_proxy_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        there = f"127.0.0.1:{taken.getsockname()[1]}"
        for scheme in ("http", "socks5"):
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:secret-word@{there}")
            error = await failure(f"https://{NAME}/v1")
            assert isinstance(error, UnreachableError)
            assert str(error) == (
                f"The endpoint 'https://{NAME}/v1', through the proxy '{scheme}://{there}' of HTTPS_PROXY, cannot be "
                "reached: All connection attempts failed (attempt 4). "
                f"Try: add {NAME} to NO_PROXY, if it needs no proxy, or correct HTTPS_PROXY"
            )


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_says_nothing_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "PROXY_TIMEOUT_S", 0.05)
    async with way(silent, 9) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        error = await failure(f"https://{NAME}/v1")
    assert isinstance(error, UnreachableError)
    assert str(error) == (
        f"The endpoint 'https://{NAME}/v1', through the proxy '{scheme}://127.0.0.1:{proxy.port}' of ALL_PROXY, cannot "
        "be reached: the proxy did not connect within 0.05 s (attempt 4). "
        f"Try: add {NAME} to NO_PROXY, if it needs no proxy, or correct ALL_PROXY"
    )


async def test_an_endpoint_that_thinks_long_behind_a_proxy_is_waited_for(
    authority: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "PROXY_TIMEOUT_S", 0.5)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with (
        raw_endpoint([0.7, *ANSWER]) as endpoint,
        way(straight, port_of(endpoint.base_url), authority.context()) as server,
        way(over_http, server.port) as http,
        way(over_socks, server.port) as socks,
        way(over_http, port_of(endpoint.base_url)) as forwarding,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{http.port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{forwarding.port}")
        assert await asked(f"https://{NAME}/v1") == "It is 42."
        assert await asked(f"http://{NAME}/v1") == "It is 42."
        monkeypatch.setenv("HTTPS_PROXY", f"socks5://127.0.0.1:{socks.port}")
        assert await asked(f"https://{NAME}/v1") == "It is 42."


@pytest.mark.parametrize(("verb", "credentials"), [("write", ""), ("correct", "me:wrong@")])
async def test_the_password_for_a_proxy_is_asked_for_whatever_words_it_refuses_with(
    verb: str, credentials: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = b"HTTP/1.1 407 No\r\nContent-Length: 6\r\nConnection: close\r\n\r\nPolicy"
    async with way(answering(answer), 9) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://{credentials}127.0.0.1:{proxy.port}")
        error = await failure(f"http://{NAME}/v1")
    assert str(error).endswith(f"the proxy refuses: Policy. Try: {verb} USER:PASSWORD@ before the host in ALL_PROXY")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_asked_once(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with way(answering(answer), 9) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        error = await failure(f"{scheme}://{NAME}/v1")
    assert isinstance(error, AccessError)
    assert str(error) == (
        f"The endpoint '{scheme}://{NAME}/v1', through the proxy 'http://127.0.0.1:{proxy.port}' of ALL_PROXY, cannot "
        "be reached, as the proxy refuses: "
        f"{'Proxy Authentication Required' if scheme == 'http' else '407 Proxy Authentication Required'}. "
        "Try: write USER:PASSWORD@ before the host in ALL_PROXY"
    )


@pytest.mark.parametrize("answer", [b"\x05\xff", b"\x05\x02"])
async def test_a_socks_proxy_that_refuses_is_named(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with way(answering(answer), 9) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        line = str(await failure(f"https://{NAME}/v1"))
    assert (
        f"through the proxy 'socks5://127.0.0.1:{proxy.port}' of ALL_PROXY, cannot be reached, as the proxy refuses"
        in line
    )
    assert line.endswith("Try: write USER:PASSWORD@ before the host in ALL_PROXY")


@pytest.mark.parametrize(
    "answer", [b"", b"\x05", b"hello, this is no SOCKS proxy", b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_something_else_in_the_place_of_a_proxy_is_one_line(
    answer: bytes, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with way(answering(answer), 9) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        line = str(await failure(f"https://{NAME}/v1"))
    assert f"through the proxy '{scheme}://127.0.0.1:{proxy.port}' of ALL_PROXY" in line


@pytest.mark.parametrize("status", [b"403 Forbidden", b"502 Bad Gateway"])
async def test_the_refusal_of_a_request_through_a_proxy_names_it(
    status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with way(answering(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status), 9) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        for scheme in ("http", "https"):
            line = str(await failure(f"{scheme}://{NAME}/v1"))
            assert line.startswith(f"The endpoint '{scheme}://{NAME}/v1', through the proxy 'http://127.0.0.1:")
            assert status.partition(b" ")[2].decode() in line


# --- certificates


async def test_an_authority_of_ones_own_is_trusted_by_any_of_the_variables(
    authority: Issuer, hashed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [(name, str(authority.file)) for name in CA_VARIABLES if name != "SSL_CERT_DIR"]
    values += [("SSL_CERT_DIR", f"/nowhere:{hashed}"), ("REQUESTS_CA_BUNDLE", str(hashed))]
    async with (
        raw_endpoint(ANSWER) as endpoint,
        way(straight, port_of(endpoint.base_url), authority.context()) as server,
    ):
        for name, value in values:
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                assert await asked(f"https://localhost:{server.port}/v1") == "It is 42."


async def test_a_certificate_that_signs_itself_is_trusted_if_it_is_named(
    authority: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.folder / "alone.pem"))
    async with (
        raw_endpoint(ANSWER) as endpoint,
        way(straight, port_of(endpoint.base_url), authority.context("alone")) as server,
    ):
        assert await asked(f"https://localhost:{server.port}/v1") == "It is 42."


async def test_a_certificate_that_is_not_trusted_is_told_after_one_request(
    authority: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with way(straight, 9, authority.context()) as server:
        url = f"https://localhost:{server.port}/v1"
        error = await failure(url)
        assert isinstance(error, AccessError)
        assert str(error) == (
            f"The endpoint {url!r} has a certificate that is not trusted: unable to get local issuer certificate. "
            "Try: export SSL_CERT_FILE=FILE, with the certificate of its issuer in PEM form"
        )
        other = authority.folder / "alone.pem"
        monkeypatch.setenv("SSL_CERT_FILE", str(other))
        assert f"has a certificate that is not trusted by SSL_CERT_FILE='{other}': " in str(await failure(url))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        line = str(await failure(url.replace("localhost", "127.0.0.1")))
        assert line.endswith(
            "IP address mismatch, certificate is not valid for '127.0.0.1'. "
            "Try: write the host as the certificate names it"
        )


@pytest.mark.parametrize("reason", ["certificate has expired", "certificate is not yet valid"])
def test_a_certificate_of_another_time_points_to_the_clock(reason: str) -> None:
    error = openai.APIConnectionError(request=httpx2.Request("GET", "https://host"))
    words = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason} (_ssl.c:1000)"
    error.__cause__ = httpx2.ConnectError(words)
    assert on_the_way(error, "https://host", Route(None, ssl.create_default_context()), words) == (
        AccessError,
        f"has a certificate that is not trusted: {reason}",
        "date, to see whether the clock of this machine is right; else the server needs another",
    )


async def test_an_address_with_tls_for_a_server_without_it_is_told() -> None:
    async with way(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), 9) as server:
        line = (await failure(f"https://localhost:{server.port}/v1")).for_shell
    assert "does not speak TLS there" in line
    assert line.endswith(f"Try: cellblock run --base-url http://localhost:{server.port}/v1 ...")


def unusable(variable: str, value: str, why: str) -> str:
    return f"{variable} names {value!r}, which {why}. Try: unset {variable}, or set it to your certificates in PEM form"


def test_certificates_that_cannot_be_used_are_one_line_with_their_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "der").write_bytes(b"\x30\x82\x01\x0a" + bytes(100))
    gone, none = "cannot be read: No such file or directory", "cannot be used: it holds no certificate in PEM form"
    lines = {
        ("SSL_CERT_FILE", "/nowhere.pem"): unusable("SSL_CERT_FILE", "/nowhere.pem", gone),
        ("REQUESTS_CA_BUNDLE", "/nowhere.pem"): unusable("REQUESTS_CA_BUNDLE", "/nowhere.pem", gone),
        ("CURL_CA_BUNDLE", "/nowhere.pem"): unusable("CURL_CA_BUNDLE", "/nowhere.pem", gone),
        ("SSL_CERT_DIR", "/nowhere"): unusable("SSL_CERT_DIR", "/nowhere", gone),
        ("SSL_CERT_FILE", f"{tmp_path}/empty.pem"): unusable("SSL_CERT_FILE", f"{tmp_path}/empty.pem", none),
        ("SSL_CERT_FILE", f"{tmp_path}/der"): unusable("SSL_CERT_FILE", f"{tmp_path}/der", none),
        ("SSL_CERT_FILE", str(tmp_path)): unusable("SSL_CERT_FILE", str(tmp_path), "cannot be read: Is a directory"),
        ("SSL_CERT_DIR", str(tmp_path)): f"SSL_CERT_DIR names '{tmp_path}', which has no certificate under its hash. "
        f"Try: openssl rehash {tmp_path}",
    }
    for (variable, value), line in lines.items():
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            with pytest.raises(UsageError) as caught:
                Model(Endpoint(base_url=f"https://{NAME}/v1", model="m"), Sampling())
        assert str(caught.value) == line


@pytest.mark.parametrize("variable", CA_VARIABLES)
async def test_an_endpoint_without_tls_needs_no_certificates(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "/nowhere.pem")
    async with raw_endpoint(ANSWER) as endpoint:
        assert await asked(endpoint.base_url) == "It is 42."


def test_the_system_s_certificates_are_trusted_if_no_variable_names_others() -> None:
    assert route_to(f"https://{NAME}/v1", os.environ).context.verify_mode == ssl.CERT_REQUIRED
