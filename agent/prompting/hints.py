"""Hints for fixing a cell: sentences for the model that follow from its code, its error and its environment."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import cast

from agent.prompting.dates import impossible_dates
from agent.prompting.file_hints import about_files, is_about_files
from agent.prompting.function_hints import about_functions
from agent.prompting.words import HINTS
from agent.pycode import parsed
from sandbox import ErrorOutput, Execution, FileProfile
from sandbox.calls import HostFunction

MAX_NAMES = 20
MAX_STATEMENTS = 3
"""How many statements without effect are named."""
USEFUL = {
    "numpy": "numpy", "pandas": "pandas", "scipy": "scipy", "sympy": "sympy", "mpmath": "mpmath",
    "matplotlib": "matplotlib", "seaborn": "seaborn", "scikit-learn": "sklearn", "openpyxl": "openpyxl",
    "pillow": "PIL", "networkx": "networkx", "requests": "requests", "torch": "torch", "statsmodels": "statsmodels",
    "lxml": "lxml", "polars": "polars", "beautifulsoup4": "bs4", "pyyaml": "yaml", "opencv-python": "cv2",
    "opencv-python-headless": "cv2", "scikit-image": "skimage", "python-docx": "docx", "python-pptx": "pptx",
    "biopython": "Bio", "umap-learn": "umap", "imbalanced-learn": "imblearn",
}  # fmt: skip
"""Packages that a model should know of if they are installed, and the names to import them by."""

STAND_INS = {
    "pytz": "zoneinfo", "tzlocal": "zoneinfo", "arrow": "datetime", "pendulum": "datetime", "dateparser": "datetime",
    "simplejson": "json", "ujson": "json", "orjson": "json", "unicodecsv": "csv", "gmpy2": "math",
    "toml": "tomllib", "tomli": "tomllib", "mock": "unittest",
}  # fmt: skip
"""Modules that models often import, and the standard module that replaces each if it is not installed."""

_CLASS_NOT_MODULE = re.compile(r"type object '(\w+)\.\1' has no attribute '(\w+)'")
_MODULE = re.compile(r"No module named '([\w.]+)'")
_PIP = re.compile(r"\bpip3?\b['\",\s]+install\b")
_SHELL_LINE = re.compile(r"^\s*[!%].*", re.MULTILINE)
_RUNNERS = frozenset({"system", "popen", "run", "call", "check_call", "check_output", "Popen", "getoutput", "main"})
_NO_PIP = re.compile(r"\bpip3?: not found|No module named (?:'pip'|pip)\b")
_RUNNING_LOOP = re.compile(r"running event loop|event loop is already running")
_LOOP_RUNNERS = frozenset({"run", "run_until_complete"})
_NAME = re.compile(r"name '(\w+)' is not defined")
_WRAPPING = re.compile(r"\b(?:np|numpy)\.(?:power|prod|cumprod|dot|sum|cumsum|array|arange|int64)\b")
_EMPTY_FIGURE = re.compile(r"^<Figure size .* with 0 Axes>$", re.MULTILINE)
_CHAINED = re.compile(r"^\S+:\d+: ChainedAssignmentError:", re.MULTILINE)
"""A warning of pandas about a statement that has no effect."""
_NEAR_OVERFLOW = re.compile(r"(?<![\w.])-?\d{18,19}(?![\w.])")


@dataclass(frozen=True)
class Scene:
    """The environment of a cell, as far as hints need it."""

    packages: Mapping[str, str] = field(default_factory=dict)
    """Installed packages and their versions."""
    files: Collection[str] = ()
    """Names in the workspace."""
    given: Mapping[str, FileProfile] = field(default_factory=dict)
    """What is known of the files that came with the questions and are unchanged, by name."""
    earlier_code: str = ""
    """The cells before this one."""
    added: Collection[str] = ()
    """Names of the packages that the user has asked for: the model should know of them too."""
    tools: Collection[str] = ()
    """Names of the tools beside run_python that code cannot call."""
    functions: Sequence[HostFunction] = ()
    """The caller's functions that code can call."""
    has_network: bool = False


def needs_files(execution: Execution) -> bool:
    """True if the hints depend on the files in the workspace."""
    error = _error(execution)
    return error is not None and (error.ename == "FileNotFoundError" or is_about_files(error))


def hints(code: str, execution: Execution, scene: Scene) -> list[str]:
    """The sentences for one cell; most cells have none."""
    error = _error(execution)
    found = list(_about_error(error, code, scene)) if error else []
    if error:
        found += impossible_dates(error, code)
    found += about_functions(error, execution.text, code, scene.earlier_code, scene.functions)
    if error and scene.given:
        found += about_files(error, f"{scene.earlier_code}\n{code}", scene.given)
    if installs(code) and (error or _NO_PIP.search(execution.text)):
        found = [HINTS["no_pip_online" if scene.has_network else "no_pip"], _installed(scene)]
    if "savefig" in code and _EMPTY_FIGURE.search(execution.text):
        found.append(HINTS["empty_figure"])
    if _CHAINED.search(execution.text):
        found += [*_without_effect(code), HINTS["rewrite"]]
    if _WRAPPING.search(code) and _NEAR_OVERFLOW.search(execution.text):
        found.append(HINTS["overflow"])
    return found


def repeated(execution: Execution) -> str:
    """The sentence for a cell that fails as the same code did before."""
    error = _error(execution)
    if error and error.ename == "ModuleNotFoundError" and (named := _MODULE.search(error.evalue)):
        return HINTS["repeated_import"].format(name=named[1])
    return HINTS["repeated"]


def installs(code: str) -> bool:
    """True if a cell runs pip to install something. A comment or a message that mentions it does not count."""
    if any(_PIP.search(line) for line in _SHELL_LINE.findall(code)):
        return True
    tree = parsed(_SHELL_LINE.sub("", code)) if _PIP.search(code) else None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []
    return any(_name_of(call.func) in _RUNNERS and _PIP.search(_texts_in(call)) for call in calls)


def asks_to_install(answer: str) -> bool:
    """True if an answer names the command that installs something."""
    return _PIP.search(answer) is not None


def _texts_in(call: ast.Call) -> str:
    values = (node.value for node in ast.walk(call) if isinstance(node, ast.Constant))
    return " ".join(value for value in values if isinstance(value, str))


def _name_of(function: ast.expr) -> str:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def unprinted(code: str) -> str | None:
    """The value that the last statement assigns without showing it, or the function that nothing calls; else None."""
    tree = parsed(code)
    match tree.body[-1:] if tree else []:
        case [ast.Assign(targets=[ast.Name(id=name)])] | [ast.AugAssign(target=ast.Name(id=name))]:
            return name
        case [ast.FunctionDef(name=name)]:
            return f"{name}(...)"
    return None


def _about_error(error: ErrorOutput, code: str, scene: Scene) -> Iterator[str]:
    match error.ename:
        case "ModuleNotFoundError" if named := _MODULE.search(error.evalue):
            yield from _about_module(named[1].partition(".")[0], scene)
        case "FileNotFoundError":
            yield _files(scene)
        case "AttributeError" if named := _CLASS_NOT_MODULE.search(error.evalue):
            yield HINTS["class_not_module"].format(name=named[1], attribute=named[2])
        case "RuntimeError" if _RUNNING_LOOP.search(error.evalue):
            yield HINTS["running_loop"].format(await_it=_awaiting(code))
        case "StdinNotImplementedError":
            yield HINTS["no_input"]
        case "NameError" if (named := _NAME.search(error.evalue)) and named[1] in scene.tools:
            yield HINTS["tool_not_function"].format(name=named[1])


def _awaiting(code: str) -> str:
    """What is to be written in place of the call that starts an event loop."""
    tree = parsed(code)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)) if tree else ():
        if _name_of(call.func) in _LOOP_RUNNERS and call.args:
            return f"await {ast.unparse(call.args[0])} in place of {ast.unparse(call)}"
    return "await in place of it"


def _without_effect(code: str) -> Iterator[str]:
    """For each inplace method on a column, the assignment that does what was meant."""
    tree = parsed(code)
    for node in islice(filter(_is_chained, ast.walk(tree) if tree else ()), MAX_STATEMENTS):
        call = cast(ast.Call, node)
        column = cast(ast.Attribute, call.func).value
        others = [keyword for keyword in call.keywords if keyword.arg != "inplace"]
        right = f"{ast.unparse(column)} = {ast.unparse(ast.Call(call.func, call.args, others))}"
        yield HINTS["chained"].format(right=right, wrong=ast.unparse(call))


def _is_chained(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Subscript()), keywords=keywords):
            return any(keyword.arg == "inplace" for keyword in keywords)
    return False


def _about_module(name: str, scene: Scene) -> Iterator[str]:
    yield HINTS["missing_module_online" if scene.has_network else "missing_module"].format(name=name)
    importable = [USEFUL.get(package.lower(), package) for package in scene.packages]
    if close := get_close_matches(name, importable, n=2, cutoff=0.75):
        yield HINTS["other_name"].format(names=" or ".join(map(repr, close)))
    if own := STAND_INS.get(name):
        yield HINTS["own_module"].format(own=own)
    yield _installed(scene)


def _installed(scene: Scene) -> str:
    there = {package.lower() for package in scene.packages}
    useful = [module for package, module in USEFUL.items() if package in there]
    useful += [name.replace("-", "_") for name in scene.added if name not in USEFUL]
    return HINTS["installed"].format(packages=", ".join(useful)) if useful else ""


def _files(scene: Scene) -> str:
    if not scene.files:
        return HINTS["no_files"]
    names = sorted(scene.files)
    more = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    return HINTS["files"].format(files=", ".join([*names[:MAX_NAMES], *more]))


def _error(execution: Execution) -> ErrorOutput | None:
    return next((output for output in reversed(execution.outputs) if isinstance(output, ErrorOutput)), None)
