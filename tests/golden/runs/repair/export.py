# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

# ── Question
# What is the mean of 3, 5 and 10?

# ── Cell 1, failed: NameError: name 'mean' is not defined
# print(mean([3, 5, 10]))

# ── Cell 2
def mean(numbers):
    return sum(numbers) / len(numbers)

print(mean([3, 5, 10]))

# ── Answer
# The mean is **6**:
#
# 1. the sum is 18,
# 2. there are 3 numbers.
#
# ```python
# assert 18 / 3 == 6
# ```
#
# | sum | count |
# |---|---|
# | 18 | 3 |

# ── Outcome: answered, 30 + 15 tokens, 2.5 s, 0.000185 USD
