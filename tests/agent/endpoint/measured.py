"""Ask an endpoint in a separate process; print the resulting line and the memory used, as JSON."""

import asyncio
import json
import sys
from pathlib import Path

from agent import Endpoint, EndpointError, Sampling
from agent.endpoint import model


async def ask(base_url: str, what: str) -> str:
    async with model.Model(Endpoint(base_url=base_url, model="m"), Sampling()) as asked:
        try:
            if what == "models":
                return f"{len(await asked.names())} models"
            reply = (await asked.generate([{"role": "user", "content": "?"}], [], lambda kind, text: None)).reply
        except EndpointError as error:
            return str(error).partition("/v1' ")[2]
    return f"{len(reply.content)} characters, {len(reply.tool_calls)} calls"


def memory_bytes(name: str) -> int:
    """A memory counter of Linux for this process; its peak counts from the start of this program."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    model.MAX_ATTEMPTS = 1
    before_bytes = memory_bytes("VmRSS")
    line = asyncio.run(ask(*sys.argv[1:]))
    sys.stdout.write(json.dumps({"line": line, "taken_bytes": memory_bytes("VmHWM") - before_bytes}))


if __name__ == "__main__":
    main()
