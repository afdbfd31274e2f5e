"""Many tasks, each in a fresh sandbox with a run directory of its own, and nothing lost when it is interrupted."""
