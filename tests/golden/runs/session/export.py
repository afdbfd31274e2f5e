# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

import ast
import asyncio

_loop = asyncio.new_event_loop()


def run_cell(source):
    """Run a cell in a loop: one that awaits at its top level or makes tasks, or that an older Python cannot read."""
    code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)

    async def run():
        result = eval(code, globals())
        if result is not None:
            await result

    _loop.run_until_complete(run())


import subprocess
import sys


def ipython_system(command, **options):
    """Run a command in a shell, after what was printed before it."""
    global _exit_code
    sys.stdout.flush()
    _exit_code = subprocess.run(command, shell=True, **options).returncode


import sys

# ── Question
# What do 30 bolts cost with 19 % tax?

# ── Cell 1
total = 12.0 * 1.19
print(total)

# ── Answer
# 14.28 euros.

# ── Question
# And half of that, after a second?

# ── Cell 2
pass  # %matplotlib inline
ipython_system('date')
print(total / 2)

# ── Cell 3
run_cell(r'''
import asyncio
await asyncio.sleep(1)
sys.displayhook(total / 2)
''')

# ── Answer
# 7.14 euros.

# ── Outcome: answered, 60 + 30 tokens, 2.5 s
