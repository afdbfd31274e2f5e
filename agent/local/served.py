"""A model that stays loaded for many runs: `cellblock model serve` announces it in a file, and runs find it there.

The file has the address and the key, and only its user can read it. A run holds a shared lock on it while it uses the
model, so the server knows when nobody does. A file that a killed server has left names an address where nothing
answers with that key, and is passed over.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from agent.errors import LocalModelError
from agent.local.models import models_dir
from agent.local.server import LocalServer

CHECK_S = 3.0
LOOK_S = 5.0
MAX_BYTES = 10_000


def place_of(model: Path) -> Path:
    """The file that announces the server of a model file."""
    name = hashlib.sha256(os.fsencode(model.absolute())).hexdigest()[:16]
    return models_dir().parent / "serving" / f"{name}.json"


@contextmanager
def announced(server: LocalServer, model: Path) -> Iterator[Path]:
    """Announce a server to the runs of this user while the context lasts. Yields the file."""
    path = place_of(model)
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(server), file)
        partial.replace(path)
    except OSError as error:
        raise LocalModelError(f"Cannot write {str(path)!r}: {error.strerror}.") from error
    try:
        yield path
    finally:
        if _is_announced(path, server):
            path.unlink(missing_ok=True)


@asynccontextmanager
async def in_use(model: Path) -> AsyncIterator[LocalServer | None]:
    """The server that is announced for a model file, held while the context lasts; None if none answers."""
    try:
        file = place_of(model).open("rb")
    except OSError:
        yield None
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_SH)
        server = _server(file)
        try:
            is_alive = server is not None and await asyncio.to_thread(answers, server)
            yield server if is_alive else None
        finally:
            os.utime(file.fileno())


async def until_idle(path: Path, server: LocalServer, idle_s: float) -> None:
    """Return when nobody has used the server for `idle_s`. Raises LocalModelError if it ends or is replaced before."""
    begun_s = time.time()
    while time.time() - max(begun_s, _last_use_s(path)) < idle_s:
        await asyncio.sleep(min(LOOK_S, idle_s))
        try:
            os.kill(server.pid, 0)
        except ProcessLookupError:
            raise LocalModelError("The server of the model has ended.", hint="cellblock model serve") from None
        if not _is_announced(path, server):  # two were started at once
            raise LocalModelError(f"{str(path)!r} does not name this server any more, so no run would find it.")


def _is_announced(path: Path, server: LocalServer) -> bool:
    try:
        with path.open("rb") as file:
            return _server(file) == server
    except OSError:
        return False


def _last_use_s(path: Path) -> float:
    """When the server was last in use; now, if it is."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(file.fileno()).st_mtime
    except BlockingIOError:
        return time.time()
    except OSError:
        return 0.0


def _server(file: IO[bytes]) -> LocalServer | None:
    """The server in a file of our own user, on this machine."""
    try:
        server = LocalServer(**json.loads(file.read(MAX_BYTES)))
    except (ValueError, TypeError):
        return None
    is_own = os.fstat(file.fileno()).st_uid == os.getuid()
    return server if is_own and server.base_url.startswith("http://127.0.0.1:") else None


def answers(server: LocalServer) -> bool:
    """True if the server answers with its key."""
    headers = {"Authorization": f"Bearer {server.api_key}", **server.headers}
    request = urllib.request.Request(f"{server.base_url}/models", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=CHECK_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False
