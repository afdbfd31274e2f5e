"""A record depends on no prompts: even if every sentence of the prompts changes and every check of an answer is off,
an old record is whole, answers again and is exported to the same bytes."""

import importlib
import pkgutil
import types
from pathlib import Path
from typing import Any

import pytest

import agent.prompting
from agent.export.formats import FORMATS, export_run
from agent.record.events import ModelReplied, ReplyCut
from agent.record.history import messages_of
from agent.record.reading import read
from agent.record.verification import verify
from agent.replay.playback import Playback
from tests.golden.test_recorded import RECORDED
from tests.golden.writing import RUNS, SUFFIXES

CURRENT = [*sorted(RUNS.iterdir()), *(run for run in RECORDED if run.parent.name == "recorded")]


def unused(*_: Any, **__: Any) -> Any:
    raise AssertionError("a prompt or a check is used for a recorded run")


@pytest.fixture(autouse=True)
def _other_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace every sentence, and make every function of prompts and checks fail."""
    names = [f"agent.prompting.{module.name}" for module in pkgutil.iter_modules(agent.prompting.__path__)]
    for module in map(importlib.import_module, [*names, "agent.review.checks"]):
        for name, value in list(vars(module).items()):
            if isinstance(value, dict) and name.isupper():
                for key in [key for key, item in value.items() if isinstance(item, str)]:
                    monkeypatch.setitem(value, key, "another sentence")
            elif isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
                monkeypatch.setattr(module, name, unused)


@pytest.mark.parametrize("run", [*CURRENT, *RECORDED], ids=lambda run: f"{run.parent.name}-{run.name}")
def test_a_run_is_whole(run: Path) -> None:
    assert verify(run).problems == []


@pytest.mark.parametrize("run", CURRENT, ids=lambda run: run.name)
async def test_a_run_answers_each_of_its_requests_again(run: Path) -> None:
    recorded = read(run)
    playback, answered = Playback(recorded), 0
    for place, event in enumerate(recorded.events):
        if isinstance(event, ModelReplied | ReplyCut):
            offered = [tool for tool in recorded.started.tools if tool["function"]["name"] in (event.tools or [])]
            made = await playback.generate(messages_of(recorded.events[:place]), offered, lambda *_: None)
            answered += made.reply.finish_reason == event.finish_reason if isinstance(event, ModelReplied) else 1
    assert answered == sum(isinstance(event, ModelReplied | ReplyCut) for event in recorded.events)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("run", sorted(RUNS.iterdir()), ids=lambda run: run.name)
def test_a_run_is_exported_to_the_same_bytes(run: Path, to: str) -> None:
    assert export_run(run, to).encode() == (run / f"export.{SUFFIXES[to]}").read_bytes()
