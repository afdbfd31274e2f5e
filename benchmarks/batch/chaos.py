"""Run a batch in which every fault occurs and which is killed several times, and report its results."""

import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from agent import read_results
from agent.batch.results import ABANDONED, RESULTS
from benchmarks.batch.endpoint import served
from benchmarks.batch.tasks import FAULTS, Asked, write
from sandbox.docker import connect
from sandbox.docker.orphans import LABEL, OWNER, own_label

OPTIONS = ("--memory", "256m", "--cell-timeout", "2", "--interrupt-grace", "1", "--max-seconds", "120")
ORPHAN_LIMIT_S = 120.0
SAMPLE_EVERY_S = 0.25


@dataclass
class Start:
    """One start of the batch."""

    seconds: float = 0
    finished: int = 0
    """Results in the file at its end."""
    code: int | None = None
    """Its exit code; negative if a signal ended it."""
    memory_bytes: list[int] = field(default_factory=list)
    """Samples of its resident memory, 0.25 s apart."""


@dataclass
class Outcome:
    """The state after the last start."""

    tasks: list[Asked]
    directory: Path
    starts: list[Start]
    containers: int
    """Containers of all starts that remain at the end."""
    stderr: str


def run_with_kills(tasks: list[Asked], directory: Path, *, jobs: int, kills: int) -> Outcome:
    """Run the tasks; kill the batch each time that an equal share of them is finished."""
    output = directory / "batch"
    source = write(tasks, directory / "tasks.jsonl")
    starts: list[Start] = []
    pids: list[int] = []
    with served(output) as base_url, (directory / "stderr.txt").open("w+") as stderr:
        command = [sys.executable, "-m", "agent", "batch", str(source), "-o", str(output), "-j", str(jobs)]
        command += ["--model", "m", "--base-url", base_url, *OPTIONS]
        for number in range(kills + 1):
            kill_at = len(tasks) * (number + 1) // (kills + 1) if number < kills else None
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
            starts.append(_watched(process, output, kill_at))
            pids.append(process.pid)
        containers = _remaining_containers(pids)
        stderr.seek(0)
        return Outcome(tasks, output, starts, containers, stderr.read())


def _watched(process: subprocess.Popen[bytes], output: Path, kill_at: int | None) -> Start:
    """Wait for the process, or kill it when there are `kill_at` results."""
    start, begun = Start(), time.monotonic()
    while process.poll() is None:
        time.sleep(SAMPLE_EVERY_S)
        start.memory_bytes.append(_memory_bytes(process.pid))
        start.finished = _lines(output / RESULTS)
        if kill_at is not None and start.finished >= kill_at:
            process.send_signal(signal.SIGKILL)
            process.wait()
    start.finished = _lines(output / RESULTS)
    start.seconds = time.monotonic() - begun
    start.code = process.returncode
    return start


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _memory_bytes(pid: int) -> int:
    """The resident memory of the process (proc_pid_status(5), VmRSS); 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS")), 0)


def _remaining_containers(pids: list[int]) -> int:
    """Count the containers of ended processes. A container needs a moment to end after its process."""
    deadline = time.monotonic() + ORPHAN_LIMIT_S
    here = own_label().rsplit("/", 2)[0]
    with closing(connect()) as client:
        while True:
            found = client.api.containers(all=True, filters={"label": LABEL})
            owners = [one["Labels"].get(OWNER, "") for one in found]
            left = [owner for owner in owners if owner.startswith(tuple(f"{here}/{pid}/" for pid in pids))]
            if not left or time.monotonic() > deadline:
                return len(left)
            time.sleep(SAMPLE_EVERY_S)


def table(outcome: Outcome) -> str:
    """Format the outcome as Markdown tables."""
    results = list(read_results(outcome.directory))
    by_id = {result.id: result for result in results}
    times = Counter(result.id for result in results)
    lines = ["| fault | tasks | answered | right | retries | median |", "|---|---:|---:|---:|---:|---:|"]
    for fault in ("none", *FAULTS):
        group = [by_id[task.id] for task in outcome.tasks if task.fault == fault and task.id in by_id]
        seconds = sorted(result.duration_s for result in group)
        answered = sum(result.outcome == "answered" for result in group)
        right, retries = sum(bool(result.match) for result in group), sum(result.retries for result in group)
        median = f"{seconds[len(seconds) // 2]:.1f} s" if seconds else ""
        lines.append(f"| {fault} | {len(group)} | {answered} | {right} | {retries} | {median} |")
    lines += [
        "",
        "| start | ended by | seconds | results then | memory after a tenth | at its end |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for number, start in enumerate(outcome.starts, start=1):
        memory = [each for each in start.memory_bytes if each] or [0]
        ended = "SIGKILL" if start.code == -signal.SIGKILL else f"exit code {start.code}"
        sizes = f"{memory[len(memory) // 10] / 1e6:.0f} MB | {memory[-1] / 1e6:.0f} MB"
        lines.append(f"| {number} | {ended} | {start.seconds:.0f} | {start.finished} | {sizes} |")
    aside = outcome.directory / ABANDONED
    lines += [
        "",
        f"{len(outcome.tasks)} tasks: {len(results)} results, {len(times)} ids, each "
        f"{'once' if set(times.values()) == {1} else 'NOT once'}; containers left: {outcome.containers}; "
        f"runs cut off and set aside: {len(list(aside.iterdir())) if aside.is_dir() else 0}.",
    ]
    return "\n".join(lines)
