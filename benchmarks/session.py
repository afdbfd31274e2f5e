"""Measure the start, the answers and the memory of a session, beside baselines: `python -m benchmarks.session`.

Cellblock and its baselines alternate within one run, so that a noisy machine disturbs both alike. Compare the ratios;
the times depend on the machine.
"""

import asyncio
import platform
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from sandbox import Session
from sandbox.calls import HostAnswer, HostCall, HostFunction, Parameter
from sandbox.docker import DockerLauncher, connect, default_image
from sandbox.pool import Pool

TURNS = 7
ROUND_TRIPS_A_TURN = 40
PRINT_20_MB = "print('x' * 20_000_000)"
CALLS = 1000
CALL_IN_A_LOOP = f"""
import time
begun, times = time.perf_counter(), []
for number in range({CALLS}):
    before = time.perf_counter()
    echo(number)
    times.append(time.perf_counter() - before)
print(sorted(times)[{CALLS} // 2], time.perf_counter() - begun)
"""
VALUE = Parameter("value", is_keyword_only=False, annotation="int", has_default=False, default=None)
ECHO = HostFunction("echo", (VALUE,), "int", "Return the value.", is_async=False)


@dataclass
class Samples:
    """The measurements: times in seconds, sizes in bytes."""

    cold_start: list[float] = field(default_factory=list)
    round_trip: list[float] = field(default_factory=list)
    host_call: list[float] = field(default_factory=list)
    host_calls_in_a_loop: list[float] = field(default_factory=list)
    death: list[float] = field(default_factory=list)
    print_20_mb: list[float] = field(default_factory=list)
    anonymous_bytes: list[int] = field(default_factory=list)
    warm_acquire: list[float] = field(default_factory=list)
    eight_at_once: list[float] = field(default_factory=list)
    docker_run_true: list[float] = field(default_factory=list)
    eight_run_true: list[float] = field(default_factory=list)
    bare_start: list[float] = field(default_factory=list)
    bare_round_trip: list[float] = field(default_factory=list)
    bare_print_20_mb: list[float] = field(default_factory=list)


class Watch:
    """A stopwatch: a call returns the seconds since its creation."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self._begun


async def measure_session(launcher: DockerLauncher, samples: Samples) -> None:
    """Measure the first result, round trips, a long print and a kernel's death in a fresh sandbox."""
    watch = Watch()
    async with Session(launcher) as session:
        await session.execute("1+1")
        samples.cold_start.append(watch())
        samples.anonymous_bytes.append(await asyncio.to_thread(anonymous_bytes, session.info.sandbox_id))
        for _ in range(ROUND_TRIPS_A_TURN):
            watch = Watch()
            await session.execute("1+1")
            samples.round_trip.append(watch())
        watch = Watch()
        await session.execute(PRINT_20_MB)
        samples.print_20_mb.append(watch())
        await session.execute("import os")
        watch = Watch()
        await session.execute("os._exit(1)")
        await session.execute("1+1")
        samples.death.append(watch())
        await measure_calls(session, samples)


async def measure_calls(session: Session, samples: Samples) -> None:
    """Measure calls of a function of the host, as the cell sees them."""

    async def answer(call: HostCall) -> HostAnswer:
        return HostAnswer(value=call.arguments["value"])

    session.offer([ECHO], answer)
    await session.execute("echo(0)")
    call_s, all_s = (await session.execute(CALL_IN_A_LOOP)).text.split()
    samples.host_call.append(float(call_s))
    samples.host_calls_in_a_loop.append(float(all_s))


def anonymous_bytes(container: str) -> int:
    """The anonymous memory of a container, as its cgroup counts it."""
    with closing(connect()) as client:
        counted = client.api.stats(container, stream=False, one_shot=True)["memory_stats"]["stats"]
    return int(counted.get("anon", counted.get("rss", 0)))


async def measure_pool(launcher: DockerLauncher, samples: Samples) -> None:
    """Measure the time from the request to a full pool until the session answers."""
    async with Pool(launcher, size=1) as pool:
        await asyncio.sleep(1.5)
        watch = Watch()
        async with pool.session():
            samples.warm_acquire.append(watch())


async def first_results(launcher: DockerLauncher, count: int) -> float:
    """Start `count` sessions together, and return the seconds until each has answered."""

    async def one() -> str:
        async with Session(launcher) as session:
            return (await session.execute("1+1")).text

    watch = Watch()
    answers = await asyncio.gather(*(one() for _ in range(count)))
    assert answers == ["2\n"] * count
    return watch()


@asynccontextmanager
async def bare_kernel() -> AsyncIterator[AsyncKernelClient]:
    """Start jupyter-client and an ipykernel on the host, over ipc and without a container."""
    manager = AsyncKernelManager(transport="ipc")
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready()
        yield client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def measure_bare_kernel(samples: Samples) -> None:
    """Measure a bare kernel in the same way as a session."""
    watch = Watch()
    async with bare_kernel() as client:

        async def execute(code: str) -> None:
            await client.execute_interactive(code, output_hook=lambda message: None)

        await execute("1+1")
        samples.bare_start.append(watch())
        for _ in range(ROUND_TRIPS_A_TURN):
            watch = Watch()
            await execute("1+1")
            samples.bare_round_trip.append(watch())
        watch = Watch()
        await execute(PRINT_20_MB)
        samples.bare_print_20_mb.append(watch())


async def docker_run_true(count: int) -> float:
    """Run `true` in our image, `count` times at once, and return the seconds: the engine's own time."""
    watch = Watch()
    command = ("docker", "run", "--rm", "--network", "none", default_image(), "true")
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(count)]
    if any([await process.wait() for process in processes]):
        sys.exit("docker run true failed")
    return watch()


async def measure() -> tuple[Samples, float, int]:
    """Measure everything in turns, then 50 sessions at once. The first turn warms caches and does not count.

    The last value is the growth of this process in bytes over long prints.
    """
    async with DockerLauncher() as launcher:
        samples = Samples()
        for turn in range(TURNS + 1):
            if turn == 1:
                samples = Samples()
            samples.docker_run_true.append(await docker_run_true(1))
            samples.eight_run_true.append(await docker_run_true(8))
            await measure_session(launcher, samples)
            await measure_pool(launcher, samples)
            samples.eight_at_once.append(await first_results(launcher, 8))
            if turn == 0:
                grown_bytes = await growth_bytes(launcher)
            await measure_bare_kernel(samples)
        return samples, await first_results(launcher, 50), grown_bytes


async def growth_bytes(launcher: DockerLauncher) -> int:
    """The growth of this process over five long prints, before the baselines make it grow."""
    async with Session(launcher) as session:
        Path("/proc/self/clear_refs").write_text("5")  # noqa: ASYNC240 - this resets the peak (proc_pid_clear_refs(5))
        before_bytes = own_memory_bytes("VmRSS")
        for _ in range(5):
            await session.execute(PRINT_20_MB)
        return own_memory_bytes("VmHWM") - before_bytes


def own_memory_bytes(name: str) -> int:
    """A figure of this process from proc_pid_status(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def table(samples: Samples, fifty_s: float, grown_bytes: int) -> str:
    """Format the medians as a Markdown table."""

    def ms(times: list[float], digits: int = 0) -> str:
        return f"{statistics.median(times) * 1000:.{digits}f} ms"

    def ratio(times: list[float], *baselines: list[float]) -> str:
        return f"{statistics.median(times) / sum(statistics.median(baseline) for baseline in baselines):.2f}"

    cold, true, bare = samples.cold_start, samples.docker_run_true, samples.bare_start
    trip, bare_trip = samples.round_trip, samples.bare_round_trip
    long_print, bare_print = samples.print_20_mb, samples.bare_print_20_mb
    anonymous_mb = statistics.median(samples.anonymous_bytes) / 1e6
    rows = [
        (
            "cold start to first result",
            ms(cold),
            f"`docker run true` {ms(true)} + bare kernel {ms(bare)}",
            ratio(cold, true, bare),
        ),
        (
            "session from a warm pool",
            ms(samples.warm_acquire, 1),
            f"cold start {ms(cold)}",
            ratio(samples.warm_acquire, cold),
        ),
        ("round trip of `1+1`", ms(trip, 2), f"bare kernel {ms(bare_trip, 2)}", ratio(trip, bare_trip)),
        (
            "round trip of a host function in a cell",
            ms(samples.host_call, 2),
            f"`1+1` {ms(trip, 2)}",
            ratio(samples.host_call, trip),
        ),
        (f"{CALLS} of them in a loop", ms(samples.host_calls_in_a_loop), "", ""),
        ("death of a kernel to next result", ms(samples.death), f"bare kernel {ms(bare)}", ratio(samples.death, bare)),
        ("print of 20 MB", ms(long_print), f"bare kernel {ms(bare_print)}", ratio(long_print, bare_print)),
        ("this process grows over five of them by", f"{grown_bytes / 1e6:.1f} MB", "", ""),
        (
            "8 cold starts at once",
            ms(samples.eight_at_once),
            f"one {ms(cold)}; 8 `docker run true` at once {ms(samples.eight_run_true)}",
            f"{ratio(samples.eight_at_once, cold)}; {ratio(samples.eight_at_once, samples.eight_run_true)}",
        ),
        ("50 cold starts at once, all answer", f"{fifty_s:.1f} s", f"one {ms(cold)}", ratio([fifty_s], cold)),
        ("anonymous memory of an idle session", f"{anonymous_mb:.0f} MB", "", ""),
    ]
    return "\n".join(
        ["| | Cellblock | baseline | ratio |", "|---|---:|---:|---:|", *(f"| {' | '.join(row)} |" for row in rows)]
    )


def main() -> None:
    """Measure and print."""
    samples, fifty_s, grown_bytes = asyncio.run(measure())
    with closing(connect()) as client:
        engine = client.version()["Version"]
    cpu = f"{platform.machine()}, Python {platform.python_version()}, Docker {engine}"
    sys.stdout.write(f"Medians of {TURNS} turns ({cpu})\n\n{table(samples, fifty_s, grown_bytes)}\n")


if __name__ == "__main__":
    main()
