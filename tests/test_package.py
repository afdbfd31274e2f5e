"""`import cellblock` and `python -m cellblock`: the names of both packages, or one line that says why not."""

import subprocess
import sys
from pathlib import Path

import pytest

import agent
import cellblock
import sandbox

ROOT = Path(__file__).parents[1]
PACKAGES = [agent, cellblock, sandbox]


def python(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False)


def test_it_has_the_public_names_of_both_packages_and_the_version() -> None:
    assert cellblock.__all__ == sorted([*agent.__all__, *sandbox.__all__, "__version__"])
    assert all(getattr(cellblock, name) is getattr(agent, name) for name in agent.__all__)
    assert all(getattr(cellblock, name) is getattr(sandbox, name) for name in sandbox.__all__)


def test_a_name_that_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'cellblock' has no attribute 'Agnet'"):
        cellblock.Agnet  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_a_person_who_presses_tab_sees_the_names(package: object) -> None:
    assert {*package.__all__} <= {*dir(package)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_read_the_types(package: object) -> None:
    assert Path(str(package.__file__)).with_name("py.typed").is_file()  # type: ignore[attr-defined]


def test_it_is_a_command(tmp_path: Path) -> None:
    done = python(tmp_path, "-m", "cellblock", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cellblock {cellblock.__version__}\n", "")


HIDING = ["agent.py", "sandbox.py", "agent/__init__.py", "sandbox/__init__.py"]


@pytest.mark.parametrize("name", HIDING)
@pytest.mark.parametrize("command", [["-m", "cellblock", "doctor"], ["-c", "import cellblock"], ["program.py"]])
def test_a_module_that_hides_one_of_ours_is_named_in_one_line(tmp_path: Path, name: str, command: list[str]) -> None:
    hiding = tmp_path / name
    hiding.parent.mkdir(exist_ok=True)
    hiding.write_text("")
    (tmp_path / "program.py").write_text("from cellblock import Agent\n")
    done = python(tmp_path, *command)
    package = "agent" if name.startswith("agent") else "sandbox"
    line = f"{hiding} hides the package {package!r} of Cellblock: rename it, or start elsewhere"
    if command[0] == "-m":
        assert (done.returncode, done.stderr) == (3, f"cellblock: {line}\n")
    else:
        assert done.stderr.splitlines()[-1] == f"ImportError: {line}"


def test_a_folder_without_code_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    assert python(tmp_path, "-c", "from cellblock import Agent").stderr == ""


def test_a_module_of_that_name_that_a_program_has_made_is_named(tmp_path: Path) -> None:
    program = "import sys, types; sys.modules['agent'] = types.ModuleType('agent'); import cellblock"
    assert "ImportError: a module 'agent' of yours hides the package" in python(tmp_path, "-c", program).stderr
