"""How often the checks of an answer object wrongly, and how often they miss: `python -m benchmarks.review`."""
