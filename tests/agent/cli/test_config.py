"""The configuration files set what options do not, and the file of a stranger's folder widens nothing."""

import os
from pathlib import Path

import pytest

from agent.cli.config import Config, read_config, user_file
from agent.cli.main import command_line
from agent.errors import UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environ: pytest.MonkeyPatch) -> Path:
    """A home with a folder for settings and a project, which is the current folder."""
    clean_environ.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "cellblock").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def own(home: Path, text: str) -> Path:
    path = home / "config" / "cellblock" / "config.toml"
    path.write_text(text)
    return path


def project(home: Path, text: str) -> Path:
    path = home / "project" / "cellblock.toml"
    path.write_text(text)
    return path


def read(home: Path) -> Config:
    return read_config(home / "project", os.environ)


def test_no_file_sets_nothing(home: Path) -> None:
    assert read(home) == Config()


def test_the_project_comes_before_the_user(home: Path) -> None:
    own(home, 'temperature = 0.5\nmemory = "4g"\nmax-turns = 20')
    project(home, "temperature = 1")
    assert read(home).defaults() == {"temperature": "1", "memory_bytes": "4g", "max_turns": "20"}


def test_variables_of_the_sandbox_are_a_table(home: Path) -> None:
    own(home, 'thinking = true\n[env]\nA = "1"\nB = "x y"')
    assert read(home).defaults() == {"thinking": True, "environment": ["A=1", "B=x y"]}


def test_the_environment_comes_before_both_files(home: Path) -> None:
    own(home, 'model = "m"\nbase_url = "http://h/v1"\nprovider = "vllm"\nruns = "~/runs"')
    assert read(home).variables({}) == {
        "CELLBLOCK_MODEL": "m", "CELLBLOCK_BASE_URL": "http://h/v1", "CELLBLOCK_PROVIDER": "vllm",
        "CELLBLOCK_RUNS": "~/runs",
    }  # fmt: skip
    assert read(home).variables({"CELLBLOCK_MODEL": "n", "OPENAI_API_KEY": "k"}) == {
        "CELLBLOCK_PROVIDER": "vllm", "CELLBLOCK_RUNS": "~/runs",
    }  # fmt: skip


DANGEROUS = [
    'network = "bridge"', 'base_url = "http://evil/v1"', 'image = "evil"', 'env.A = "1"', 'memory = "1t"',
    'runtime = "x"', 'user = "0:0"', 'prices = "p.toml"', 'runs = "/etc"', 'trusted = ["/"]', 'provider = "openai"',
]  # fmt: skip


@pytest.mark.parametrize("line", DANGEROUS)
def test_what_widens_the_sandbox_or_sends_data_is_ignored_in_a_folder_that_is_not_trusted(
    home: Path, line: str
) -> None:
    project(home, line)
    config = read(home)
    assert config.settings == {}
    (note,) = config.notes
    assert "is ignored, because this folder is not trusted. Try: trusted = [" in note
    assert str(home / "project") in note


def test_a_trusted_folder_sets_it(home: Path) -> None:
    own(home, f'trusted = ["{home}/project"]')
    project(home, 'network = "bridge"')
    config = read(home)
    assert (config.defaults(), config.notes) == ({"network": "bridge"}, [])


BAD = {
    'memori = "1g"': "there is no setting 'memori'. Try: memory = ...",
    "qqqq = 1": "there is no setting 'qqqq'.",
    'memory = "x"': "'memory' cannot be 'x': a size is a number of bytes, or one with a unit, like 512MiB or 2g.",
    "temperature = 5": "'temperature' cannot be 5: it must be at most 2.",
    "model = 5": "'model' cannot be 5: input should be a valid string.",
    "max_turns = true": "'max_turns' cannot be true.",
    'api_key = "k"': "'api_key' is no setting: a key is never written into a file. Try: export CELLBLOCK_API_KEY=KEY",
    "env = 3": "'env' cannot be 3: input should be a valid dictionary.",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_setting_is_one_line_with_the_file_and_the_key(home: Path, text: str) -> None:
    path = own(home, text)
    with pytest.raises(UsageError) as caught:
        read(home)
    assert caught.value.for_shell == f"{str(path)!r}: {BAD[text]}"


def test_a_file_that_is_not_toml_is_one_line(home: Path) -> None:
    path = own(home, "memory: 4g")
    with pytest.raises(UsageError, match="is not TOML"):
        read(home)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="is not TOML"):
        read(home)


def test_a_file_of_windows_begins_with_a_mark(home: Path) -> None:
    own(home, "\ufefftemperature = 0.5")
    assert read(home).defaults() == {"temperature": "0.5"}


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "project" / "cellblock.toml")
    assert read(home) == Config()


def test_no_part_of_a_file_that_is_too_large_is_taken(home: Path) -> None:
    path = project(home, f"temperature = 0.5 # {'x' * (1 << 20)}")
    with pytest.raises(UsageError) as caught:
        read(home)
    assert str(caught.value) == f"{str(path)!r} is larger than 1048576 bytes, so it is no file of settings."


def test_a_seed_suits_both_the_model_and_the_sandbox(home: Path) -> None:
    path = project(home, "seed = 4294967296")
    with pytest.raises(UsageError) as caught:
        read(home)
    assert str(caught.value) == f"{str(path)!r}: 'seed' cannot be 4294967296: it must be at most 4294967295."


def test_a_limit_can_be_removed(home: Path) -> None:
    own(home, 'max_turns = "none"')
    assert read(home).defaults() == {"max_turns": "none"}


def test_a_path_in_a_file_starts_where_the_file_is(home: Path) -> None:
    path = own(home, 'prices = "prices.toml"')
    assert read(home).defaults() == {"prices": str(path.parent / "prices.toml")}


def test_a_file_of_the_user_is_in_the_home_folder_by_default() -> None:
    assert user_file({}) == Path("~/.config/cellblock/config.toml").expanduser()


def test_a_command_uses_the_files_and_an_option_comes_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own(home, "thinking = true")
    assert command_line(["run", "x"]) == 2
    assert "does not think" in capsys.readouterr().err
    own(home, 'prices = "nowhere.toml"')
    assert command_line(["run", "x", "--prices", "/other.toml"]) == 2
    assert "Cannot read the price table '/other.toml'" in capsys.readouterr().err
