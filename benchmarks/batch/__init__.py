"""How fast a batch goes, what it costs, and what is left of it after faults and kills: `python -m benchmarks.batch`."""
