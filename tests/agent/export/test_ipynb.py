"""The notebook: nbformat and nbclient accept it, and it gives the same outputs again in the sandbox image."""

import asyncio
import copy
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from agent import Agent
from agent.export.formats import export_run, exported
from agent.testing import ScriptedEndpoint, calls, says, thinks
from agent.text import plain
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, StreamOutput
from sandbox.docker import default_image
from tests.agent.export.notebooks import check_notebook
from tests.agent.export.runs import cell, run
from tests.golden.scenarios import CSV
from tests.golden.writing import RUNS


@pytest.mark.parametrize("name", sorted(run.name for run in RUNS.iterdir()))
def test_golden_notebooks_are_valid(name: str) -> None:
    check_notebook((RUNS / name / "export.ipynb").read_text())


def test_outputs_are_in_place_whatever_their_types() -> None:
    data = {"text/plain": ["a", "b"], "text/html": 5, "application/vnd.x+json": {"a": [1]}, "application/json": None}
    outputs = [
        StreamOutput(name="stderr", text="tail", omitted_bytes=3),
        DisplayData(data=data, metadata={"width": 5}),
        ExecuteResult(data={"text/plain": "7"}, execution_count=4),
        ErrorOutput(ename="E", evalue="e", traceback=["t"]),
    ]
    text = exported(run(cell("x", Execution(status="error", outputs=outputs, execution_count=4))), "ipynb")
    code = next(one for one in check_notebook(text).cells if one.cell_type == "code")
    assert code.source == "x"
    assert (code.execution_count, code.metadata) == (4, {"tags": ["raises-exception"]})
    assert json.loads(json.dumps(code.outputs)) == [
        {"output_type": "stream", "name": "stderr", "text": "\n[... 3 bytes left out ...]\ntail"},
        {
            "output_type": "display_data",
            "data": {
                "text/plain": "ab", "text/html": "5", "application/vnd.x+json": {"a": [1]}, "application/json": None,
            },
            "metadata": {"width": 5},
        },
        {"output_type": "execute_result", "data": {"text/plain": "7"}, "metadata": {}, "execution_count": 4},
        {"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["t"]},
    ]  # fmt: skip


@pytest.mark.parametrize("execution", [None, Execution(status="timeout"), Execution(status="died")])
def test_a_cell_that_did_not_end_by_itself_is_not_run_again(execution: Execution | None) -> None:
    text = exported(run(cell("while True: pass", execution)), "ipynb")
    code = next(one for one in check_notebook(text).cells if one.cell_type == "code")
    assert code.metadata.tags == ["skip-execution"]


def test_the_notebook_says_which_files_it_needs() -> None:
    cells = check_notebook((RUNS / "files" / "export.ipynb").read_text()).cells
    needed = next(one.source for one in cells if "takes these files" in one.source)
    assert f"| `prices.csv` | {CSV.size_bytes} | `{CSV.sha256}` |" in needed


CODES = (
    "import pandas as pd\nframe = pd.read_csv('prices.csv')\nframe",
    "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1))\nplt.plot(frame.price)\nplt.show()",
    "import sys, sympy\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\nsympy.sqrt(8)",
    "%matplotlib inline\nfrom IPython.display import Markdown\nMarkdown('**bold**')",
    "frame.cost",
    "frame.price.max()",
    "import os; os.abort()",
    "import pandas as pd\npd.read_csv('/workspace/prices.csv').price.sum()",
)


@pytest.fixture
async def recorded(tmp_path: Path) -> Path:
    """A real run in a real sandbox."""
    (tmp_path / "prices.csv").write_text("name,price\nbolt,0.5\nnut,0.25\n")
    replies = [calls(code, call_id=f"call_{place}") for place, code in enumerate(CODES)]
    with ScriptedEndpoint([thinks("First, look.", replies[0]), *replies[1:], says("It is **0.75**.")]) as endpoint:
        agent = Agent(model="any", base_url=endpoint.base_url)
        result = await agent.run("What is the sum?", files=[tmp_path / "prices.csv"], run_directory=tmp_path / "run")
    assert result.outcome == "answered"
    return result.run_directory


@pytest.fixture
async def kernel(tmp_path: Path) -> AsyncIterator[AsyncKernelManager]:
    """A manager that starts a kernel in a container of the sandbox image, with a folder as its workspace.

    The sockets lie in a folder that has the same path on both sides.
    """
    workspace, sockets, specs = (tmp_path / name for name in ("workspace", "sockets", "specs"))
    for folder in (workspace, sockets, specs / "sandbox"):
        folder.mkdir(parents=True)
    container = f"cellblock-test-{uuid4().hex[:12]}"
    command = [
        *("docker", "run", "--rm", "--init", "--name", container, "--network", "none"),
        *("--user", f"{os.getuid()}:{os.getgid()}"),
        *("--volume", f"{workspace}:/workspace", "--volume", f"{sockets}:{sockets}", default_image()),
        *("python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"),
    ]
    spec = {"argv": command, "display_name": "sandbox", "language": "python"}
    (specs / "sandbox" / "kernel.json").write_text(json.dumps(spec))
    manager = AsyncKernelManager(
        kernel_name="sandbox",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)]),
        transport="ipc",
        ip=str(sockets / "socket"),
        connection_file=str(sockets / "kernel.json"),
    )
    try:
        yield manager
    finally:
        if manager.has_kernel:
            await manager.shutdown_kernel()
        await asyncio.to_thread(
            subprocess.run, ["docker", "rm", "--force", container], capture_output=True, check=False
        )


def outputs_of(notebook: Any) -> list[list[dict[str, Any]]]:
    """The outputs of the cells that are run again, without execution counts and colours."""
    run_again = [
        one.outputs
        for one in notebook.cells
        if one.cell_type == "code" and "skip-execution" not in one.metadata.get("tags", [])
    ]
    return [[comparable(output) for output in outputs] for outputs in run_again]


def comparable(output: Any) -> dict[str, Any]:
    kept = {name: value for name, value in output.items() if name != "execution_count"}
    return kept | {"traceback": plain("\n".join(kept["traceback"]))} if "traceback" in kept else kept


@pytest.mark.docker
async def test_nbclient_runs_the_notebook_in_the_sandbox_image_to_the_same_outputs(
    recorded: Path, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    notebook = check_notebook(export_run(recorded, "ipynb"))
    assert [len(outputs) for outputs in outputs_of(notebook)] == [1, 1, 3, 1, 1, 1, 1]
    shutil.copy(tmp_path / "prices.csv", tmp_path / "workspace")
    again = copy.deepcopy(notebook)
    for one in again.cells:
        if one.cell_type == "code":
            one.outputs = []
    await NotebookClient(again, km=kernel, timeout=60).async_execute(cleanup_kc=True)
    assert outputs_of(again) == outputs_of(notebook)
