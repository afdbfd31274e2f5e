"""Runs the cells of a recorded run again, without a model, and says what came out otherwise."""
