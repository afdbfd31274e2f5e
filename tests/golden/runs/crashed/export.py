# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

# ── Question
# Count to a million, slowly.

# ── Cell 1
import time

# ── The run has no end: it crashed, or it still ran when this was written.
