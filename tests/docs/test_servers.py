"""Each command of the page on servers works with the habits of its server."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent.testing import ScriptedEndpoint, calls, says
from agent.testing.profiles import PROFILES
from tests.docs.pages import PAGES

NAMES = {
    "Ollama": "ollama", "vLLM": "vllm", "SGLang": "sglang", "llama.cpp": "llama_cpp", "OpenAI": "openai",
    "Model Studio": "model_studio",
}  # fmt: skip
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGES["docs/servers.md"], re.MULTILINE | re.DOTALL))


def command_of(server: str) -> list[str]:
    """The one command of a section, as it is typed after `cellblock`."""
    (line,) = re.findall(r"^\$ cellblock (.+)$", SECTIONS[server], re.MULTILINE)
    return shlex.split(line)


def test_each_kind_of_server_has_a_section() -> None:
    assert SECTIONS.keys() == NAMES.keys()


@pytest.mark.docker
@pytest.mark.parametrize("server", NAMES)
def test_the_command_of_a_server_works_with_its_habits(
    server: str, tmp_path: Path, clean_environ: pytest.MonkeyPatch
) -> None:
    profile = next(profile for profile in PROFILES if profile.name == NAMES[server])
    with ScriptedEndpoint([calls("print(6 * 7)"), says("It is 42.")], profile) as endpoint:
        command = [re.sub(r"http://localhost:\d+/v1", endpoint.base_url, word) for word in command_of(server)]
        there = {} if "--base-url" in command else {
            "CELLBLOCK_BASE_URL": endpoint.base_url, "CELLBLOCK_API_KEY": "key", "CELLBLOCK_PROVIDER": NAMES[server],
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "cellblock", *command],
            cwd=tmp_path,
            env=os.environ | there | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "It is 42.\n"), done.stderr
        assert len(endpoint.requests) == 2
