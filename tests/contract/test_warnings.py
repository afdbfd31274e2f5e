"""A kernel is in the state of one that nothing was forked from: its warnings are seen, and nothing is inherited."""

import json

import pytest

from sandbox import Session

pytestmark = pytest.mark.docker

WARNINGS = {
    "import numpy as np\nnp.int32(2**31-1) + np.int32(1)": "RuntimeWarning: overflow",
    "import numpy as np\nnp.array([1.0]) / 0": "RuntimeWarning: divide by zero",
    "import numpy as np\nfor _ in range(3): np.log([0.0])": "RuntimeWarning: divide by zero",
    "import pandas as pd\npd.to_datetime(['13/01/2024'])": "UserWarning: Parsing dates",
    "x = 1\nx is 5": 'SyntaxWarning: "is" with',
    "'\\d'": "SyntaxWarning: invalid escape",
    "assert (1, 'always true')": "SyntaxWarning: assertion is always true",
    "import gc\nasync def f(): pass\nf()\ngc.collect()": "RuntimeWarning: coroutine 'f' was never awaited",
    "import warnings\nfor _ in range(3): warnings.warn('mine')": "UserWarning: mine",
    "import warnings\nwarnings.warn('old', DeprecationWarning)": "DeprecationWarning: old",
    "from datetime import datetime\ndatetime.utcnow()": "DeprecationWarning: datetime.datetime.utcnow() is deprecated",
}
STATE = """
import json, os, signal, sys, threading, warnings
print(json.dumps({
    "filters": [[kind, category.__name__] for kind, _, category, module, _ in warnings.filters
                if "IPython.core.interactiveshell" not in str(module)],
    "handlers": {int(n): str(signal.getsignal(n)).split(" at ")[0] for n in signal.valid_signals()},
    "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "path": sys.path, "meta_path": [str(finder).split(" at ")[0] for finder in sys.meta_path],
    "umask": os.umask(0o22), "folder": os.getcwd(), "nice": os.nice(0),
    "environment": sorted(name for name in os.environ if name != "JPY_PARENT_PID"),
    "ours": [name for name in sys.modules if name.startswith("sandbox")],
}))
"""
PLAIN_KERNEL = f"""
import jupyter_client, jupyter_client.kernelspec, sys
manager = jupyter_client.KernelManager(transport="ipc", ip="/tmp/plain-kernel")
command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]
manager._kernel_spec = jupyter_client.kernelspec.KernelSpec(argv=command)
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready()
client.execute_interactive({STATE!r}, output_hook=lambda message: print(message["content"].get("text", ""), end=""))
manager.shutdown_kernel(now=True)
"""


@pytest.mark.parametrize("code", WARNINGS)
async def test_a_warning_is_seen_once(session: Session, code: str) -> None:
    text = (await session.execute(code)).text
    assert text.count(WARNINGS[code]) == 1
    assert text.count("Warning: ") == 1 + text.count("Warning: Enable tracemalloc")


async def test_a_kernel_has_the_process_state_of_a_plain_one(session: Session) -> None:
    ours = json.loads((await session.execute(STATE)).text)
    assert ours == json.loads((await session.execute(PLAIN_KERNEL)).text)


async def test_a_replaced_kernel_warns_as_well(session: Session) -> None:
    await session.execute("import os; os._exit(1)")
    assert "UserWarning: mine" in (await session.execute("import warnings\nwarnings.warn('mine')")).text


async def test_a_program_that_reads_its_arguments_finds_none(session: Session) -> None:
    code = "import argparse\np = argparse.ArgumentParser()\n_ = p.add_argument('--n', default=3)\np.parse_args().n"
    assert (await session.execute(code)).text == "3\n"
