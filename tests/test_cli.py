"""The command line: one clear line for every bad input, the right exit code, and only the result on stdout."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from agent.cli.main import command_line
from agent.record import transcript
from agent.testing import ScriptedEndpoint, calls, says

pytestmark = pytest.mark.usefixtures("clean_environ")


def cellblock(
    *arguments: str, environ: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments],
        env={**os.environ, **(environ or {})},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock"}
BAD: dict[str, tuple[list[str], dict[str, str], int, str]] = {
    "an empty task": (
        ["run", " "], {}, 2,
        'cellblock: The task is empty. Try: cellblock run "What is 123 to the power of 21?"',
    ),
    "no such file": (["run", "x", "-f", "/nowhere/a.csv"], {}, 2,
        "cellblock: '/nowhere/a.csv' is not a file. Try: ls -l /nowhere"),
    "a size": (["run", "x", "--memory", "12x"], {}, 2,
        "cellblock: --memory cannot be '12x': a size is a number of bytes, or one with a unit, like 512MiB or 2g."),
    "the host's network": (["doctor", "--network", "host"], {}, 2,
        "cellblock: --network cannot be 'host': a sandbox shares no network namespace with the host or a container."),
    "a check": (["run", "x", "--review", "cut,nonsense"], {}, 2,
        "cellblock: There is no check 'nonsense'. Try: --review none, default, strict, or "
        "cut,empty,no_code,failed,not_run,no_install,no_result,unseen,no_file,format,unstated,unused,support"),
    "a temperature": (["run", "x", "--temperature", "5"], {}, 2,
        "cellblock: --temperature cannot be 5.0: it must be at most 2."),
    "a provider": (["run", "x", "--model", "m", "--base-url", "http://h/v1", "--provider", "azure"], {}, 2,
        "cellblock: There is no provider 'azure'; there are model_studio, openai, vllm, sglang, ollama, llama_cpp, "
        "generic. Try: cellblock run --provider generic ..."),
    "thinking that cannot be had": (["doctor", "--thinking"], {}, 2,
        "cellblock: Model 'qwen2.5-coder-1.5b' does not think: it takes no --thinking. "
        "Try: cellblock run --model qwen2.5-coder-1.5b ..."),
    "a limit": (["run", "x", "--max-turns", "0"], {}, 2,
        "cellblock: --max-turns cannot be '0': it must be at least 1."),
    "a word for a number": (["run", "--max-turns", "abc", "x"], {}, 2,
        "cellblock: --max-turns cannot be 'abc': input should be a valid integer, unable to parse string as an "
        "integer. Try: --max-turns NUMBER"),
    "a limit on cost without a price": (["chat", "--max-cost", "1"], {}, 2,
        "cellblock: A limit on cost needs a price, and none is known for model 'qwen2.5-coder-1.5b'. "
        "Try: --prices FILE"),
    "no price table": (["run", "x", "--prices", "/nowhere/p.toml"], {}, 2,
        "cellblock: Cannot read the price table '/nowhere/p.toml': No such file or directory. Try: ls"),
    "no model named": (["run", "x", "--base-url", "http://h/v1"], {}, 2,
        "cellblock: The endpoint 'h' needs the name of a model. Try: cellblock run --model NAME ... "
        "(or set CELLBLOCK_MODEL)"),
    "no engine": (["run", "x", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"], NO_ENGINE, 3,
        "cellblock: No engine at 'unix:///nowhere.sock': the socket does not exist. Try: make engine, or start "
        "Docker; `docker context ls` shows where it is expected"),
    "no model file": (["run", "x"], {"CELLBLOCK_HOME": "/nowhere"} | NO_ENGINE, 3,
        "cellblock: No endpoint is configured, and the built-in model 'qwen2.5-coder-1.5b' is not downloaded. "
        "Try: cellblock model pull"),
    "no such run": (["show", "/nowhere"], {}, 2,
        "cellblock: No run at '/nowhere': No such file or directory. Try: ls runs"),
    "no such model": (["model", "pull", "gpt"], {}, 2,
        "cellblock: No built-in model is called 'gpt'; there are qwen2.5-coder-1.5b, qwen2.5-coder-0.5b."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_error_line_with_a_hint(case: str) -> None:
    arguments, environ, code, line = BAD[case]
    done = cellblock(*arguments, environ=environ)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", line + "\n")


def test_a_task_of_a_megabyte_is_refused_with_a_hint_to_use_a_file() -> None:
    done = cellblock("run", "-", stdin="a" * 1_000_000)
    assert done.returncode == 2
    assert done.stderr.startswith("cellblock: The task is 1000000 characters long, over the limit of 200000:")
    assert done.stderr.endswith('Try: put the data into a file: cellblock run "TASK" -f FILE\n')


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run"], "Missing argument 'TASK'. Try: cellblock run --help"),
        (["nonsense"], "No such command 'nonsense'. Try: cellblock --help"),
        (["image", "x"], "No such command 'x'. Try: cellblock image --help"),
        (["gc", "--dry"], "No such option: --dry"),
        (["run", "x", "--top-p", "many"], "Invalid value for '--top-p': "),
    ],
)
def test_usage_errors_are_one_line_that_names_the_help_command(arguments: list[str], line: str) -> None:
    done = cellblock(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"cellblock: {line}")
    assert done.stderr.endswith("--help\n")


@pytest.mark.parametrize("arguments", [[], ["image"]])
def test_a_command_without_arguments_shows_its_help(arguments: list[str]) -> None:
    done = cellblock(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ")


def closed(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that the shell starts with a redirected or closed stream."""
    line = f'exec "$@" {redirection}'
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "agent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_closed_stream_is_treated_as_empty(tmp_path: Path) -> None:
    assert closed("<&-", "run", "-").stderr.startswith("cellblock: The task is empty.")
    assert closed("<&-", "batch", "-", "-o", str(tmp_path)).stderr.startswith("cellblock: stdin contains no task.")
    assert closed(">&-", "model", "ls").returncode == 0
    assert closed("2>&-", "model", "ls").stdout


@pytest.mark.docker
def test_characters_that_stdout_cannot_encode_are_escaped(tmp_path: Path) -> None:
    with ScriptedEndpoint([says("\u5317\u4eac")]) as endpoint:
        there = ["--model", "m", "--base-url", endpoint.base_url, "-o", str(tmp_path / "run")]
        done = cellblock("run", "x", *there, environ={"PYTHONIOENCODING": "latin-1"})
    assert (done.returncode, done.stdout) == (0, "\\u5317\\u4eac\n")


def test_a_result_that_cannot_be_written_is_one_error_line() -> None:
    done = closed("> /dev/full", "model", "ls")
    assert done.returncode == 3
    assert done.stderr == "cellblock: Cannot write the result to stdout: No space left on device. Try: df -h\n"


@pytest.mark.docker
def test_a_file_instead_of_a_run_directory_is_reported(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    done = cellblock("run", "x", "-o", str(place), "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    assert done.returncode == 3
    assert done.stderr == f"cellblock: Cannot write the run directory '{place}': File exists. Try: ls -ld {place}\n"


def test_the_doctor_gives_a_fix_for_each_failing_line(tmp_path: Path) -> None:
    done = cellblock("doctor", environ=NO_ENGINE | {"CELLBLOCK_HOME": str(tmp_path)})
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines if not line.startswith(" ")] == [
        ["FAIL", "engine:"], ["FAIL", "image:"], ["FAIL", "model:"], ["ok", "disk:"], ["ok", "memory:"],
        ["FAIL", "sandbox:"],
    ]  # fmt: skip
    assert len([line for line in lines if "try:" in line]) == 3
    assert "The address is from DOCKER_HOST." in lines[0]


@pytest.mark.docker
def test_the_doctor_starts_a_sandbox_under_the_options_of_a_run(tmp_path: Path) -> None:
    model = ("--model", "m", "--base-url")
    with ScriptedEndpoint([]) as endpoint:
        done = cellblock("doctor", *model, endpoint.base_url, "--memory", "256m", "--pids", "64")
    *_, sandbox = done.stdout.splitlines()
    assert sandbox.startswith("ok    sandbox: the first result came after "), done.stdout
    assert " s; inside are 256 MiB of memory, 64 processes, no network, user 2" in sandbox
    assert done.returncode == 0, done.stdout


@pytest.mark.docker
def test_the_doctor_lists_the_available_runtimes(tmp_path: Path) -> None:
    done = cellblock("doctor", "--runtime", "runsc-9", environ={"CELLBLOCK_HOME": str(tmp_path)})
    assert done.returncode == 3
    assert "FAIL  runtime: The engine has no runtime 'runsc-9'; it has " in done.stdout
    assert done.stdout.splitlines()[-1] == "FAIL  sandbox: not started, because of the failures above"


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_help_lists_the_options_of_the_sandbox_under_their_own_title(command: str) -> None:
    shown = cellblock(command, "--help").stdout
    options, sandbox = shown.split("\nSandbox:\n")
    options, model = options.split("\nModel:\n")
    assert "--json" in options or command == "doctor"
    assert "--thinking / --no-thinking" in model
    assert "--memory SIZE" in sandbox
    assert "[default: 2 GiB]" in sandbox
    assert "--env NAME=VALUE" in sandbox


@pytest.fixture
def asked(tmp_path: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A whole run through a real process, real HTTP and a real sandbox."""
    source = tmp_path / "数.csv"
    source.write_text("a\n6\n7\n")
    code = "import math\nprint(math.prod(map(int, open('数.csv').read().split()[1:])))\nopen('out.txt', 'w').write('x')"
    with ScriptedEndpoint([calls(code), says("It is 42.\x1b[2J", reasoning="six times seven")]) as endpoint:
        done = cellblock(
            "run", "Multiply.", "-f", str(source), "--model", "m", "--base-url", endpoint.base_url, "-o",
            str(tmp_path / "run"), environ={"CELLBLOCK_API_KEY": "sk-secret"},
        )  # fmt: skip
        assert "- /workspace/数.csv (6 bytes)" in endpoint.requests[0]["messages"][1]["content"]
    return done, tmp_path / "run"


@pytest.mark.docker
def test_the_answer_goes_to_stdout_and_all_else_to_stderr(
    asked: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, run = asked
    assert (done.returncode, done.stdout) == (0, "It is 42.\n")
    assert "── run_python" in done.stderr
    assert "\n42\n" in done.stderr
    assert f"{run}: answered, 20 + 10 tokens" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.docker
def test_the_run_directory_records_the_whole_run(asked: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, run = asked
    recorded = transcript.read(run)
    kinds = [event.type for event in recorded.events]
    assert kinds == ["run_started", "sandbox", "model", "tool", "model", "question_finished", "run_finished"]
    started = json.loads((run / transcript.FILE_NAME).read_text().splitlines()[0])
    assert [file["name"] for file in started["files"]] == ["数.csv"]
    assert started["environment"]["image_id"].startswith("sha256:")
    assert started["environment"]["packages"]["numpy"]
    assert started["environment"]["policy"]["network"] == "none"
    assert recorded.finished is not None
    assert [artifact.name for artifact in recorded.finished.artifacts] == ["out.txt"]
    assert (run / "files" / "out.txt").read_text() == "x"
    assert "sk-secret" not in (run / transcript.FILE_NAME).read_text()


@pytest.mark.docker
def test_show_prints_the_whole_run(asked: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, run = asked
    done = cellblock("show", str(run))
    assert done.returncode == 0
    for part in ("Multiply.", "math.prod", "42", "six times seven", "answered · 2 turns", "It is 42.", "files/out.txt"):
        assert part in done.stdout
    assert "\x1b" not in done.stdout
    assert [json.loads(line)["seq"] for line in cellblock("show", str(run), "--json").stdout.splitlines()] == list(
        range(7)
    )


@pytest.mark.docker
def test_an_unanswered_run_exits_with_1_and_prints_json(tmp_path: Path) -> None:
    with ScriptedEndpoint([calls("1"), says("Perhaps.")]) as endpoint:
        done = cellblock(
            "run", "x", "--model", "m", "--base-url", endpoint.base_url, "--max-turns", "1", "--json",
            "-o", str(tmp_path / "run"),
        )  # fmt: skip
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert (result["outcome"], result["answer"]) == ("limit", "Perhaps.")


@pytest.mark.docker
def test_a_run_prints_its_cost(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "USD"\n[models.m]\ninput = 1\noutput = 5\n')
    with ScriptedEndpoint([calls("print(42)"), says("42")]) as endpoint:
        done = cellblock(
            "run", "x", "--model", "m", "--base-url", endpoint.base_url, "--prices", str(prices), "--json",
            "-o", str(tmp_path / "run"),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cost"] == {"amount": "0.000070", "currency": "USD"}  # 2 * (10 * 1 + 5 * 5)
    assert "answered, 20 + 10 tokens, 0.00007 USD" in done.stderr
    finished = transcript.read(tmp_path / "run").finished
    assert finished is not None
    assert str(finished.cost) == "0.00007 USD"


@pytest.mark.docker
def test_an_existing_run_directory_is_refused(asked: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, run = asked
    done = cellblock("run", "x", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "-o", str(run))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"cellblock: {str(run)!r} already holds a run. Try: cellblock show {run}"


@pytest.mark.docker
def test_a_run_that_takes_too_long_ends_at_its_limit(tmp_path: Path) -> None:
    with ScriptedEndpoint([calls("import time\ntime.sleep(60)")]) as endpoint:
        done = cellblock(
            "run", "x", "--model", "m", "--base-url", endpoint.base_url, "--max-seconds", "1", "--json",
            "-o", str(tmp_path / "run"),
        )  # fmt: skip
    result = json.loads(done.stdout)
    assert (done.returncode, result["outcome"], result["limit"], result["answer"]) == (1, "limit", "seconds", None)
    assert f"{tmp_path / 'run'}: limit (seconds), 10 + 5 tokens" in done.stderr


def test_the_version_is_one_line_that_begins_with_the_name() -> None:
    done = cellblock("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cellblock {version('cellblock')}\n", "")


@pytest.mark.parametrize("command", [[], ["run"], ["batch"], ["image"], ["image", "ls"]])
def test_help_has_a_short_name(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert [command_line([*command, "--help"]), command_line([*command, "-h"])] == [0, 0]
    shown = capsys.readouterr().out
    half = len(shown) // 2
    assert "-h, --help" in shown
    assert shown[:half] == shown[half:]


def completed(words: str) -> list[str]:
    """The completions of the last word in bash."""
    asked = {"_CELLBLOCK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    return cellblock(environ=asked).stdout.split()


def test_the_shell_completes_commands_and_options() -> None:
    assert completed("cellblock re") == ["resume", "replay"]
    assert completed("cellblock image b") == ["build"]
    assert completed("cellblock run --mem") == ["--memory"]


def test_completion_is_shown_and_installed_for_the_current_shell(tmp_path: Path) -> None:
    script = """
        cellblock() { "$PYTHON" -m agent "$@"; }
        cellblock --show-completion
        cellblock --install-completion
        . "$HOME/.bashrc"
        complete -p cellblock
    """
    environ = {**os.environ, "HOME": str(tmp_path), "PYTHON": sys.executable}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
    line = "complete -o default -F _cellblock_completion cellblock"
    assert done.stdout.splitlines().count(line) == 2
    assert (tmp_path / ".bash_completions" / "cellblock.sh").read_text().rstrip().endswith(line)
