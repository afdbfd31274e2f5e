"""An error names what fixes it for the person who sees it: an option at the command line, an argument in a program."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import Agent, Endpoint, Limits, Sampling, export_run
from agent.cli.main import command_line
from agent.loop.conversation import check_task
from sandbox import CellblockError

ROOT = Path(__file__).parents[2]
MISTAKES: dict[str, Callable[[], object]] = {
    "an empty task": lambda: check_task(" "),
    "a long task": lambda: check_task("a" * 1_000_000),
    "a check": lambda: Agent(review="nonsense"),
    "a provider": lambda: Agent(model="m", base_url="http://h/v1", provider="azure"),
    "a URL": lambda: Agent(model="m", base_url="h"),
    "no model": lambda: Agent(base_url="http://h/v1"),
    "a model that is not built in": lambda: Agent(model="gpt"),
    "a key": lambda: Agent(model="m", base_url="http://h/v1", api_key="a b"),
    "no price": lambda: Agent(limits=Limits(max_cost=1)),
    "thinking": lambda: Agent(sampling=Sampling(thinking=True)),
    "a budget of thinking": lambda: Agent(sampling=Sampling(thinking_budget=10)),
    "a switch": lambda: Agent(model=Endpoint(base_url="http://h/v1", model="m"), sampling=Sampling(thinking=True)),
    "a format": lambda: export_run(ROOT / "tests/golden/recorded", to="pdf"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_program_is_told_what_to_write_in_python(case: str, clean_environ: pytest.MonkeyPatch) -> None:
    with pytest.raises(CellblockError) as caught:
        MISTAKES[case]()
    _, _, hint = str(caught.value).partition(" Try: ")
    assert hint
    assert not re.search(r"(^|\s)--[a-z]|cellblock (run|batch|export)", hint)


def test_the_command_line_is_told_an_option(
    clean_environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["run", "x", "--model", "m", "--base-url", "h"]) == 2
    assert capsys.readouterr().err.endswith("Try: cellblock run --base-url http://HOST:PORT/v1 ...\n")
