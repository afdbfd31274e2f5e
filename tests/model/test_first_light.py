"""The real thing, end to end: a real Qwen coder, a real engine, a real kernel."""

from pathlib import Path

import pytest

from agent import Agent, Sampling
from agent.record import transcript
from agent.record.events import RunStarted, ToolRan

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("clean_environ")]
POWER = "77269364466549865653073473388030061522211723"


async def test_a_real_answer_is_computed_in_the_container(tmp_path: Path) -> None:
    agent = Agent(sampling=Sampling(seed=1))
    result = await agent.run("What is 123 to the power of 21?", run_directory=tmp_path / "run")
    assert result.outcome == "answered"
    assert POWER in (result.answer or "").replace(",", "")
    recorded = transcript.read(tmp_path / "run")
    started = recorded.events[0]
    assert isinstance(started, RunStarted)
    assert started.environment.backend == "docker"
    assert started.settings.model == "qwen2.5-coder-1.5b"
    outputs = [event.execution.text for event in recorded.events if isinstance(event, ToolRan) and event.execution]
    assert any(POWER in output for output in outputs)
    assert result.usage.output_tokens > 0
