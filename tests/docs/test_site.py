"""The site builds without a warning and without the network, and its pages load nothing from elsewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by the command of `make docs` into a folder of its own."""
    place = tmp_path_factory.mktemp("site")
    shown = subprocess.run(
        ["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")
    command = next(line for line in shown.splitlines() if "sphinx-build" in line)
    arguments = [argument.replace("build/", f"{place}/") for argument in shlex.split(command)[1:]]
    subprocess.run(
        [sys.executable, "-m", "sphinx", *arguments],
        cwd=ROOT,
        env=NO_NETWORK,
        capture_output=True,
        text=True,
        check=True,
    )
    return place / "docs"


def test_every_page_is_built(site: Path) -> None:
    assert [name for name in PAGES if not (site / name).with_suffix(".html").is_file()] == []
    assert "docs/index.html" in (site / "index.html").read_text()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loading = re.compile(r"<(?:script|img|iframe|link|source)\b[^>]*?(?:src|href)=\"((?:https?:)?//[^\"]+)")
    assert {found for page in site.rglob("*.html") for found in loading.findall(page.read_text())} == set()
    imported = re.compile(r"@import|url\(\s*[\"']?(?:https?:)?//")
    assert [style.name for style in site.rglob("*.css") if imported.search(style.read_text())] == []
