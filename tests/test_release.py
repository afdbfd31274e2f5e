"""What is released: a wheel that is whole and works alone, and an sdist from which the same wheel is built."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

import agent
from sandbox.docker import default_image

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
OFFLINE = ["--no-index", "--no-deps", "--no-build-isolation"]


def run(*command: str, directory: Path = ROOT, **environ: str) -> str:
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    place = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--directory", str(place))
    return place


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which pip has installed Cellblock from the checkout, as a user does."""
    place = tmp_path_factory.mktemp("installed")
    run(*PIP, "install", *OFFLINE, "--target", str(place), ".[local]")
    return place


def test_the_wheel_holds_every_source_file_and_the_image(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in ("agent", "cellblock", "sandbox", "images")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == {name.replace("images/", "sandbox/docker/images/", 1) for name in sources}


def test_the_sdist_gives_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    run(*PIP, "wheel", *OFFLINE, "--wheel-dir", str(tmp_path), str(sdist))
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_an_installation_has_every_public_name_and_knows_its_version(installed: Path, tmp_path: Path) -> None:
    asked = "import agent; print(agent.__file__, *(name for name in agent.__all__ if hasattr(agent, name)))"
    home, *names = run(sys.executable, "-c", asked, directory=tmp_path, PYTHONPATH=str(installed)).split()
    assert home.startswith(str(installed))
    assert names == agent.__all__
    shown = run(sys.executable, "-m", "agent", "--version", directory=tmp_path, PYTHONPATH=str(installed))
    assert shown == f"cellblock {VERSION}\n"


def test_an_installation_builds_the_image_that_the_checkout_builds(installed: Path, tmp_path: Path) -> None:
    asked = "from sandbox.docker import default_image; print(default_image())"
    shown = run(sys.executable, "-c", asked, directory=tmp_path, PYTHONPATH=str(installed))
    assert shown.strip() == default_image()


def test_the_changelog_speaks_of_this_version_first() -> None:
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0].startswith(f"## {VERSION}")


def test_who_installed_with_pip_is_not_sent_to_make(installed: Path, tmp_path: Path) -> None:
    asked = "from sandbox.docker.engine import START; print(START)"
    shown = run(sys.executable, "-c", asked, directory=tmp_path, PYTHONPATH=str(installed))
    assert shown.startswith("start Docker; ")
