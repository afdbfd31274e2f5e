"""All that the model reads from us: the prompt, what a cell gave, and what helps it on."""
