# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

# ── Question
# How many r are in strawberry?

# ── Cell 1
print('strawberry'.count('r'))

# ── Answer
# There are **3**.

# ── Outcome: answered, 20 + 10 tokens, 2.5 s
