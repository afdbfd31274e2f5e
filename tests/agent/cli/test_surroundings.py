"""The doctor's checks of proxies and certificates."""

from pathlib import Path

from agent.cli.surroundings import check_surroundings
from tests.test_cli import cellblock

URL = "https://api.test/v1"
LISTED = {"NO_PROXY": "localhost,127.0.0.1,::1"}


def lines(base_url: str | None, **environ: str) -> list[str]:
    """The checks without the hints."""
    return [f"{check.level} {check.name}: {check.detail}" for check in check_surroundings(base_url, environ)]


def test_an_environment_without_these_variables_needs_no_line() -> None:
    assert lines(URL) == lines(None) == lines(URL, **LISTED) == []


def test_a_proxy_is_shown_without_its_password_and_with_its_effect() -> None:
    found = lines(URL, HTTPS_PROXY="http://user:secret@p:3128", HTTP_PROXY="http://other:1", **LISTED)
    assert found == [
        "ok proxy: http://other:1 of HTTP_PROXY is not used for the model",
        "ok proxy: http://p:3128 of HTTPS_PROXY leads to the endpoint",
    ]
    assert lines("http://127.0.0.1:8000/v1", HTTP_PROXY="http://p:1", **LISTED) == [
        "ok proxy: http://p:1 of HTTP_PROXY is not used for the model"
    ]


def test_a_wrong_proxy_is_a_failure_only_if_the_endpoint_needs_it() -> None:
    said = "proxy: ALL_PROXY names a proxy of the kind 'socks4'; there are http, https, socks5, socks5h."
    assert lines(URL, ALL_PROXY="socks4://p:1", **LISTED) == [f"FAIL {said}"]
    for base_url in (None, "http://localhost:8000/v1"):
        assert lines(base_url, ALL_PROXY="socks4://p:1", **LISTED) == [f"warn {said}"]


def test_a_list_of_exceptions_without_this_machine_is_completed_by_the_hint() -> None:
    *_, check = check_surroundings(None, {"ALL_PROXY": "p:1", "NO_PROXY": "localhost,10.0.0.0/8,"})
    assert check.level == "warn"
    assert check.detail.startswith("NO_PROXY does not list 127.0.0.1, ::1; ")
    assert check.hint == "export NO_PROXY=localhost,10.0.0.0/8,127.0.0.1,::1"
    *_, check = check_surroundings(None, {"ALL_PROXY": "p:1", "no_proxy": "a.test", "NO_PROXY": "*"})
    assert check.hint == "export no_proxy=a.test,localhost,127.0.0.1,::1"
    assert lines(None, ALL_PROXY="p:1", NO_PROXY="*")[1:] == []


def test_an_exception_that_is_no_network_is_pointed_out() -> None:
    assert lines(None, ALL_PROXY="p:1", NO_PROXY="localhost,127.0.0.0/8,::1,10.0.0.0/99")[1:] == [
        "warn proxy: NO_PROXY has the entry '10.0.0.0/99', which is no network"
    ]


def test_wrong_certificates_are_a_failure_only_if_the_endpoint_needs_them(tmp_path: Path) -> None:
    said = "certificates: SSL_CERT_FILE names '/nowhere', which cannot be read: No such file or directory."
    assert lines(URL, SSL_CERT_FILE="/nowhere") == [f"FAIL {said}"]
    assert (
        lines(None, SSL_CERT_FILE="/nowhere") == lines("http://a.test/v1", SSL_CERT_FILE="/nowhere") == [f"warn {said}"]
    )
    both = lines(URL, SSL_CERT_FILE="/nowhere", REQUESTS_CA_BUNDLE=str(tmp_path))
    assert both == [
        f"FAIL {said}",
        f"warn certificates: REQUESTS_CA_BUNDLE names '{tmp_path}', which has no certificate under its hash.",
    ]


def test_the_doctor_names_each_wrong_variable_unasked() -> None:
    wrong = {"SSL_CERT_FILE": "/nowhere", "SSL_CERT_DIR": "", "ALL_PROXY": "socks4://p:1", "NO_PROXY": ""}
    done = cellblock("doctor", environ=wrong | {"DOCKER_HOST": "unix:///nowhere.sock"})
    assert done.stdout.count("\nwarn  certificates: SSL_CERT_FILE names '/nowhere', which cannot be read") == 1
    assert done.stdout.count("\nwarn  proxy: ALL_PROXY names a proxy of the kind 'socks4'") == 1
    assert done.stdout.count("\nwarn  proxy: NO_PROXY does not list localhost, 127.0.0.1, ::1") == 1
