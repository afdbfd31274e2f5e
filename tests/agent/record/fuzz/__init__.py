"""Run directories changed in every way that a stranger can change them, and all that reads one put before them."""
