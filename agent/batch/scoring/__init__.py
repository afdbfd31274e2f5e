"""Whether an answer is the one that was expected."""
