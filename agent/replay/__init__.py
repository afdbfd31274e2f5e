"""Runs the cells of a recorded run again, without a model, and reports what differs."""
