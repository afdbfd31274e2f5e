"""The entry point of the command line: which commands there are, and what each loads."""

import subprocess
import sys

import typer

from agent.cli.app import COMMANDS, app
from agent.cli.main import load_commands


def test_each_command_is_known_before_it_is_loaded() -> None:
    load_commands(["--help"])
    assert set(typer.main.get_command(app).commands) == set(COMMANDS)  # type: ignore[attr-defined]


def test_a_command_loads_what_it_needs_alone() -> None:
    program = (
        "import sys; from agent.cli.main import command_line; command_line(['show', '--help']); print(*sys.modules)"
    )
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "agent.cli.recorded" in loaded
    assert not {"agent.cli.asking", "openai", "docker"} & set(loaded)
