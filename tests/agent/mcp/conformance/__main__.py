"""Run the protocol's own conformance suite against `cellblock mcp --http`, over both eras.

It needs npm, and Docker as the server does. Each era has a baseline of the scenarios that call fixtures of a server for
tests; any other failure, and a scenario of a baseline that passes, is an error.
"""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
ERAS = ("2025-11-25", "2026-07-28")
HERE = Path(__file__).parent


def main() -> int:
    """Returns 0 if all is as the baselines say."""
    with TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "install", "--silent", "bun", SUITE], cwd=folder, check=True
        )  # it needs more than node 20
        command = [sys.executable, "-m", "cellblock", "mcp", "--http", "--port", "0"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            (url,) = re.findall(r"http://\S+/mcp", server.stderr.readline())
            codes = [conformance(Path(folder), url, era) for era in ERAS]
            server.terminate()
    return max(codes)


def conformance(folder: Path, url: str, era: str) -> int:
    """The suite's exit code for one era."""
    bun, suite = (
        folder / "node_modules/.bin/bun",
        folder / "node_modules/@modelcontextprotocol/conformance/dist/index.js",
    )
    baseline = HERE / f"{era}.yml"
    options = ["--url", url, "--requirements", era, "--expected-failures", str(baseline)]
    return subprocess.run([bun, "run", suite, "server", *options], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
