"""The record of a run: its events, the run directory that keeps them, and the history that follows from them."""
