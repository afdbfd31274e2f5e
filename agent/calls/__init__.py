"""The calls in a model's reply: those in fields of the reply are checked, those in its text are recovered."""
