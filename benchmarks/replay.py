"""Replay recorded runs and compare the output: `python -m benchmarks.replay RUNS...`, each a run or a folder of runs.

A run counts as its worst cell or file. A difference is explained if the replays differ from each other too.
"""

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.record.transcript import FILE_NAME
from agent.replay.replaying import Item, replay
from sandbox import CellblockError
from sandbox.docker import DockerLauncher

KINDS = ("same", "same_after_normalisation", "explained", "different", "not_run")
"""From the best to the worst, and the cells and files that were not run."""


@dataclass
class Tally:
    """The number of cells, files and runs of each kind."""

    cells: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    notable: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, run: Path, items: list[Item]) -> None:
        """Count a replayed run."""
        kinds = [kind_of(item) for item in items]
        for item, kind in zip(items, kinds, strict=True):
            (self.cells if item.kind == "cell" else self.files)[kind] += 1
            if kind in ("explained", "different"):
                self.notable.append(f"{run.name}, {item.kind} {item.name}: {item.comparison.why or 'different'}")
        compared = [kind for kind in kinds if kind != "not_run"]
        self.runs[max(compared, key=KINDS.index, default="same")] += 1


def kind_of(item: Item) -> str:
    """The verdict; an explained difference is its own kind."""
    return "explained" if item.comparison.is_explained else item.comparison.verdict


def runs_in(paths: list[Path]) -> list[Path]:
    """The runs at these paths and in the folders under them."""
    found = {transcript.parent for path in paths for transcript in path.rglob(FILE_NAME)}
    return sorted(found)


async def measure(runs: list[Path]) -> Tally:
    """Replay the runs in sequence."""
    tally, begun = Tally(), time.monotonic()
    async with DockerLauncher() as launcher:
        for run in runs:
            try:
                tally.add(run, (await replay(run, launcher)).items)
            except CellblockError as error:
                tally.refused.append(f"{run.name}: {error}")
    tally.seconds = time.monotonic() - begun
    return tally


def table(tally: Tally) -> str:
    """Format the tally as Markdown."""
    counts = (tally.cells, tally.files, tally.runs)
    rows = [f"| {kind.replace('_', ' ')} | {' | '.join(str(count[kind]) for count in counts)} |" for kind in KINDS]
    total = " | ".join(str(count.total()) for count in counts)
    lines = [
        "| | cells | files | runs |",
        "|---|---:|---:|---:|",
        *rows,
        f"| all, in {tally.seconds:.0f} s | {total} |",
    ]
    notes = [*tally.notable, *(f"not replayed: {line}" for line in tally.refused)]
    return "\n".join([*lines, *(["", *(f"- {line}" for line in notes)] if notes else []), ""])


if __name__ == "__main__":
    tally = asyncio.run(measure(runs_in([Path(argument) for argument in sys.argv[1:]])))
    sys.stdout.write(table(tally))
    sys.exit(1 if tally.runs["different"] or tally.refused else 0)
