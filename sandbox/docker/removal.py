"""The removal of containers: at once if the engine answers, later if it does not."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import docker
import requests
from docker.errors import create_api_error_from_http_exception

from sandbox.docker.engine import engine_errors
from sandbox.docker.orphans import LABEL, START_TOKEN, find_orphans
from sandbox.errors import EngineError

REQUEST_TIMEOUT_S = 10
"""The longest time for a removal before it counts as failed."""
REMOVAL_LIMIT_S = 15.0
"""The longest wait for a removal; a slower one continues in its thread."""
THREADS = 4


def remove_container(client: docker.DockerClient, container: str) -> None:
    """Kill and remove a container by id or name, and wait until it is gone. It need not exist.

    Raises:
        EngineError: the engine refused, or took longer than 10 s.
    """
    url = f"{client.api.base_url}/v{client.api.api_version}/containers/{container}"
    with engine_errors("remove a container"):
        reply = client.api.delete(url, params={"force": True, "v": True}, timeout=REQUEST_TIMEOUT_S)
        if reply.status_code == 404:
            return
        if reply.status_code == 409:  # it ended by itself, and the engine is removing it
            wait_removed(client, container)
            return
        try:
            reply.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)


def wait_removed(client: docker.DockerClient, container: str) -> None:
    """Wait for a container that the engine is already removing."""
    with suppress(docker.errors.NotFound):
        client.api.wait(container, condition="removed", timeout=REQUEST_TIMEOUT_S)


class Removals:
    """Removes containers, and keeps those that the engine could not remove for another try.

    It has its own threads: removals do not wait for starts.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cellblock-removal")
        self._under_way: set[Future[None]] = set()
        self._left: deque[str] = deque()

    @property
    def has_left(self) -> bool:
        """True if some containers could not be removed."""
        return bool(self._left)

    def remove(self, client: docker.DockerClient, container: str) -> None:
        """Remove a container, or keep it for `retry`. Never raises EngineError."""
        try:
            remove_container(client, container)
        except EngineError:
            self._left.append(container)

    def remove_start(self, client: docker.DockerClient, token: str) -> None:
        """Remove the container of a start, even if the engine's answer was lost. Never raises EngineError.

        If the engine creates the container after this call, a later `sweep` removes it.
        """
        with suppress(EngineError):
            with engine_errors("list its containers"):
                found = client.api.containers(all=True, filters={"label": [LABEL, f"{START_TOKEN}={token}"]})
            for container in found:
                self.remove(client, container["Id"])

    def sweep(self, client: docker.DockerClient) -> None:
        """Remove the orphans. Never raises EngineError."""
        with suppress(EngineError):
            for orphan in find_orphans(client):
                self.remove(client, orphan.id)

    def begin(self, job: Callable[..., None], *arguments: Any) -> Future[None]:
        """Run a job that removes containers in one of the threads; `wait` waits for it."""
        removal = self._threads.submit(job, *arguments)
        self._under_way.add(removal)
        removal.add_done_callback(self._under_way.discard)
        return removal

    def retry(self, client: docker.DockerClient) -> None:
        """Begin the failed removals again."""
        for _ in range(len(self._left)):
            self.begin(self.remove, client, self._left.popleft())

    async def wait(self) -> None:
        """Wait for all running removals, 15 s at most."""
        await wait_for_removals(*self._under_way)


async def wait_for_removals(*removals: Future[None]) -> None:
    """Wait for removals, 15 s at most. They continue if the wait ends early or is cancelled."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def note(_: Future[None]) -> None:
        if all(removal.done() for removal in removals):
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(done.set)

    for removal in removals:
        removal.add_done_callback(note)
    if removals:
        with suppress(TimeoutError):
            async with asyncio.timeout(REMOVAL_LIMIT_S):
                await done.wait()
