"""How numbers, days and texts are written: what scoring and the support of an answer read."""
