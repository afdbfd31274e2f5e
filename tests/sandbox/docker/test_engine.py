import json
import socket
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.client import RemoteDisconnected
from pathlib import Path

import docker.errors
import pytest
import requests
import urllib3

from sandbox.docker import engine
from sandbox.errors import EngineError

START = "Try: make engine, or start Docker; `docker context ls` shows where it is expected"
SELECT = "Try: docker context ls, and set DOCKER_HOST or DOCKER_CONTEXT to an engine"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any Docker configuration."""
    for name in ("HOST", "CONTEXT", "CONFIG", "TLS_VERIFY", "CERT_PATH"):
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Set DOCKER_HOST to a server that sends the items of this list to its client."""
    reply: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"".join(reply))

        thread = threading.Thread(target=serve)
        thread.start()
        yield reply
        thread.join()


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def connect_error() -> str:
    with pytest.raises(EngineError) as caught:
        engine.connect()
    return str(caught.value)


def write_context(home: Path, name: str, meta: str) -> None:
    directory = home / ".docker/contexts/meta" / sha256(name.encode()).hexdigest()
    directory.mkdir(parents=True)
    (directory / "meta.json").write_text(meta)


def write_config(home: Path, text: str) -> Path:
    path = home / ".docker/config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_missing_socket_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/none.sock"
    monkeypatch.setenv("DOCKER_HOST", host)
    assert connect_error() == f"No engine at {host!r}: the socket does not exist. {START}"


def test_socket_without_listener_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("s") / "s"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as unheard:
        unheard.bind(str(path))
        assert connect_error() == f"No engine at 'unix://{path}': nothing listens there. {START}"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", "<html>"),
        ("200 OK", "[]"),
        ("200 OK", "{}"),
        ("200 OK", '{"ApiVersion": 7}'),
        ("200 OK", '{"ApiVersion": "x"}'),
        ("500 Internal Server Error", '{"message": "out of order"}'),
        ("500 Internal Server Error", "[]"),
        ("502 Bad Gateway", ""),
    ],
)
def test_another_server_is_not_an_engine(answer: list[bytes], status: str, body: str) -> None:
    answer.append(http(status, body))
    host = engine.find_endpoint().host
    said = f"{status[:3]} {body!r}"
    assert connect_error() == f"What listens at {host!r} is not a container engine: it answers {said}. {SELECT}"


def test_another_protocol_is_not_an_engine(answer: list[bytes]) -> None:
    answer.append(b"SSH-2.0-OpenSSH\r\n")
    host = engine.find_endpoint().host
    assert (
        connect_error()
        == f"What listens at {host!r} is not a container engine: it answers 'SSH-2.0-OpenSSH\\r\\n'. {SELECT}"
    )


def test_address_of_unknown_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "gopher://there")
    assert "'gopher://there'" in connect_error()


def test_an_address_of_ssh_is_answered_with_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@host:22")
    assert connect_error() == (
        "The address 'ssh://me@host:22' of DOCKER_HOST cannot be used: SSH must make a socket of it. "
        "Try: ssh -fnNT -L /tmp/engine.sock:/var/run/docker.sock ssh://me@host:22 "
        "&& export DOCKER_HOST=unix:///tmp/engine.sock"
    )


@pytest.mark.parametrize("host", ["nonsense", "tcp://", "tcp://127.0.0.1:port", "/run/docker.sock", "fd://"])
def test_a_malformed_address_is_named_with_its_variable(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    line = connect_error()
    assert line.startswith(f"The address {host!r} of DOCKER_HOST cannot be used: ")
    assert line.endswith(SELECT)


def test_a_refused_connection_is_no_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", host)
        assert connect_error() == f"No engine at {host!r}: nothing listens there. {START}"


def test_missing_files_for_tls_are_named_with_their_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert connect_error() == (
        f"DOCKER_TLS_VERIFY asks for TLS with the files of '{home}/.docker', which has no ca.pem, cert.pem, key.pem. "
        "Try: correct or unset DOCKER_TLS_VERIFY"
    )
    folder = tmp_path_factory.mktemp("certs")
    (folder / "ca.pem").touch()
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    assert connect_error() == (
        f"DOCKER_CERT_PATH asks for TLS with the files of '{folder}', which has no cert.pem, key.pem. "
        "Try: correct or unset DOCKER_CERT_PATH"
    )


def test_files_for_tls_without_a_certificate_are_one_line(
    answer: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in engine.TLS_FILES:
        (tmp_path / name).write_text("no certificate")
    host = engine.find_endpoint().host
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    line = connect_error()
    assert line.startswith(f"The engine at {host!r} cannot be reached over TLS: ")
    assert line.endswith("Try: check DOCKER_CERT_PATH, or the certificates of the Docker context")


@pytest.mark.parametrize("value", ["http://127.0.0.1:9", "http://h:port", "socks4://h", "nonsense://"])
def test_the_proxies_of_other_programs_are_not_used_for_an_engine(
    value: str, answer: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, value)
    answer.append(http("200 OK", '{"ApiVersion": "1.41"}'))
    engine.connect().close()


def test_broken_configuration_is_not_taken_for_the_default_engine(home: Path) -> None:
    path = write_config(home, "{")
    assert connect_error() == (
        f"Cannot read Docker's configuration {str(path)!r}: "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1). "
        "Try: correct or remove that file, or set DOCKER_HOST"
    )


@pytest.mark.parametrize("text", ["[]", '"x"', "\0", "[" * 100_000], ids=["list", "text", "NUL", "deep"])
def test_no_configuration_leaks_a_foreign_error(home: Path, text: str) -> None:
    write_config(home, text)
    assert connect_error().startswith("Cannot read Docker's configuration")


def test_unknown_context_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    assert connect_error() == f"There is no Docker context 'elsewhere'. {SELECT}"


@pytest.mark.parametrize("meta", ["{", "{}", '{"Name": "c", "Metadata": {}, "Endpoints": {"docker": 1}}'])
def test_damaged_context_is_named(home: Path, meta: str) -> None:
    write_context(home, "c", meta)
    write_config(home, '{"currentContext": "c"}')
    assert connect_error().startswith("The Docker context 'c' cannot be read: ")


def test_the_host_is_found_in_the_order_of_the_docker_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.find_endpoint().host == "unix:///var/run/docker.sock"
    for name in ("current", "named"):
        endpoint = {"Host": f"unix:///{name}.sock", "SkipTLSVerify": False}
        write_context(home, name, json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    write_config(home, '{"currentContext": "current"}')
    assert engine.find_endpoint().host == "unix:///current.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "named")
    assert engine.find_endpoint().host == "unix:///named.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///host.sock")
    assert engine.find_endpoint().host == "unix:///host.sock"


def test_permission_denied_names_the_fix() -> None:
    with pytest.raises(EngineError) as caught, engine.engine_errors():
        raise requests.ConnectionError from PermissionError(13, "Permission denied")
    assert str(caught.value) == (
        "You may not use the engine at 'unix:///var/run/docker.sock': permission denied. "
        "Try: sudo usermod -aG docker $USER, then log in again"
    )


def test_a_refusal_is_reported_with_the_explanation_of_the_engine() -> None:
    with pytest.raises(EngineError) as caught, engine.engine_errors("start a container"):
        raise docker.errors.APIError("409 Client Error", explanation="name is taken\n")
    assert str(caught.value) == (
        "The engine at 'unix:///var/run/docker.sock' could not start a container: name is taken."
    )


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout(),
        urllib3.exceptions.ReadTimeoutError(urllib3.HTTPConnectionPool("x"), "/", "late"),
        TimeoutError(),
    ],
)
def test_a_silent_engine_is_reported(error: Exception) -> None:
    with (
        pytest.raises(EngineError, match="did not answer in time, and could not pull"),
        engine.engine_errors("pull"),
    ):
        raise error


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), BrokenPipeError(), RemoteDisconnected("closed")])
def test_an_engine_that_goes_away_is_reported(error: Exception) -> None:
    with pytest.raises(EngineError) as caught, engine.engine_errors("start a container"):
        raise requests.ConnectionError from error
    assert str(caught.value) == (
        "The engine at 'unix:///var/run/docker.sock' went away, and could not start a container. " + START
    )


def test_a_connection_that_fails_leaves_no_socket(home: Path) -> None:
    descriptors = Path("/proc/self/fd")
    client = engine._client(engine.Endpoint(f"unix://{home}/none.sock"), "1.41", 1)
    before = len(list(descriptors.iterdir()))
    failures = []
    for _ in range(3):
        with pytest.raises(EngineError) as caught, engine.engine_errors("answer"):
            client.ping()
        failures.append(caught)  # and with it the traceback that holds the connection
    assert len(list(descriptors.iterdir())) == before
    client.close()


def test_every_error_of_docker_py_is_translated() -> None:
    kinds = [kind for kind in vars(docker.errors).values() if isinstance(kind, type)]
    assert [kind for kind in kinds if issubclass(kind, Exception) and not issubclass(kind, engine.FOREIGN_ERRORS)] == []


def test_errors_of_the_caller_pass_unchanged() -> None:
    with pytest.raises(FileNotFoundError), engine.engine_errors():
        raise FileNotFoundError("mine")
