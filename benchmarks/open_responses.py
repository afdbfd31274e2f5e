"""Run the HTTP tests of Open Responses, the public specification, against the server.

They are no package, so they need a clone, and beside it what they run with:

    git clone https://github.com/openresponses/openresponses
    npm install bun zod@3
    python -m benchmarks.open_responses openresponses

The server listens on loopback, with a scripted model. The tests of WebSockets, which it does not speak, are left out.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent.testing import ScriptedEndpoint, says
from agent.testing.profiles import Answer, ScriptedCall
from benchmarks.serve import server


def reply(body: dict[str, Any]) -> Answer:
    """Calls the function that the client brings, or says something."""
    brought = any(tool["function"]["name"] == "get_weather" for tool in body.get("tools", []))
    weather = ScriptedCall("call_1", "get_weather", '{"location": "San Francisco, CA"}')
    return Answer(calls=(weather,)) if brought else says("Ahoy there, Alice!")


def http_tests(clone: Path) -> list[str]:
    """The names of the tests that need no WebSocket."""
    names = re.findall(r'^    id: "([\w-]+)",$', (clone / "src/lib/compliance-tests.ts").read_text(), re.MULTILINE)
    return [name for name in names if not name.startswith("websocket-")]


def main(clone: Path) -> int:
    """Run the tests, and give the status with which they end."""
    run = ["../node_modules/.bin/bun", "run", "bin/compliance-test.ts", "--filter", ",".join(http_tests(clone))]
    with (
        ScriptedEndpoint(reply) as model,
        tempfile.TemporaryDirectory() as state,
        server(model.base_url, state) as (url, _),
    ):
        options = ["--base-url", f"{url}/v1", "--api-key", "none", "--model", "m"]
        return subprocess.run([*run, *options], cwd=clone, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
