"""Mutates run directories in every way that a stranger can, and tests every reader with them."""
