"""Records real runs of scripted replies, to be done again."""

from pathlib import Path
from typing import Any

from agent import Agent
from agent.testing import calls, says
from sandbox import Policy
from tests.agent.refillable import RefillableEndpoint


async def record(
    run: Path, *questions: list[str], policy: Policy | None = None, files: list[Path] | None = None, **options: Any
) -> Path:
    """A run of a question for each list of cells, each answered with "done", and once more where the loop asks back."""
    with RefillableEndpoint() as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, policy=policy, **options)
        async with agent.session(run_directory=run) as session:
            for place, codes in enumerate(questions):
                endpoint.refill([*map(calls, codes), says("done"), says("done")])
                await session.ask("Do it.", files=files or [] if place == 0 else [])
            endpoint.refill([])
    return run
