# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

# ── Question
# Find the largest prime.

# ── Cell 1, timeout
# while True: n = next_prime(n); print(n)

# ── Cell 2, signal SIGABRT
# os.abort()

# ── Answer
# There is no largest prime.

# ── Outcome: limit (turns), 30 + 15 tokens, 2.5 s
