"""How often the built-in model solves computing tasks, and why it does not: `python -m benchmarks.solve`."""
