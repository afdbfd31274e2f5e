"""The programs of each client print what their pages show, with `cellblock serve` and a scripted model."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.testing import ScriptedEndpoint, calls, says
from agent.testing.profiles import Answer
from tests.clients import NODE_CLIENTS
from tests.docs.pages import PAGES, programs

URL = "http://127.0.0.1:8000"
READS = {
    "python": [sys.executable],
    "js": [str(Path(sys.executable).with_name("node")), "--input-type=module"],
    "bash": ["bash"],
}
"""What runs a program that it reads from its standard input."""
PROGRAMS = [
    pytest.param(READS[language], code, shown, id=name, marks=pytest.mark.node if language == "js" else ())
    for language in READS
    for name, (code, shown) in programs(language).items()
    if URL in code
]
READ = "import csv\nn = [int(row['n']) for row in csv.DictReader(open('/mnt/data/numbers.csv'))]\nprint(sum(n))"
PLOT = "import matplotlib.pyplot as plt\nplt.plot(n)\nplt.savefig('plot.png')\nprint('in plot.png')"
CODE = {
    "What is the sum of n in numbers.csv?": READ,
    "And twice that?": "print(2 * sum(n))",
    "Plot n as plot.png.": PLOT,
    "What is 12 to the power of 3?": "print(12**3)",
    "What is 123 to the power of 21?": "print(123**21)",
}


def model(body: dict[str, Any]) -> Answer:
    """Computes what the pages ask for."""
    first, *rest = str(body["messages"][-1]["content"]).splitlines()
    return says(f"It is {rest[0]}.") if first == "Output:" else calls(CODE[first])


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
@pytest.mark.parametrize(("reads", "code", "shown"), PROGRAMS)
def test_a_program_prints_what_its_page_shows(
    reads: list[str], code: str, shown: str, server: str, clean_environ: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        reads, input=code.replace(URL, server), cwd=NODE_CLIENTS, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == (shown.strip(), "", 0)


def test_the_page_of_the_server_links_to_each_client() -> None:
    pages = {name.removeprefix("docs/") for name in PAGES if name.startswith("docs/clients/")}
    assert set(re.findall(r"\]\((clients/[\w-]+\.md)\)", PAGES["docs/serve.md"])) == pages
