"""One limit on requests and tokens per minute, shared by all who ask the same endpoint in this process.

No minute, wherever it begins, holds more than the limit: each request is remembered for 60 seconds, first with the
tokens that it is thought to need, then with those that it took. Who comes first is served first. When the endpoint
says that it is asked too often, everyone waits and the limits are halved, the one on requests at once among them; each
answer gives a part of them back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

WINDOW_S = 60.0
SMALLEST_SHARE = 1 / 16
"""Of the limit that is left after many refusals."""
RECOVERY = 1 / 32
"""The share of the limit that each answer gives back."""


@dataclass(frozen=True)
class RateLimit:
    """What an endpoint grants; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_at_once: int | None = None


@dataclass
class Admission:
    """A request that was let through; give it back to the limiter with its outcome, and when it is over."""

    at_s: float
    tokens: int


class Limiter:
    """Lets requests through as the limit allows. For one event loop."""

    def __init__(
        self,
        limit: RateLimit,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.share = 1.0
        """The part of the limit that is used, from SMALLEST_SHARE to 1."""
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()  # wakes its waiters in the order in which they came
        self._recent: deque[Admission] = deque()
        self._under_way = 0
        self._over = asyncio.Event()
        self._blocked_until_s = 0.0
        self._throttled_at_s = -WINDOW_S

    def grant(self, limit: RateLimit) -> None:
        """Keep to another limit from now on."""
        self._limit = limit
        self._over.set()

    async def admit(self, tokens: int) -> Admission:
        """Wait until a request of about so many tokens may be sent."""
        async with self._turn:
            while (wait_s := self._wait_s(tokens)) > 0 or self._is_full():
                if wait_s > 0:
                    await self._sleep(wait_s)
                else:
                    self._over.clear()
                    await self._over.wait()
            admission = Admission(self._clock(), tokens)
            self._recent.append(admission)
            self._under_way += 1
            return admission

    def over(self) -> None:
        """The request is over, however it went: another may be under way in its place."""
        self._under_way -= 1
        self._over.set()

    def answered(self, admission: Admission, tokens: int) -> None:
        """The request was answered, and took so many tokens; 0 where the endpoint does not say."""
        admission.tokens = tokens or admission.tokens
        self.share = min(1.0, self.share + RECOVERY)

    def throttled(self, admission: Admission, wait_s: float | None) -> None:
        """The endpoint refused the request as one too many, and asks to wait so long; None where it does not say.

        Requests that were under way together are refused together: the limit is halved once for them.
        """
        now_s = self._clock()
        if admission.at_s > self._throttled_at_s:
            self.share = max(SMALLEST_SHARE, self.share / 2)
            self._throttled_at_s = now_s
        pause_s = 1 / self.share if wait_s is None else wait_s
        self._blocked_until_s = max(self._blocked_until_s, now_s + pause_s)

    def _is_full(self) -> bool:
        return self._under_way + 1 > self._allowed(self._limit.requests_at_once)

    def _wait_s(self, tokens: int) -> float:
        now_s = self._clock()
        while self._recent and self._recent[0].at_s <= now_s - WINDOW_S:
            self._recent.popleft()
        return max(self._blocked_until_s - now_s, self._free_at_s(tokens, now_s) - now_s)

    def _free_at_s(self, tokens: int, now_s: float) -> float:
        """When enough of the recent requests are a minute old. One that is over the limit alone goes alone."""
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
