"""One limit for all its users, on a fake clock."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Limiter, RateLimit
from agent.endpoint.limiter import SMALLEST_SHARE, WINDOW_S


class Clock:
    """Time that only passes during a sleep."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter_on(clock: Clock, requests: int | None = None, tokens: int | None = None) -> Limiter:
    return Limiter(RateLimit(requests_per_minute=requests, tokens_per_minute=tokens), clock=clock, sleep=clock.sleep)


async def test_without_a_limit_no_request_waits(clock: Clock) -> None:
    limiter = limiter_on(clock)
    for _ in range(100):
        await limiter.admit(10**9)
    assert clock.slept == []


async def test_a_request_over_the_limit_waits_for_the_oldest_to_be_a_minute_old(clock: Clock) -> None:
    limiter = limiter_on(clock, requests=2)
    await limiter.admit(1)
    clock.now_s += 10
    await limiter.admit(1)
    await limiter.admit(1)
    assert clock.slept == [50.0]


async def test_tokens_are_limited_too(clock: Clock) -> None:
    limiter = limiter_on(clock, tokens=100)
    await limiter.admit(60)
    await limiter.admit(40)
    await limiter.admit(1)
    assert clock.slept == [60.0]


async def test_the_tokens_really_used_count_and_not_the_estimate(clock: Clock) -> None:
    limiter = limiter_on(clock, tokens=100)
    limiter.answered(await limiter.admit(90), 10)
    await limiter.admit(90)
    assert clock.slept == []
    limiter.answered(await limiter.admit(0), 50)
    await limiter.admit(1)
    assert clock.slept == [60.0]


async def test_an_endpoint_that_does_not_count_leaves_the_estimate(clock: Clock) -> None:
    limiter = limiter_on(clock, tokens=100)
    limiter.answered(await limiter.admit(90), 0)
    await limiter.admit(20)
    assert clock.slept == [60.0]


async def test_a_request_that_is_larger_than_the_limit_runs_alone(clock: Clock) -> None:
    limiter = limiter_on(clock, tokens=100)
    await limiter.admit(1000)
    assert clock.slept == []
    await limiter.admit(1)
    assert clock.slept == [60.0]


async def test_requests_are_admitted_in_order(clock: Clock) -> None:
    limiter = limiter_on(clock, requests=1)
    order: list[int] = []

    async def ask(number: int, tokens: int) -> None:
        await limiter.admit(tokens)
        order.append(number)

    await asyncio.gather(*(ask(number, tokens) for number, tokens in enumerate([1, 500, 1, 1])))
    assert order == [0, 1, 2, 3]


async def test_a_cancelled_request_does_not_delay_the_others(clock: Clock) -> None:
    limiter = limiter_on(clock, requests=1)
    await limiter.admit(1)
    waiting = asyncio.create_task(limiter.admit(1))
    await asyncio.sleep(0)
    waiting.cancel()
    await limiter.admit(1)
    assert clock.now_s == 1060.0


async def test_a_refusal_makes_all_requests_wait_as_long_as_asked_and_halves_the_limit(clock: Clock) -> None:
    limiter = limiter_on(clock, requests=4)
    limiter.throttled(await limiter.admit(1), 7)
    await limiter.admit(1)
    assert clock.slept == [7.0]
    await limiter.admit(1)
    assert clock.now_s == 1060.0


async def test_requests_that_are_refused_together_halve_the_limit_once(clock: Clock) -> None:
    limiter = limiter_on(clock, requests=16)
    together = [await limiter.admit(1) for _ in range(4)]
    for admission in together:
        limiter.throttled(admission, None)
    assert limiter.share == 0.5
    assert await limiter.admit(1)
    assert clock.slept == [2.0]


async def test_the_limit_has_a_smallest_share_and_answers_restore_it(clock: Clock) -> None:
    limiter = limiter_on(clock)
    for _ in range(10):
        limiter.throttled(await limiter.admit(1), 0)
        clock.now_s += 1
    assert limiter.share == SMALLEST_SHARE
    for _ in range(40):
        limiter.answered(await limiter.admit(1), 1)
    assert limiter.share == 1


steps = st.lists(st.tuples(st.floats(0, 40), st.integers(0, 60), st.integers(0, 60)), max_size=40)


@given(steps, st.integers(1, 5), st.integers(1, 100))
def test_no_minute_has_more_than_the_limit(steps: list[tuple[float, int, int]], requests: int, tokens: int) -> None:
    clock = Clock()
    limiter = limiter_on(clock, requests, tokens)
    sent: list[tuple[float, int]] = []

    async def ask_all() -> None:
        for pause_s, thought, used in steps:
            clock.now_s += pause_s
            admission = await limiter.admit(thought)
            limiter.answered(admission, min(used, thought))
            sent.append((clock.now_s, admission.tokens))

    asyncio.run(ask_all())
    for start_s, _ in sent:
        minute = [used for at_s, used in sent if start_s <= at_s < start_s + WINDOW_S - 1e-6]
        assert len(minute) <= requests
        assert sum(minute) <= tokens or len([used for used in minute if used]) == 1


async def test_no_more_requests_run_at_once_than_allowed(clock: Clock) -> None:
    limiter = Limiter(RateLimit(requests_at_once=2), clock=clock, sleep=clock.sleep)
    for _ in range(2):
        await limiter.admit(1)
    third = asyncio.create_task(limiter.admit(1))
    await asyncio.sleep(0)
    assert not third.done()
    limiter.release()
    await third
    assert clock.slept == []


async def test_a_refusal_halves_the_requests_at_once_until_answers_restore_them(clock: Clock) -> None:
    limiter = Limiter(RateLimit(requests_at_once=4), clock=clock, sleep=clock.sleep)
    limiter.throttled(await limiter.admit(1), 0)
    limiter.release()
    together = [await limiter.admit(1) for _ in range(2)]
    third = asyncio.create_task(limiter.admit(1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not third.done()
    for _ in range(16):
        limiter.answered(together[0], 1)
    limiter.release()
    await third
    assert limiter.share == 1


async def test_without_a_limit_no_request_waits_on_a_real_clock() -> None:
    limiter = Limiter(RateLimit(requests_at_once=100))
    async with asyncio.timeout(10):
        for _ in range(100):
            await limiter.admit(1)
