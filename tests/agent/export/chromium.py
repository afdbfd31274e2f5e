"""Debian's chromium, driven through a pipe. It reports what a page logs, requests and executes."""

import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self

FLAGS = (
    "--headless",
    "--no-sandbox",  # root may not use it; the pages come from these tests
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # what a page asks for is seen, and stays here
    "--remote-debugging-pipe",
)
PATIENCE_S = 60
Scheme = Literal["light", "dark"]


def find_chromium() -> str | None:
    """The path of the browser."""
    return shutil.which("chromium")


@dataclass
class Seen:
    """What a page has done since it was opened."""

    logged: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    """All requests except those for the page itself and `data:` URLs."""
    navigated: list[str] = field(default_factory=list)
    dialogs: int = 0


class Chromium:
    """One browser with one tab and its own profile."""

    def __init__(self) -> None:
        self.seen = Seen()
        self._profile = TemporaryDirectory(ignore_cleanup_errors=True)
        self._last_id = 0
        self._buffer = b""
        commands_out, self._commands = os.pipe()
        self._events, events_in = os.pipe()
        command = [find_chromium() or "chromium", *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" 3</dev/fd/{commands_out} 4>/dev/fd/{events_in}', "sh", *command],
            pass_fds=(commands_out, events_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_out)
        os.close(events_in)
        self._session: str | None = None

    def __enter__(self) -> Self:
        try:
            self._attach()
        except BaseException:
            self.close()
            raise
        return self

    def _attach(self) -> None:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        os.close(self._commands)  # it ends with the pipe
        os.close(self._events)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def open(self, page: Path, *, scheme: Scheme = "light", width: int = 1000) -> Seen:
        """Open a file and say what it did, until half a second after it was loaded."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.visit(page.as_uri())
        self.evaluate("new Promise(done => setTimeout(done, 500))")
        return self.seen

    def visit(self, url: str) -> None:
        """Open a page of this machine."""
        self.seen = Seen()
        self._call("Page.navigate", url=url)
        self._wait("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        result = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self) -> str:
        """The whole page as PNG, in base64."""
        data: str = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        return data

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _wait(self, method: str) -> None:
        while self._receive().get("method") != method:
            pass

    def _receive(self) -> dict[str, Any]:
        """The next message, noted where it says what the page does."""
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._events], [], [], max(0, deadline - time.monotonic()))
            assert ready, "chromium does not answer"
            piece = os.read(self._events, 1 << 20)
            assert piece, "chromium ended"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.seen.logged.append(json.dumps(params))
            case "Log.entryAdded":
                self.seen.logged.append(params["entry"]["text"])
            case "Network.requestWillBeSent" if not params["request"]["url"].startswith(("data:", "file:")):
                self.seen.requested.append(params["request"]["url"])
            case "Page.frameNavigated":
                self.seen.navigated.append(params["frame"]["url"])
            case "Page.javascriptDialogOpening":
                self.seen.dialogs += 1
                self._dismiss()

    def _dismiss(self) -> None:
        message = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}
        os.write(self._commands, json.dumps(message | {"sessionId": self._session}).encode() + b"\0")
