# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

import sys

# ── Question
# Plot a sine, and say what its integral is.

# ── Cell 1
plt.plot(xs, np.sin(xs)); plt.show()

# ── Cell 2
sys.displayhook(integral)

# ── Answer
# The curve is above. Its integral is $-\cos(x)$.

# ── Outcome: answered, 20 + 10 tokens, 2.5 s
