"""One cell: what the kernel has said about it, and whether it is over."""

from typing import Any

from sandbox.guest.marks import MARK_BEGUN, MARK_WELL
from sandbox.guest.messages import CLEARING
from sandbox.guest.output import CellOutput
from sandbox.guest.processes import count_ooms, now_in_boot_ticks
from sandbox.guest.untrusted import as_count, as_text


class Cell:
    """One execution: it is over when the shell has replied, iopub is idle, pipes are empty and the kernel is well."""

    def __init__(self, number: int, code: str, output: CellOutput) -> None:
        self.id = number
        self.code = code
        self.output = output
        self.message_id = ""
        """The id of the request that runs the cell; empty until it is sent."""
        self.fences: set[str] = set()
        """Requests that the kernel answers after the cell."""
        self.begun = self.replied = self.idle = self.asked_exit = self.interrupted = False
        self.next_works: bool | None = None
        """True if the kernel says that the next cell will work; None until it has checked."""
        self.status = "ok"
        self.execution_count: int | None = None
        self.begun_ticks = now_in_boot_ticks()
        self.ooms_before = count_ooms()

    def owns(self, request_id: str) -> bool:
        """True if a request is the cell's or one of its fences."""
        return bool(request_id) and request_id in {self.message_id, *self.fences}

    def is_owed(self) -> bool:
        """True if the kernel is to answer without running any of the cell's code."""
        return bool(self.message_id) and (not self.begun or self.idle or self.next_works is not None)

    def on_reply(self, content: dict[str, Any]) -> None:
        self.replied = True
        self.status = "ok" if content.get("status") == "ok" else "error"
        self.execution_count = as_count(content.get("execution_count"))
        payload = content.get("payload")
        parts = [part for part in payload if isinstance(part, dict)] if isinstance(payload, list) else []
        self.asked_exit = any(part.get("source") == "ask_exit" for part in parts)
        for page in (part.get("data") for part in parts if part.get("source") == "page"):
            if isinstance(page, dict):  # what a pager would show, such as the answer to `name?`
                self.output.add_text("stdout", as_text(page.get("text/plain", "")).encode("utf-8", "replace"))

    def on_fence(self) -> None:
        """The kernel has reached a request that follows the cell."""
        if not self.replied:
            self.replied = True
            self.status = "error"

    def on_iopub(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "status" and content.get("execution_state") == "idle":
            self.idle = True
        elif kind == "stream":
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            self.output.add_text(name, as_text(content.get("text", "")).encode("utf-8", "backslashreplace"))

    def on_text(self, name: str, data: bytes) -> None:
        self.output.add_text(name, data)

    def on_rich(self, message: dict[str, Any]) -> None:
        """A task of an earlier cell may show something here, too, but not clear what this cell has shown."""
        kind, content = message["header"]["msg_type"], message["content"]
        if kind != CLEARING:
            self.output.add_rich(kind, content, message["size_bytes"])
        elif message["parent_header"].get("msg_id") == self.message_id:
            self.output.clear(waits=bool(content.get("wait")))

    def on_mark(self, kind: bytes, carried: bytes) -> None:
        """The kernel begins a request of the cell, or has checked after it whether the next will work."""
        if self.owns(carried.decode(errors="replace")):
            self.begun = True
            if kind != MARK_BEGUN:
                self.next_works = kind == MARK_WELL

    def finish(self, status: str, cause: str | None, state_lost: bool) -> None:
        self.output.finish()
        self.output.send(
            {
                "type": "done",
                "status": status,
                "cause": cause,
                "state_lost": state_lost,
                "execution_count": self.execution_count,
                "omitted_outputs": self.output.omitted_outputs,
                "omitted_output_bytes": self.output.omitted_bytes,
                "oom_kills": count_ooms() - self.ooms_before,
            }
        )
