"""Runs many tasks, each in a fresh sandbox with its own run directory; an interrupted batch can be resumed."""
