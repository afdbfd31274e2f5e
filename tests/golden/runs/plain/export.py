# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

# ── Question
# What does a code interpreter do?

# ── Answer
# It runs the code that a model writes.

# ── Outcome: answered, 10 + 5 tokens, 2.5 s
