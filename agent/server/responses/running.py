"""A response on its way: its events so far, and those who follow them."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from agent.server.responses.response import ENDED, ResponseObject, Status, without_outputs

Event = dict[str, Any]
MAX_TOGETHER = 100
"""A slow reader must be able to take so many events before it counts as gone."""


class Running:
    """Numbers the events of one response and keeps them. Any number of readers follow, each at its own speed."""

    def __init__(self, response: ResponseObject, *, with_outputs: bool) -> None:
        self.response = response
        self.events: list[Event] = []
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the request is granted; it has the exception if it is not."""
        self.run = ""
        """The name of its run directory; empty if it has none."""
        self.task: asyncio.Task[None] | None = None
        self._with_outputs = with_outputs
        self._news = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """True if no more events come."""
        return self.response.status in ENDED

    def body(self) -> dict[str, Any]:
        """The response as it is now."""
        return self.response.body(with_outputs=self._with_outputs)

    def emit(self, event: Event) -> None:
        """Take one event, and give it its number."""
        item = event.get("item")
        if item is not None and not self._with_outputs:
            event = event | {"item": without_outputs([item])[0]}
        self.events.append({**event, "sequence_number": len(self.events)})
        self._news.set()

    def emit_all(self, events: Iterable[Event]) -> None:
        """Take several events."""
        for event in events:
            self.emit(event)

    def emit_state(self, name: str) -> None:
        """Tell the whole response as it is now."""
        self.emit({"type": f"response.{name}", "response": self.body()})

    def end(self, status: Status) -> None:
        """The response has ended so. The last event tells it."""
        self.response.status = status
        self.emit_state("failed" if status == "cancelled" else status)

    async def follow(self, after: int = -1) -> AsyncGenerator[list[Event]]:
        """The events after this number, as they come, until the end: those that are there at a time, together."""
        place = after + 1
        while True:
            while news := self.events[place : place + MAX_TOGETHER]:
                yield news
                place += len(news)
            if self.has_ended:
                return
            self._news.clear()
            await self._news.wait()

    async def cancel(self) -> None:
        """Stop the answer: a running cell is interrupted. It has ended when this returns."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
