"""Exports a recorded run as a notebook, a page, a script, training data or API items."""
