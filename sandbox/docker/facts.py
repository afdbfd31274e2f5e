"""The facts about a reachable engine, and the checks that it has a policy's runtime and network."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import docker

from sandbox.docker.engine import CONNECT_TIMEOUT_S, connect, engine_errors
from sandbox.docker.seccomp import security_options
from sandbox.docker.users import own_ids, read_id_map
from sandbox.errors import EngineError
from sandbox.policy import Policy


@dataclass(frozen=True)
class Engine:
    """A reachable engine and the facts about it."""

    client: docker.DockerClient
    name: str
    host: str
    """Operating system, kernel and architecture of its machine."""
    runtimes: frozenset[str]
    default_runtime: str
    cpus: float
    system_calls: tuple[str, ...]
    """The part of SecurityOpt that limits system calls."""
    ids: range
    """The uids and gids that sandboxes get."""
    mark: tuple[str | None, str | None]
    """Its answer to a ping; see `ping`."""

    @classmethod
    def find(cls) -> Self:
        """Connect to the engine that the environment names. Raises EngineError."""
        client = connect()
        try:
            with engine_errors("describe itself"):
                facts, mark = client.info(), ping(client)
            name = f"docker {facts['ServerVersion']}"
            host = " · ".join(facts.get(key, "") for key in ("OperatingSystem", "KernelVersion", "Architecture"))
            return cls(
                client,
                name,
                host,
                runtimes=frozenset(facts["Runtimes"]),
                default_runtime=facts.get("DefaultRuntime", ""),
                cpus=facts["NCPU"],
                system_calls=security_options(facts),
                ids=own_ids(facts, read_id_map()),
                mark=mark,
            )
        except EngineError:
            client.close()
            raise

    def is_current(self) -> bool:
        """True if the engine still answers with the versions that it had."""
        try:
            with engine_errors("answer"):
                return ping(self.client) == self.mark
        except EngineError:
            return False


def ping(client: docker.DockerClient) -> tuple[str | None, str | None]:
    """Ask for the version of the engine and of its API (GET /_ping, whose URL has no version)."""
    reply = client.api.get(f"{client.api.base_url}/_ping", timeout=CONNECT_TIMEOUT_S)
    return reply.headers.get("Server"), reply.headers.get("Api-Version")


def check_runtime(runtimes: Iterable[str], policy: Policy) -> None:
    """Raise EngineError if the engine does not have the policy's runtime."""
    if policy.runtime is not None and policy.runtime not in runtimes:
        raise EngineError(
            f"The engine has no runtime {policy.runtime!r}; it has {', '.join(sorted(runtimes))}.",
            hint=f"cellblock doctor --runtime {shlex.quote(policy.runtime)}",
        )


def check_network(client: docker.DockerClient, policy: Policy) -> None:
    """Raise EngineError if the engine does not have the policy's network, or if it is the host's own."""
    if policy.network == "none":
        return
    with engine_errors("list its networks"):
        found = client.api.networks()
    drivers = {network["Name"]: network["Driver"] for network in found}
    if drivers.get(policy.network, "host") == "host":
        names = ", ".join(sorted(name for name, driver in drivers.items() if driver != "host"))
        raise EngineError(
            f"The engine has no network {policy.network!r} for a sandbox; it has {names}.",
            hint=f"docker network create {shlex.quote(policy.network)}",
        )
