"""The shape of the project: what may import what, and what is public."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import agent
import sandbox

ROOT = Path(__file__).parents[1]
BASICS = "agent"
"""The room of the modules that lie in `agent` itself: what every room may use. They use no room but the sandbox."""
ABOVE = {"agent.agent": "face", "agent.confirming": "face", "agent.runtime": "runtime"}
"""Modules that lie there as well, and are rooms of their own: they stand on the rooms."""
ROOMS = {  # room: those that it may use beside the basics and the sandbox
    "local": set(),  # serves the built-in model
    "endpoint": {"local"},  # asks a model
    "prompting": set(),  # every sentence that a model reads
    "tools": {"prompting"},  # what a model can call
    "calls": {"tools"},  # finds calls in what a model wrote
    "record": {"endpoint"},  # knows nothing of prompts, calls and checks: a later version must not damage a run
    "spellings": set(),  # how numbers, days and texts are written
    "replay": {"endpoint", "record"},  # runs what is on record again, or answers from it
    "export": {"record", "replay"},
    "review": {"prompting", "record", "spellings"},  # checks an answer
    "loop": {"calls", "endpoint", "prompting", "record", "replay", "review", "tools"},
    # opens engine, model and sandboxes
    "runtime": {"endpoint", "local", "loop", "record", "replay", "review", "tools"},
    "face": {"endpoint", "loop", "record", "replay", "runtime", "tools"},
    "batch": {"endpoint", "face", "loop", "record", "runtime", "spellings"},  # asks many questions over one runtime
    # the protocols of hosted interpreters
    "server": {"calls", "endpoint", "export", "loop", "prompting", "record", "runtime", "tools"},
    "mcp": {"loop", "record", "server"},  # the sandbox as tools of other programs
    "testing": set(),  # an endpoint for tests, which uses nothing of what is tested
    "cli": {
        "batch",
        "endpoint",
        "export",
        "face",
        "local",
        "loop",
        "mcp",
        "prompting",
        "record",
        "replay",
        "server",
        "tools",
    },
}
IN_CONTAINER = {"guest", "profiler"}
"""The packages of `sandbox` that the host sends, and does not import."""
ONLY_IN = {
    "babel": ("agent/spellings/dates.py",),
    "docker": ("sandbox/docker/",),
    "jinja2": ("agent/export/html.py",),
    "latex2mathml": ("agent/export/mathml.py",),
    "nh3": ("agent/export/rich_text.py",),
    "mcp": ("agent/mcp/", "agent/tools/mcp/"),
    "mcp_types": ("agent/mcp/", "agent/tools/mcp/"),
    "openpyxl": ("sandbox/profiler/",),
    "openai": ("agent/endpoint/",),
    "httpx2": ("agent/endpoint/", "agent/tools/mcp/connection.py"),
    "ray": ("agent/batch/cluster.py",),
    "sqlite3": ("agent/server/state/database.py", "sandbox/profiler/"),
    "starlette": ("agent/mcp/serving.py", "agent/server/"),
    "typer": ("agent/cli/",),
    "uvicorn": ("agent/server/",),
    "xllamacpp": ("agent/local/",),
}


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room_of(name: str) -> str:
    """The room of a module of `agent`, or of a name in one."""
    if name == "agent":
        return "face"
    if name in ABOVE:
        return ABOVE[name]
    if name == "agent.__main__":
        return "cli"
    room = name.split(".")[1]
    return room if (ROOT / "agent" / room).is_dir() else BASICS


@pytest.mark.parametrize("path", modules("agent"), ids=dotted)
def test_a_room_uses_only_what_lies_below_it(path: Path) -> None:
    if path == ROOT / "agent" / "__init__.py":
        return
    room = room_of(dotted(path))
    allowed = ROOMS.get(room, set()) | {room, BASICS}
    used = {room_of(name) for name in modules_of(path) if name.split(".")[0] == "agent"}
    assert used <= allowed, f"{dotted(path)} uses {used - allowed}"


def test_each_room_has_a_row() -> None:
    rooms = {path.name for path in (ROOT / "agent").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms | set(ABOVE.values()) == ROOMS.keys()


def modules_of(path: Path) -> set[str]:
    """The modules of this project that one imports."""
    names = {name for name in imports_of(path) if name.split(".")[0] in ("agent", "sandbox")}
    from_face = {"agent" for name in names if re.fullmatch(r"agent\.[A-Z]\w*", name)}
    return from_face | {name for name in names if ROOT.joinpath(*name.split(".")).with_suffix(".py").is_file()}


def test_no_module_leads_back_to_itself() -> None:
    uses = {dotted(path): modules_of(path) for path in modules("agent", "sandbox") if path.name != "__init__.py"}
    open_names: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        assert name not in open_names, f"{' -> '.join([*open_names, name])}"
        if name not in done:
            open_names.append(name)
            for used in sorted(uses.get(name, ())):
                visit(used)
            done.add(open_names.pop())

    for name in uses:
        visit(name)


@pytest.mark.parametrize("path", modules("sandbox"), ids=dotted)
def test_the_sandbox_knows_no_agent(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.split(".")[0] == "agent"}


@pytest.mark.parametrize("path", modules("agent", "sandbox"), ids=dotted)
def test_a_foreign_library_has_one_home(path: Path) -> None:
    for library, homes in ONLY_IN.items():
        if library in {name.split(".")[0] for name in imports_of(path)}:
            assert path.relative_to(ROOT).as_posix().startswith(homes), f"{dotted(path)} imports {library}"


def printed_by(path: Path) -> set[str]:
    """What a module does to write past the one console and the clean streams."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="print" | "input" | "Console" as name)):
                found.add(name)
            case ast.Call(
                func=ast.Attribute(attr="echo" | "secho" | "Console" | "print_json" | "print_exception" as name)
            ):
                found.add(name)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"), attr="buffer"):
                found.add("buffer")
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"), attr="write"):
                found.add("write")
            case ast.Attribute(attr="beneath"):
                found.add("beneath")
            case ast.ImportFrom(module="rich.markup") | ast.ImportFrom(module="rich", names=[ast.alias(name="print")]):
                found.add("markup")
    return found


MAY_PRINT = {
    "agent.__main__": {"write"},
    "agent.cli.app": {"write"},
    "agent.cli.approving": {"input"},
    "agent.cli.chat": {"input"},
    "agent.cli.console": {"beneath"},
    "agent.cli.exporting": {"buffer"},
}
"""`input` shows a text of ours; the bytes of an export are harmless in every format."""


@pytest.mark.parametrize("path", modules("agent", "sandbox"), ids=dotted)
def test_nothing_is_printed_but_by_the_clean_console_and_streams(path: Path) -> None:
    if not IN_CONTAINER & set(dotted(path).split(".")):
        assert printed_by(path) == MAY_PRINT.get(dotted(path), set())


@pytest.mark.parametrize("path", modules(*(f"sandbox/{name}" for name in sorted(IN_CONTAINER))), ids=dotted)
def test_what_runs_in_the_container_imports_nothing_of_ours_but_its_own_package(path: Path) -> None:
    assert {name.rpartition(".")[0] for name in modules_of(path)} <= {f"sandbox.{path.parent.name}"}


@pytest.mark.parametrize(
    "path", [path for path in modules("agent", "sandbox") if path.parent.name not in IN_CONTAINER], ids=dotted
)
def test_what_runs_in_the_container_is_never_imported_on_the_host(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.startswith(tuple(f"sandbox.{own}" for own in IN_CONTAINER))}


@pytest.mark.parametrize("package", [agent, sandbox], ids=["agent", "sandbox"])
def test_the_public_names_are_what_is_importable(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert list(names) == sorted(names, key=str.casefold) or list(names) == sorted(names)
    assert [name for name in names if not hasattr(package, name)] == []
    submodules = {module.name for module in pkgutil.iter_modules(package.__path__)}  # type: ignore[attr-defined]
    public = {name for name in vars(package) if not name.startswith("_")} - submodules
    assert public - {"TYPE_CHECKING", "import_module"} <= set(names)


OPENS = {
    "open", "read_bytes", "read_text", "write_bytes", "write_text", "touch", "iterdir", "rglob", "glob", "scandir",
    "listdir", "mkdir", "makedirs", "rmdir", "unlink", "rename", "renames", "rmtree", "copytree", "copyfile", "copy2",
    "symlink_to", "hardlink_to", "symlink", "stat", "lstat", "exists", "is_file", "is_dir", "is_symlink", "extractall",
    "extract", "chmod", "mkfifo",
}  # fmt: skip
OPENS_OTHER_FILES = {
    "agent/cli/doctor.py": {"available_memory_bytes": "what the machine says of its memory"},
    "agent/batch/cluster.py": {"_stored": "files of the user's"},
    "agent/batch/input.py": {"_content": "the file of tasks"},
    "agent/batch/node.py": {
        "run": "a folder of its own", "close": "a folder of its own", "_unpacked": "a folder of its own",
        "_parts": "an archive",
    },
    "agent/batch/tasks.py": {"fingerprint": "files of the user's"},
    "agent/cli/batch.py": {"batch": "/dev/null"},
    "agent/cli/asking.py": {"_several": "files of the user's"},
    "agent/cli/config.py": {"_read": "files of settings"},
    "agent/cli/environment.py": {"gc": "whether a server has kept anything"},
    "agent/cli/chat.py": {
        "name": "files of the user's", "with_files": "files of the user's", "_no_file": "files of the user's",
    },
    "agent/cli/completing.py": {"_paths": "files of the user's", "_ended": "files of the user's"},
    "agent/cli/exporting.py": {"_replacing": "the file that the user names"},
    "agent/loop/files.py": {
        "check_files": "files of the user's", "check_sizes": "files of the user's", "_head_of": "files of the user's",
    },
    "agent/record/blobs.py": {"put_file": "files of the user's"},
    "agent/record/origin.py": {"source_sha256": "our own source"},
    "agent/record/redaction.py": {"is_in_file": "files of the user's"},
    "agent/replay/rerun.py": {"_read": "a folder of its own"},
}  # fmt: skip
"""Functions that open paths which are not of a run directory, and what those are."""
RUN_PACKAGES = ("agent/record", "agent/replay", "agent/export", "agent/batch", "agent/cli", "agent/loop")
RUN_MODULES = ("agent/agent.py", "agent/runtime.py")


KNOWN = (("Source", "open"), ("self.directory", "exists"))


def opens_in(path: Path) -> set[str]:
    """The functions that call what opens, lists, makes or removes by a path."""
    found: set[str] = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {function.name for node in ast.walk(function) if isinstance(node, ast.Call) and opens(node)}
    return found


def opens(call: ast.Call) -> bool:
    """Whether a call goes to a path: the door's own methods are those of a `folder`, and `package_files` are ours."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open"
    if not isinstance(function, ast.Attribute):
        return False
    holder = ast.unparse(function.value)
    is_ours = holder.startswith(("package_files(", "Directory(")) or (holder, function.attr) in KNOWN
    is_door = holder.split(".")[-1] in ("folder", "_folder", "_directory") or (holder, function.attr) == (
        "packed",
        "open",
    )
    is_path_replace = function.attr == "replace" and len(call.args) == 1
    return (function.attr in OPENS or is_path_replace) and not is_door and not is_ours


def reads_runs(path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return name != "agent/record/directory.py" and (name in RUN_MODULES or name.startswith(RUN_PACKAGES))


@pytest.mark.parametrize("path", [path for path in modules("agent") if reads_runs(path)], ids=dotted)
def test_a_run_directory_is_opened_in_one_place(path: Path) -> None:
    assert opens_in(path) == set(OPENS_OTHER_FILES.get(path.relative_to(ROOT).as_posix(), {}))


PROGRAMS = ("agent/local/serve.py", "agent/local/fetch_hub.py", "agent/local/tied.py")


@pytest.mark.parametrize(
    "path", [path for path in modules("agent", "sandbox") if not path.match("__init__.py")], ids=dotted
)
def test_a_module_can_be_imported_alone(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in PROGRAMS:
        return
    importlib.import_module(dotted(path))
