"""Records real runs of scripted replies, for replaying."""

from pathlib import Path
from typing import Any

from agent import Agent
from agent.testing import calls, says
from sandbox import Policy
from tests.agent.refillable import RefillableEndpoint


async def record(
    run: Path, *questions: list[str], policy: Policy | None = None, files: list[Path] | None = None, **options: Any
) -> Path:
    """Record a run with a question for each list of cells. The answer is "done", also if the loop asks again."""
    with RefillableEndpoint() as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, policy=policy, **options)
        async with agent.session(run_directory=run) as session:
            for place, codes in enumerate(questions):
                endpoint.refill([*map(calls, codes), says("done"), says("done")])
                await session.ask("Do it.", files=files or [] if place == 0 else [])
            endpoint.refill([])
    return run
