"""Gives mutated runs to readers, one after the other, and checks the results.

    python -m tests.agent.record.fuzz.running --count 10000 [--reader NAME] [--seed N]

Each reader must give a result or one clear line: without a traceback, without a hang, and with less than 200 MB of
memory. The user's own files must not change, nor the run if a resume is refused.
"""

import argparse
import asyncio
import hashlib
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from agent.errors import PlaybackError
from sandbox import CellblockError
from tests.agent.record.fuzz.mutations import mutate
from tests.agent.record.fuzz.readers import READERS, WRITERS, ToldError, without_engine
from tests.golden.scenarios import SCENARIOS
from tests.golden.writing import SETTINGS, record

GOLDEN = Path(__file__).parents[3] / "golden"
MAX_MB = 200
LIMIT_MB = 3_000
"""The limit on address space, so that a reader fails before it fills the machine's memory."""
CPU_S = 30
WALL_S = 120
TRACE_CHARS = 1_200


class HangError(Exception):
    """A reader takes too long."""


@dataclass
class Failure:
    """A mutated run that a reader handled wrongly."""

    seed: int
    what: str


@dataclass
class Tally:
    """The results of one reader."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    most_mb: tuple[float, int] = (0.0, 0)
    longest_s: tuple[float, int] = (0.0, 0)

    def add(self, seed: int, done: "Reading", changes: list[str]) -> None:
        """Count a reading."""
        self.outcomes["failed" if done.wrong else "refused" if done.said else "read"] += 1
        self.most_mb = max(self.most_mb, (done.memory_mb, seed))
        self.longest_s = max(self.longest_s, (done.cpu_s, seed))
        if done.wrong:
            self.failures.append(Failure(seed, f"{changes}: {done.wrong}"))


def make_bases(folder: Path) -> list[Path]:
    """Make unchanged runs of every kind and schema version."""
    for name, scenario in SCENARIOS.items():
        asyncio.run(record(scenario, folder / name))
    for run in [*(GOLDEN / "recorded").iterdir(), GOLDEN / "v1"]:
        shutil.copytree(run, folder / run.name)
    for run in list(folder.iterdir()):  # and the same runs as if they had crashed
        path = shutil.copytree(run, folder / f"{run.name}-crashed") / "transcript.jsonl"
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]) + b'{"torn')
    return sorted(folder.iterdir())


def make_outside(folder: Path) -> None:
    """Make the user's own files, which are the targets of a stranger's links."""
    (folder / "papers" / "old").mkdir(parents=True)
    for name in ("letter.txt", "papers/thesis.tex", "papers/old/draft.tex", "results.jsonl"):
        (folder / name).write_bytes(name.encode() * 100)


def print_of(folder: Path) -> dict[str, str]:
    """A fingerprint of everything in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file" if path.is_file() else "odd"
        status = path.lstat()
        holds = hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" and status.st_size < 1 << 28 else ""
        found[str(path.relative_to(folder))] = f"{kind} {status.st_mode} {status.st_mtime_ns} {status.st_size} {holds}"
    return found


@contextmanager
def timed() -> Iterator[None]:
    """Raise HangError in code that computes or waits for too long."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError(f"no end after {CPU_S if number == signal.SIGPROF else WALL_S} s")

    before = [signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.setitimer(signal.ITIMER_REAL, WALL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


def _memory_mb(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


@dataclass(frozen=True)
class Reading:
    """The result of one reading."""

    said: str
    """The error line; empty if the run was read."""
    wrong: str
    """What is wrong with the reading; empty if it is right."""
    memory_mb: float
    """The peak memory of the reading, without Python's own memory."""
    cpu_s: float


def read_one(reader: str, run: Path) -> Reading:
    """Give one run to a reader, in a separate process, so that its memory can be measured."""
    ours, theirs = os.pipe()
    if not (child := os.fork()):
        with os.fdopen(theirs, "wb") as pipe:
            pickle.dump(_reading(reader, run), pipe)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(data) if data else Reading("", "its process was killed", 0, 0)


def _reading(reader: str, run: Path) -> Reading:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_MB << 20, LIMIT_MB << 20))
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before_mb, begun_s, said, wrong = _memory_mb("VmRSS:"), time.process_time(), "", ""
    try:
        with timed(), without_engine():
            READERS[reader](run)
    except (CellblockError, ToldError) as error:
        said = str(error)
        if not said or ("\n" in said and not isinstance(error, PlaybackError)):
            wrong = f"not one line: {said[:300]!r}"
    except BaseException as error:
        wrong = "".join(traceback.format_exception(error))[-TRACE_CHARS:]
    taken_mb = _memory_mb("VmHWM:") - before_mb
    wrong = wrong or (f"it takes {taken_mb:.0f} MB" if taken_mb > MAX_MB else "")
    return Reading(said, wrong, taken_mb, time.process_time() - begun_s)


def _warm_up(readers: Iterable[str], base: Path, run: Path) -> None:
    """Read an honest run in this process once, so that the forked processes share the readers' imports."""
    for reader in readers:
        shutil.rmtree(run.parent, ignore_errors=True)
        shutil.copytree(base, run)
        with without_engine(), suppress(CellblockError, ToldError):
            READERS[reader](run)


def fuzz(readers: Iterable[str], seeds: Iterable[int], bases: list[Path], folder: Path) -> dict[str, Tally]:
    """Mutate runs, read them and check the results. A seed always gives the same run."""
    tallies = {reader: Tally() for reader in sorted(readers, key=lambda reader: reader in WRITERS)}
    outside, run = folder / "outside", folder / "work" / "run"
    make_outside(outside)
    _warm_up(tallies, bases[0], run)
    mine = print_of(outside)
    for seed in seeds:
        before: dict[str, str] | None = None
        for reader, tally in tallies.items():
            if before is None or reader in WRITERS:
                shutil.rmtree(run.parent, ignore_errors=True)
                chance = Random(seed)
                shutil.copytree(chance.choice(bases), run)
                changes = mutate(run, outside, chance)
                before = print_of(run)
            done = read_one(reader, run)
            tally.add(seed, done, changes)
            if print_of(outside) != mine:
                tally.failures.append(Failure(seed, f"{changes}: the user's own files were changed"))
                shutil.rmtree(outside)
                make_outside(outside)
                mine = print_of(outside)
            if wrong := _changed(reader, before, run, done.said):
                tally.failures.append(Failure(seed, f"{changes}: {wrong}"))
    return tallies


def _changed(reader: str, before: dict[str, str], run: Path, said: str) -> str | None:
    """Describe a forbidden change: a pure reader changes nothing, and neither does a refused resume."""
    if reader == "batch" or (reader in WRITERS and not said):
        return None
    after = print_of(run)
    if reader in WRITERS and after.get("transcript.jsonl") != before.get("transcript.jsonl"):
        return None  # the run was resumed, and failed later
    return None if after == before else f"it said {said[:200]!r}, and changed the run"


def _summary(tally: Tally) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.outcomes.items()))
    (most_mb, largest), (longest_s, slowest) = tally.most_mb, tally.longest_s
    most = f"most memory {most_mb:.0f} MB (seed {largest}), longest {longest_s:.2f} s (seed {slowest})"
    return f"{counts}; {len(tally.failures)} failures; {most}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--reader", choices=sorted(READERS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ |= {"CELLBLOCK_MODEL": "m", "CELLBLOCK_BASE_URL": SETTINGS.base_url}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="cellblock-fuzz-") as scratch:
        bases = make_bases(Path(scratch) / "bases")
        begun_s = time.monotonic()
        seeds = range(given.seed, given.seed + given.count)
        tallies = fuzz(given.reader or READERS, seeds, bases, Path(scratch))
        for reader, tally in tallies.items():
            failed += len(tally.failures)
            sys.stdout.write(f"{reader:<18} {_summary(tally)}\n")
            for failure in tally.failures[:20]:
                sys.stdout.write(f"  seed {failure.seed}: {failure.what}\n")
        sys.stdout.write(f"{given.count} runs for each reader, in {time.monotonic() - begun_s:.0f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
