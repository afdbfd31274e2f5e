"""What the model is told beside its output: each hint as a whole text, and when there is none."""

import pytest

from agent.prompting.hints import Scene, hints, needs_files, repeated, unprinted
from agent.prompting.observation import observe
from sandbox import ErrorOutput, ExecuteResult, Execution, Output, StreamOutput

SCENE = Scene(
    packages={"numpy": "2", "pandas": "3", "pillow": "13", "Pygments": "2"},
    files=["b.csv", "a.csv"],
    tools=["lookup"],
)


def failed(ename: str, evalue: str) -> Execution:
    line = f"{ename}: {evalue}"
    return Execution(status="error", outputs=[ErrorOutput(ename=ename, evalue=evalue, traceback=[line])])


def printed(text: str, name: str = "stdout") -> Execution:
    outputs: list[Output] = [StreamOutput.model_validate({"name": name, "text": text})]
    return Execution(status="ok", outputs=outputs)


INSTALLED = "Installed are numpy, pandas, PIL and Python's own modules. Write the program with these."
NO_PIP = f"Nothing can be installed: there is no network and no pip.\n{INSTALLED}"
CASES: dict[str, tuple[str, Execution, str]] = {
    "a module that is not there": (
        "import seaborn.x",
        failed("ModuleNotFoundError", "No module named 'seaborn.x'"),
        "ModuleNotFoundError: No module named 'seaborn.x'\n"
        f"'seaborn' is not installed, and nothing can be downloaded: there is no network.\n{INSTALLED}",
    ),
    "an event loop in a cell": (
        "import asyncio\nasyncio.run(main(3))",
        failed("RuntimeError", "asyncio.run() cannot be called from a running event loop"),
        "RuntimeError: asyncio.run() cannot be called from a running event loop\n"
        "A cell runs in an event loop already: write await main(3) in place of asyncio.run(main(3)).",
    ),
    "a loop that runs until something is complete": (
        "loop = asyncio.get_event_loop()\nx = loop.run_until_complete(main())",
        failed("RuntimeError", "This event loop is already running"),
        "RuntimeError: This event loop is already running\n"
        "A cell runs in an event loop already: write await main() in place of loop.run_until_complete(main()).",
    ),
    "a figure saved after it was shown": (
        "plt.plot([1])\nplt.show()\nplt.savefig('a.png')",
        printed("<Figure size 640x480 with 0 Axes>\n"),
        "<Figure size 640x480 with 0 Axes>\n"
        "plt.show() has closed the figure, so savefig after it has saved an empty picture: "
        "save the figure before it is shown.",
    ),
    "an inplace method on a column": (
        "df['a'].fillna(df['a'].mean(), inplace=True)\ndf.dropna(inplace=True)",
        printed("/tmp/1.py:1: ChainedAssignmentError: A value is being set on a copy."),
        "/tmp/1.py:1: ChainedAssignmentError: A value is being set on a copy.\n"
        "An inplace method on a column changes nothing, so the result is wrong. Write "
        "df['a'] = df['a'].fillna(df['a'].mean()) in place of df['a'].fillna(df['a'].mean(), inplace=True).\n"
        "Write the whole program again in a ```python block.",
    ),
    "a module of which Python has its like": (
        "import pytz",
        failed("ModuleNotFoundError", "No module named 'pytz'"),
        "ModuleNotFoundError: No module named 'pytz'\n"
        "'pytz' is not installed, and nothing can be downloaded: there is no network.\n"
        f"The module zoneinfo does the same.\n{INSTALLED}",
    ),
    "a class taken for its module": (
        "datetime.timedelta(1)",
        failed("AttributeError", "type object 'datetime.datetime' has no attribute 'timedelta'"),
        "AttributeError: type object 'datetime.datetime' has no attribute 'timedelta'\n"
        "datetime is the class datetime.datetime here, not the module: write from datetime import timedelta.",
    ),
    "a module with a slip in its name": (
        "import panda",
        failed("ModuleNotFoundError", "No module named 'panda'"),
        "ModuleNotFoundError: No module named 'panda'\n"
        "'panda' is not installed, and nothing can be downloaded: there is no network.\n"
        f"Did you mean 'pandas'?\n{INSTALLED}",
    ),
    "pip in a shell": (
        "!pip install requests",
        printed("/bin/sh: 1: pip: not found\n", "stderr"),
        f"/bin/sh: 1: pip: not found\n{NO_PIP}",
    ),
    "pip in a process": (
        "subprocess.run([sys.executable, '-m', 'pip', 'install', 'requests'])",
        printed("python3: No module named pip\n", "stderr"),
        f"python3: No module named pip\n{NO_PIP}",
    ),
    "a file that is not there": (
        "open('x')",
        failed("FileNotFoundError", "[Errno 2] No such file or directory: 'x'"),
        "FileNotFoundError: [Errno 2] No such file or directory: 'x'\nThe files in /workspace are: a.csv, b.csv.",
    ),
    "input": (
        "input()",
        failed("StdinNotImplementedError", "raw_input was called"),
        "StdinNotImplementedError: raw_input was called\nNo one can type input: write the values into the code.",
    ),
    "a tool in the code": (
        "lookup('Paris')",
        failed("NameError", "name 'lookup' is not defined"),
        "NameError: name 'lookup' is not defined\n"
        "lookup is a tool and no Python function: call it as you call run_python.",
    ),
    "an integer that wraps": (
        "import numpy as np\nprint(np.power(7, 123))",
        printed("3208213002203925015\n"),
        "3208213002203925015\nA numpy integer has 64 bits and overflows without an error: "
        "for a number this large, use Python's own integers.",
    ),
    "a value that nobody sees": (
        "import math\ntotal = math.pi",
        Execution(status="ok"),
        "The code ran without output. Print what you need to see: print(total)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_words(case: str) -> None:
    code, execution, words = CASES[case]
    assert observe(execution, hints(code, execution, SCENE), unprinted=unprinted(code)) == words


QUIET: dict[str, tuple[str, Execution]] = {
    "output": ("print(1)", printed("1\n")),
    "another error": ("1/0", failed("ZeroDivisionError", "division by zero")),
    "a name that is no tool": ("x", failed("NameError", "name 'x' is not defined")),
    "an integer of Python's": ("print(7**22)", printed("3909821048582988049\n")),
    "a small number of numpy's": ("print(np.sum(a))", printed("12.5\n")),
    "a talk of pip": ("print('pip install numpy')", printed("pip install numpy\n")),
}


@pytest.mark.parametrize("case", QUIET)
def test_what_needs_no_hint_has_none(case: str) -> None:
    code, execution = QUIET[case]
    assert hints(code, execution, SCENE) == []


def test_with_a_network_nothing_is_said_about_it() -> None:
    online = Scene(has_network=True)
    code, execution, _ = CASES["a module that is not there"]
    assert hints(code, execution, online) == ["'seaborn' is not installed.", ""]
    code, execution, _ = CASES["pip in a shell"]
    assert hints(code, execution, online) == ["There is no pip here.", ""]


def test_an_empty_workspace_is_told_and_a_full_one_in_part() -> None:
    missing = failed("FileNotFoundError", "x")
    assert hints("open('x')", missing, Scene()) == ["There are no files in /workspace."]
    [told] = hints("open('x')", missing, Scene(files=[f"{number:02}.csv" for number in range(30)]))
    assert told.startswith("The files in /workspace are: 00.csv, 01.csv, ")
    assert told.endswith(", 19.csv, and 10 more.")


def test_the_workspace_is_only_looked_at_for_a_missing_file() -> None:
    assert needs_files(failed("FileNotFoundError", "x"))
    assert not needs_files(failed("ValueError", "x"))
    assert not needs_files(printed("FileNotFoundError"))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("x = 1", "x"),
        ("x += 1", "x"),
        ("x = 1\nx", None),
        ("a.b = 1", None),
        ("def f(x):\n    print(x)", "f(...)"),
        ("print(1)", None),
        ("", None),
        ("(", None),
    ],
)
def test_the_name_that_the_last_line_gives_a_value(code: str, name: str | None) -> None:
    assert unprinted(code) == name


def test_an_error_after_a_long_output_is_told_whole() -> None:
    error = ErrorOutput(ename="E", evalue="v" * 500, traceback=["E: " + "v" * 500])
    outputs: list[Output] = [StreamOutput(name="stdout", text="x" * 100_000), error]
    text = observe(Execution(status="error", outputs=outputs), ["Hint."])
    assert text.endswith("\nE: " + "v" * 500 + "\nHint.")


def test_a_value_is_shown_beside_what_was_printed() -> None:
    outputs: list[Output] = [
        StreamOutput(name="stdout", text="a\n"),
        ExecuteResult(data={"text/plain": "42"}),
    ]
    assert observe(Execution(status="ok", outputs=outputs)) == "a\n42"


def test_a_module_that_is_imported_again_is_to_be_done_without() -> None:
    assert repeated(failed("ModuleNotFoundError", "No module named 'Levenshtein'")) == (
        "'Levenshtein' is still not there. Do not import it again: write what you need of it yourself, in plain Python."
    )
    assert repeated(failed("ValueError", "x")).startswith("This is the same code with the same error as before.")


def test_packages_that_the_user_has_added_are_named_by_their_modules() -> None:
    packages = {"numpy": "2", "beautifulsoup4": "4", "rapid-fuzz": "3"}
    added = Scene(packages=packages, added=("beautifulsoup4", "rapid-fuzz"))
    missing = failed("ModuleNotFoundError", "No module named 'seaborn'")
    assert "numpy, bs4, rapid_fuzz" in " ".join(hints("import seaborn", missing, added))
