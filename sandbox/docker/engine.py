"""The container engine: its address, the connection to it, and the translation of its errors."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from errno import ENOENT
from http.client import BadStatusLine
from pathlib import Path
from socket import gaierror

import docker
import requests
import urllib3
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, StreamParseError, TLSParameterError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from sandbox.docker.unix import UnixAdapter
from sandbox.errors import EngineError

DEFAULT_HOST = "unix:///var/run/docker.sock"
ANY_API_VERSION = "1.41"
"""A placeholder for the one request whose URL has no version."""
CONNECT_TIMEOUT_S = 10
REQUEST_TIMEOUT_S = 60
MAX_CONNECTIONS = 16
"""Connections kept open for the next request. More than are ever used at once: urllib3 warns when it drops one."""

TLS_FILES = ("ca.pem", "cert.pem", "key.pem")

IS_CHECKOUT = (Path(__file__).parents[2] / "images" / "engine.sh").exists()
START = f"{'make engine, or ' * IS_CHECKOUT}start Docker; `docker context ls` shows where it is expected"
"""Who has installed Cellblock with pip has no Makefile."""
SELECT = "docker context ls, and set DOCKER_HOST or DOCKER_CONTEXT to an engine"

FOREIGN_ERRORS = (
    DockerException,
    StreamParseError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)
"""The exceptions of docker-py and of the libraries under it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of an engine, in the form of DOCKER_HOST, and its TLS configuration."""

    host: str
    tls: TLSConfig | None = None
    named_by: str = "the default"


def find_endpoint() -> Endpoint:
    """Find the engine: DOCKER_HOST, else DOCKER_CONTEXT, else the command line's current context, else the default.

    Raises:
        EngineError: the TLS settings, the named context or Docker's own configuration cannot be used.
    """
    try:
        if os.environ.get("DOCKER_HOST"):
            return _endpoint_of_environment()
        name = os.environ.get("DOCKER_CONTEXT") or _current_context()
        return Endpoint(DEFAULT_HOST) if name == "default" else _context_endpoint(name)
    except DockerException as error:
        raise EngineError(f"Docker's settings cannot be used: {_one_line(error)}.", hint=SELECT) from error


def other_sockets(used: str) -> list[str]:
    """The usual sockets of engines that this user may write to, rootless and desktop ones included, except `used`."""
    runtime_dir = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    usual = (
        Path(DEFAULT_HOST.removeprefix("unix://")),
        runtime_dir / "docker.sock",
        Path.home() / ".docker/desktop/docker.sock",
        Path.home() / ".docker/run/docker.sock",
        runtime_dir / "podman/podman.sock",
    )
    return [address for path in usual if (address := f"unix://{path}") != used and os.access(path, os.W_OK)]


def connect() -> docker.DockerClient:
    """Connect to the engine that `find_endpoint` names; the caller closes the client.

    Raises:
        EngineError: nothing answers there, it refuses, or it is not a container engine.
    """
    endpoint = find_endpoint()
    if endpoint.host.startswith("ssh://"):  # docker-py's SSH gives no socket, and a sandbox needs one
        message = f"The address {endpoint.host!r} of {endpoint.named_by} cannot be used: SSH must make a socket of it."
        raise EngineError(message, hint=_tunnel(endpoint.host))
    try:
        _client(endpoint, ANY_API_VERSION, CONNECT_TIMEOUT_S).close()
    except (DockerException, ValueError, OSError) as error:
        message = f"The address {endpoint.host!r} of {endpoint.named_by} cannot be used: {_one_line(error)}."
        raise EngineError(message, hint=SELECT) from error
    with engine_errors("open a connection"):
        return _client(endpoint, _api_version(endpoint), REQUEST_TIMEOUT_S)


def _tunnel(host: str) -> str:
    """The commands that reach the engine behind an SSH address."""
    forwarded = "/tmp/engine.sock:/var/run/docker.sock"
    return f"ssh -fnNT -L {forwarded} {shlex.quote(host)} && export DOCKER_HOST=unix:///tmp/engine.sock"


@contextmanager
def engine_errors(action: str = "do what was asked") -> Iterator[None]:
    """Translate the errors of docker-py and of the libraries under it that the block raises.

    `action` completes the sentence "the engine could not …", for example "start a container".

    Raises:
        EngineError: in place of the foreign error, which is its cause.
    """
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise _translate(error, action) from error


def _endpoint_of_environment() -> Endpoint:
    """The engine of DOCKER_HOST, over TLS if DOCKER_TLS_VERIFY or DOCKER_CERT_PATH is set."""
    try:
        settings = kwargs_from_env()
    except TLSParameterError as error:
        folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        missing = ", ".join(name for name in TLS_FILES if not (folder / name).is_file())
        variable = "DOCKER_CERT_PATH" if os.environ.get("DOCKER_CERT_PATH") else "DOCKER_TLS_VERIFY"
        message = (
            f"{variable} asks for TLS with the files of {str(folder)!r}, which has no {missing or 'usable files'}."
        )
        raise EngineError(message, hint=f"correct or unset {variable}") from error
    return Endpoint(settings["base_url"], settings.get("tls"), "DOCKER_HOST")


def _client(endpoint: Endpoint, version: str, timeout_s: int) -> docker.DockerClient:
    client = docker.DockerClient(
        base_url=endpoint.host,
        tls=endpoint.tls or False,
        version=version,
        timeout=timeout_s,
        use_ssh_client=True,
        max_pool_size=MAX_CONNECTIONS,
    )
    client.api.trust_env = False  # an engine is reached without the proxies of other programs
    if endpoint.host.startswith("unix:"):
        path = f"/{endpoint.host.removeprefix('unix:').lstrip('/')}"
        client.api.mount("http+docker://", UnixAdapter(path, timeout_s, max_pool_size=MAX_CONNECTIONS))
    return client


def _api_version(endpoint: Endpoint) -> str:
    """Ask the engine for its API version. docker-py's own detection leaks its socket if the answer is wrong."""
    with closing(_client(endpoint, ANY_API_VERSION, CONNECT_TIMEOUT_S)) as probe:
        reply = probe.api.get(f"{probe.api.base_url}/version", timeout=CONNECT_TIMEOUT_S)
    try:
        version = str(reply.json()["ApiVersion"])
    except (KeyError, TypeError, ValueError, RecursionError):
        version = ""
    if not re.fullmatch(r"\d+\.\d+", version):
        raise _not_an_engine(endpoint.host, f"{reply.status_code} {reply.text[:80]!r}")
    return version


def _current_context() -> str:
    """Read the current context. docker-py ignores a broken file and would choose the default engine."""
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        return str(json.loads(path.read_bytes()).get("currentContext") or "default")
    except FileNotFoundError:
        return "default"
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = f"Cannot read Docker's configuration {str(path)!r}: {error}"
        raise EngineError(f"{reason}.", hint="correct or remove that file, or set DOCKER_HOST") from error


def _context_endpoint(name: str) -> Endpoint:
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # docker-py raises bare exceptions for a damaged context
        raise EngineError(f"The Docker context {name!r} cannot be read: {error}.", hint=SELECT) from error
    if context is None or not context.Host:
        raise EngineError(f"There is no Docker context {name!r}.", hint=SELECT)
    how = "DOCKER_CONTEXT" if os.environ.get("DOCKER_CONTEXT") else "the current context"
    return Endpoint(context.Host, context.TLSConfig, f"{how} {name!r}")


def _translate(error: BaseException, action: str) -> EngineError:
    host = find_endpoint().host
    for link in _chain(error):
        if isinstance(link, urllib3.exceptions.NewConnectionError):
            continue  # its library counts it as a time-out
        if found := _not_reached(link, host):
            return found
        match link:
            case TimeoutError() | requests.Timeout() | urllib3.exceptions.TimeoutError():
                message = f"The engine at {host!r} did not answer in time, and could not {action}."
                return EngineError(message, hint="docker info, to see whether it is well")
            case ConnectionError():
                return EngineError(f"The engine at {host!r} went away, and could not {action}.", hint=START)
            case BadStatusLine():
                return _not_an_engine(host, repr(str(link)[:80]))
    return EngineError(f"The engine at {host!r} could not {action}: {_one_line(error)}.")


def _not_reached(link: BaseException, host: str) -> EngineError | None:
    """The error for an engine to which there is no connection."""
    match link:
        case PermissionError():
            hint = "sudo usermod -aG docker $USER, then log in again"
            return EngineError(f"You may not use the engine at {host!r}: permission denied.", hint=hint)
        case ConnectionRefusedError() | FileNotFoundError() if host.startswith("unix:") or link.errno != ENOENT:
            why = "the socket does not exist" if link.errno == ENOENT else "nothing listens there"
            return EngineError(f"No engine at {host!r}: {why}.", hint=START)
        case gaierror():
            return EngineError(f"No engine at {host!r}: the name of its host is not known.", hint=SELECT)
        case requests.exceptions.SSLError():
            hint = "check DOCKER_CERT_PATH, or the certificates of the Docker context"
            return EngineError(f"The engine at {host!r} cannot be reached over TLS: {_one_line(link)}.", hint=hint)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, without the exception that the caller was handling."""
    while error is not None:
        yield error
        error = (error.__cause__ or error.__context__) if isinstance(error, FOREIGN_ERRORS) else None


def _one_line(error: BaseException) -> str:
    """The error as one line; the engine's own explanation is clearer than docker-py's text."""
    text = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return " ".join(str(text).split()).rstrip(".") or type(error).__name__


def _not_an_engine(host: str, answer: str) -> EngineError:
    return EngineError(f"What listens at {host!r} is not a container engine: it answers {answer}.", hint=SELECT)
