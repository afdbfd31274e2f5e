"""A process that starts a sandbox, and is killed or held at one side of the gap between create and start.

`python -m tests.chaos.owner STEP kill|hold|fork START_LIMIT_S`. Held, it says "held", and goes on once it reads a line.
Forked, it leaves a child that has all that it had open and ends with its stdin, and is killed.
"""

import asyncio
import http.client
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import docker

from sandbox import Policy, Session
from sandbox.docker import DockerLauncher

UNREAD = "the answer to create is not read"
STEPS = {
    UNREAD: "create_container",
    "created": "create_container",
    "attached": "attach_socket",
    "started": "start",
}


def die(*_: Any, **__: Any) -> NoReturn:
    """End as `kill -9` ends it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed processes do not go on")


def hold() -> None:
    sys.stdout.write("held\n")
    sys.stdout.flush()
    sys.stdin.readline()


def fork() -> None:
    """Leave a child behind, as a pool of processes does, and die."""
    if os.fork():
        die()
    sys.stdin.read()
    os._exit(0)


ACTS = {"kill": die, "hold": hold, "fork": fork}


def arrange(step: str, act: Callable[[], None]) -> None:
    """Let this happen once at the step."""
    name = STEPS[step]
    real = getattr(docker.APIClient, name)

    def stepped(*arguments: Any, **options: Any) -> Any:
        if step == UNREAD:
            http.client.HTTPConnection.getresponse = die  # type: ignore[method-assign]
        done = real(*arguments, **options)
        act()
        return done

    setattr(docker.APIClient, name, stepped)


async def own(policy: Policy) -> None:
    async with DockerLauncher() as launcher, Session(launcher, policy) as session:
        sys.stdout.write((await session.execute("1 + 1")).text)


if __name__ == "__main__":
    arrange(sys.argv[1], ACTS[sys.argv[2]])
    asyncio.run(own(Policy(start_timeout_s=float(sys.argv[3]))))
