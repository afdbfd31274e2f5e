"""Measure a batch: its speed, its cost, and its results after faults and kills. Run `python -m benchmarks.batch`."""
