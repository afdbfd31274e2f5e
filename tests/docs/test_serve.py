"""The programs on the page about the server print what it shows, with `cellblock serve` and a scripted model."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.testing import ScriptedEndpoint, calls, says
from agent.testing.profiles import Answer
from tests.docs.pages import blocks, programs

URL = "http://127.0.0.1:8000"
PAGE = "docs/serve.md"
PROGRAMS = {name: program for name, program in programs().items() if name.startswith(PAGE)}
SUM = "import csv\nn = sum(int(row['n']) for row in csv.DictReader(open('/mnt/data/numbers.csv')))\nprint(n)\n"
SAVE = "open('sum.txt', 'w').write(str(n))"


def model(body: dict[str, Any]) -> Answer:
    """Computes what the page asks for."""
    text = str(body["messages"][-1]["content"])
    if text.startswith("Output:"):
        return says(f"It is {text.split()[1]}.")
    return calls(SUM + SAVE) if "sum" in text else calls("print(123**21)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("serve")
    with ScriptedEndpoint(model) as endpoint:
        options = ["--base-url", endpoint.base_url, "--model", "qwen2.5-coder-1.5b", "--port", "0", "--state", "state"]
        running = subprocess.Popen(
            [sys.executable, "-m", "cellblock", "serve", *options],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stderr is not None
        line = running.stderr.readline()
        yield re.findall(r"http://[\d.:]+", line)[0]
        running.terminate()
        _, rest = running.communicate()
        assert running.returncode == 0, rest


@pytest.mark.docker
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_what_the_page_shows(name: str, server: str, tmp_path: Path) -> None:
    code, shown = PROGRAMS[name]
    (tmp_path / "program.py").write_text(code.replace(URL, server))
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (shown.strip(), 0), done.stderr


@pytest.mark.docker
def test_the_command_for_curl_gets_a_response(server: str) -> None:
    (command,) = blocks(PAGE, "bash")
    done = subprocess.run(["bash", "-c", command.replace(URL, server)], capture_output=True, text=True, check=True)
    response = json.loads(done.stdout)
    assert response["status"] == "completed"
    assert response["output"][-1]["content"][0]["text"] == "It is 77269364466549865653073473388030061522211723."
