"""Measure a batch, and print the tables."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.batch import chaos, speed
from benchmarks.batch.tasks import made


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("speed", "chaos"), default="speed")
    parser.add_argument("--tasks", type=int, default=1000, help="number of tasks of `chaos`")
    parser.add_argument("--jobs", type=int, default=8)
    given = parser.parse_args()
    if given.what == "speed":
        table = asyncio.run(speed.measure())
    else:
        with tempfile.TemporaryDirectory() as directory:
            table = chaos.table(chaos.run_with_kills(made(given.tasks), Path(directory), jobs=given.jobs, kills=3))
    sys.stdout.write(table + "\n")


if __name__ == "__main__":
    main()
