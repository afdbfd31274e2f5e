"""Whatever a run is written as, it names the packages that were added to its image."""

import json

import pytest

from agent.export.formats import exported
from agent.record.events import Event, RunStarted
from sandbox import Execution
from tests.agent.cli.test_showing import shown
from tests.agent.export.runs import cell, run

LOCK = [f"{name} --hash=sha256:{'ab' * 32}" for name in ("humanize==4.17.0", "polars==1.44.2")]
COMMAND = "pip install humanize==4.17.0 polars==1.44.2"


def with_packages() -> list[Event]:
    first, *rest = run(cell("print(1)", Execution(status="ok")))
    assert isinstance(first, RunStarted)
    environment = first.environment.model_copy(update={"locked": LOCK})
    return [first.model_copy(update={"environment": environment}), *rest]


@pytest.mark.parametrize("to", ["py", "ipynb", "md", "html"])
def test_an_export_names_the_command_that_installs_them(to: str) -> None:
    assert COMMAND in exported(with_packages(), to)
    assert "pip install" not in exported(run(cell("print(1)", Execution(status="ok"))), to)


def test_the_notebook_begins_with_a_cell_that_names_them() -> None:
    first = json.loads(exported(with_packages(), "ipynb"))["cells"][0]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]) == f"The cells need packages:\n\n```text\n# {COMMAND}\n```"


def test_a_shown_run_names_them() -> None:
    assert "with humanize 4.17.0, polars 1.44.2\n" in shown(with_packages())
