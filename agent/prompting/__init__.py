"""All that the model reads from us: the prompt, the output of a cell, and hints."""
