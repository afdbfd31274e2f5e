"""How fast a session starts and answers, beside what it is made of: `python -m benchmarks.session`.

Cellblock and its baselines take turns within one run, so that a noisy machine disturbs both alike. The ratios
are what to read; the times say what this machine is.
"""

import asyncio
import platform
import statistics
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field

from jupyter_client.manager import AsyncKernelManager

from sandbox import Session
from sandbox.docker import DockerLauncher, connect, default_image

STARTS = 7
ROUND_TRIPS = 300


@dataclass
class Samples:
    """Times in seconds, by what was measured."""

    cold_start: list[float] = field(default_factory=list)
    round_trip: list[float] = field(default_factory=list)
    docker_run_true: list[float] = field(default_factory=list)
    bare_start: list[float] = field(default_factory=list)
    bare_round_trip: list[float] = field(default_factory=list)


async def measure_cellblock(launcher: DockerLauncher, samples: Samples) -> None:
    """From the call to the first result, then many round trips, in a fresh sandbox."""
    begun = time.perf_counter()
    async with Session(launcher) as session:
        await session.execute("1+1")
        samples.cold_start.append(time.perf_counter() - begun)
        for _ in range(ROUND_TRIPS // STARTS):
            begun = time.perf_counter()
            await session.execute("1+1")
            samples.round_trip.append(time.perf_counter() - begun)


async def measure_bare_kernel(samples: Samples) -> None:
    """The same with jupyter-client and an ipykernel on the host: no container, no lock."""
    begun = time.perf_counter()
    manager = AsyncKernelManager(transport="ipc")
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready()
        await client.execute_interactive("1+1", output_hook=lambda message: None)
        samples.bare_start.append(time.perf_counter() - begun)
        for _ in range(ROUND_TRIPS // STARTS):
            begun = time.perf_counter()
            await client.execute_interactive("1+1", output_hook=lambda message: None)
            samples.bare_round_trip.append(time.perf_counter() - begun)
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def measure_docker_run_true(samples: Samples) -> None:
    """What the engine itself needs to run nothing in our image."""
    begun = time.perf_counter()
    command = ("docker", "run", "--rm", "--network", "none", default_image(), "true")
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        sys.exit("docker run true failed")
    samples.docker_run_true.append(time.perf_counter() - begun)


async def measure() -> Samples:
    """All of it, in turns; the first turn warms caches and does not count."""
    async with DockerLauncher() as launcher:
        samples = Samples()
        for turn in range(STARTS + 1):
            if turn == 1:
                samples = Samples()
            await measure_docker_run_true(samples)
            await measure_bare_kernel(samples)
            await measure_cellblock(launcher, samples)
    return samples


def table(samples: Samples) -> str:
    """Medians in milliseconds, as Markdown."""

    def median_ms(times: list[float]) -> float:
        return statistics.median(times) * 1000

    true, bare = median_ms(samples.docker_run_true), median_ms(samples.bare_start)
    cold, trip = median_ms(samples.cold_start), median_ms(samples.round_trip)
    bare_trip = median_ms(samples.bare_round_trip)
    return "\n".join(
        [
            "| | Cellblock | baseline | ratio |",
            "|---|---:|---:|---:|",
            f"| cold start to first result | {cold:.0f} ms | `docker run true` {true:.0f} ms "
            f"+ bare kernel {bare:.0f} ms | {cold / (true + bare):.2f} |",
            f"| round trip of `1+1` | {trip:.2f} ms | bare kernel {bare_trip:.2f} ms | {trip / bare_trip:.2f} |",
        ]
    )


def main() -> None:
    """Measure and print."""
    samples = asyncio.run(measure())
    with closing(connect()) as client:
        engine = client.version()["Version"]
    cpu = f"{platform.machine()}, Python {platform.python_version()}, Docker {engine}"
    sys.stdout.write(f"Medians of {STARTS} starts and {ROUND_TRIPS} round trips ({cpu})\n\n{table(samples)}\n")


if __name__ == "__main__":
    main()
