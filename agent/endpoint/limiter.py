"""One limit on requests and tokens per minute, shared by all callers of one endpoint in this process.

The limit holds for each window of 60 seconds: a request is remembered for that time, first with its estimated tokens,
then with its real ones. Requests are admitted in the order of their arrival. If the endpoint reports too many requests,
all requests wait, and all limits are halved, including the one on requests at once; each answer restores a part.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

WINDOW_S = 60.0
SMALLEST_SHARE = 1 / 16
"""The smallest share of the limit, after many refusals."""
RECOVERY = 1 / 32
"""The share of the limit that each answer restores."""


@dataclass(frozen=True)
class RateLimit:
    """The limits of an endpoint; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_at_once: int | None = None


@dataclass
class Admission:
    """An admitted request. Report its outcome to the limiter, and release it at its end."""

    at_s: float
    tokens: int


class Limiter:
    """Admits requests within the limit. For one event loop."""

    def __init__(
        self,
        limit: RateLimit,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.share = 1.0
        """The usable share of the limit, from SMALLEST_SHARE to 1."""
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()  # first come, first served
        self._recent: deque[Admission] = deque()
        self._running = 0
        self._released = asyncio.Event()
        self._blocked_until_s = 0.0
        self._throttled_at_s = -WINDOW_S

    def grant(self, limit: RateLimit) -> None:
        """Change the limit."""
        self._limit = limit
        self._released.set()

    async def admit(self, tokens: int) -> Admission:
        """Wait until a request of about `tokens` may be sent."""
        async with self._turn:
            while (wait_s := self._wait_s(tokens)) > 0 or self._is_full():
                if wait_s > 0:
                    await self._sleep(wait_s)
                else:
                    self._released.clear()
                    await self._released.wait()
            admission = Admission(self._clock(), tokens)
            self._recent.append(admission)
            self._running += 1
            return admission

    def release(self) -> None:
        """Count a request as ended, with or without success: another may run in its place."""
        self._running -= 1
        self._released.set()

    def answered(self, admission: Admission, tokens: int) -> None:
        """Count the tokens of an answered request; 0 if the endpoint does not report them."""
        admission.tokens = tokens or admission.tokens
        self.share = min(1.0, self.share + RECOVERY)

    def throttled(self, admission: Admission, wait_s: float | None) -> None:
        """Halve the limit after a refusal for too many requests, and wait for `wait_s` or, if None, a default time.

        Requests that run at the same time are refused together: the limit is halved once for them.
        """
        now_s = self._clock()
        if admission.at_s > self._throttled_at_s:
            self.share = max(SMALLEST_SHARE, self.share / 2)
            self._throttled_at_s = now_s
        pause_s = 1 / self.share if wait_s is None else wait_s
        self._blocked_until_s = max(self._blocked_until_s, now_s + pause_s)

    def _is_full(self) -> bool:
        return self._running + 1 > self._allowed(self._limit.requests_at_once)

    def _wait_s(self, tokens: int) -> float:
        now_s = self._clock()
        while self._recent and self._recent[0].at_s <= now_s - WINDOW_S:
            self._recent.popleft()
        return max(self._blocked_until_s - now_s, self._free_at_s(tokens, now_s) - now_s)

    def _free_at_s(self, tokens: int, now_s: float) -> float:
        """The time at which enough of the recent requests expire. A request over the whole limit runs alone."""
        requests_left = self._allowed(self._limit.requests_per_minute) - len(self._recent)
        tokens_left = self._allowed(self._limit.tokens_per_minute) - sum(entry.tokens for entry in self._recent)
        free_at_s = now_s
        for entry in self._recent:
            if requests_left >= 1 and tokens_left >= tokens:
                break
            requests_left, tokens_left = requests_left + 1, tokens_left + entry.tokens
            free_at_s = entry.at_s + WINDOW_S
        return free_at_s

    def _allowed(self, limit: int | None) -> float:
        return float("inf") if limit is None else max(1.0, limit * self.share)
