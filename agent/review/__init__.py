"""Named checks before a final answer is accepted."""
