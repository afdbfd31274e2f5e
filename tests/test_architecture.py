"""The shape of the project: what may import what, and what is public."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import agent
import sandbox

ROOT = Path(__file__).parents[1]
LAYERS = [  # each may import those before it
    ("sandbox.errors", "sandbox.execution", "sandbox.policy"),
    ("sandbox",),
    ("agent.errors", "agent.messages", "agent.credentials", "agent.text", "agent.local", "agent.prompting.words"),
    ("agent.endpoint.providers", "agent.endpoint.presets", "agent.endpoint.pricing", "agent.endpoint.limiter"),
    ("agent.limits",),
    ("agent.record.directory",),
    ("agent.record.events", "agent.record.budget", "agent.endpoint.config", "agent.progress"),
    ("agent.calls.pycode", "agent.calls.lenient", "agent.endpoint.thinking", "agent.prompting.tracebacks"),
    ("agent.prompting", "agent.record.shortening", "agent.result"),
    ("agent.record.blobs", "agent.record.migration", "agent.record.origin"),
    ("agent.record.lines", "agent.record.redaction"),
    ("agent.record.reading",),
    ("agent.record.transcript", "agent.record.artifacts", "agent.calls.toolcalls", "agent.endpoint.assembly"),
    ("agent.calls", "agent.cells", "agent.streaming"),
    ("agent.record.history", "agent.record.contents", "agent.endpoint"),
    ("agent.record",),
    ("agent.replay",),
    ("agent.export.story", "agent.export.outputs", "agent.export.markdown", "agent.export.comparable"),
    ("agent.export.words", "agent.export.magics"),
    ("agent.export",),
    ("agent.replies",),
    ("agent.resuming", "agent.turns"),
    ("agent.judging",),
    ("agent.loop",),
    ("agent.conversation",),
    ("agent.agent",),
    ("agent.doctor", "agent.testing"),
    ("agent.batch.searching",),
    ("agent.batch.matching", "agent.batch.activity"),
    ("agent.batch.tasks",),
    ("agent.batch.input", "agent.batch.results", "agent.batch.worker"),
    ("agent.batch.node",),
    ("agent.batch.cluster",),
    ("agent.batch.resuming", "agent.batch.doubts", "agent.batch.spending", "agent.batch.summary"),
    ("agent.batch.batch",),
    ("agent.batch",),
    ("agent.cli.background", "agent.cli.view", "agent.cli.batch_view", "agent.cli.options"),
    ("agent.cli.showing", "agent.cli.chat", "agent.cli.limit_options"),
    ("agent.cli",),
    ("agent.__main__",),
]
ONLY_IN = {
    "docker": ("sandbox/docker/",),
    "jinja2": ("agent/export/html.py",),
    "nh3": ("agent/export/rich_text.py",),
    "openai": ("agent/endpoint/",),
    "httpx2": ("agent/endpoint/",),
    "ray": ("agent/batch/cluster.py",),
    "typer": ("agent/cli/",),
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


def layer_of(name: str) -> int:
    prefixes = [
        (len(prefix), level)
        for level, layer in enumerate(LAYERS)
        for prefix in layer
        if name == prefix or name.startswith(prefix + ".")
    ]
    assert prefixes, f"{name} has no place in the layers"
    return max(prefixes)[1]


def is_package(name: str) -> bool:
    """Whether this only says where names are, as `agent.calls` does in `from agent.calls import lenient`."""
    return name.startswith("agent.") and ROOT.joinpath(*name.split(".")).is_dir() and name != "agent.local"


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", modules("agent"), ids=dotted)
def test_imports_point_one_way(path: Path) -> None:
    if path.name == "__init__.py":
        return
    level = layer_of(dotted(path))
    for name in imports_of(path):
        if name.startswith(("agent.", "sandbox")) and not is_package(name):
            assert layer_of(name) <= level, f"{dotted(path)} imports {name}"


@pytest.mark.parametrize("path", modules("sandbox"), ids=dotted)
def test_the_sandbox_knows_no_agent(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.split(".")[0] == "agent"}


@pytest.mark.parametrize("path", modules("agent", "sandbox"), ids=dotted)
def test_a_foreign_library_has_one_home(path: Path) -> None:
    for library, homes in ONLY_IN.items():
        if library in {name.split(".")[0] for name in imports_of(path)}:
            assert path.relative_to(ROOT).as_posix().startswith(homes), f"{dotted(path)} imports {library}"


def test_the_guest_imports_nothing_of_ours() -> None:
    assert not {name for name in imports_of(ROOT / "sandbox" / "guest.py") if name.split(".")[0] == "sandbox"}


@pytest.mark.parametrize("package", [agent, sandbox], ids=["agent", "sandbox"])
def test_the_public_names_are_what_is_importable(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert list(names) == sorted(names, key=str.casefold) or list(names) == sorted(names)
    assert [name for name in names if not hasattr(package, name)] == []
    submodules = {module.name for module in pkgutil.iter_modules(package.__path__)}  # type: ignore[attr-defined]
    public = {name for name in vars(package) if not name.startswith("_")} - submodules
    assert public - {"TYPE_CHECKING", "import_module"} <= set(names)


PROGRAMS = ("agent/local/serve.py", "agent/local/fetch_hub.py", "agent/local/tied.py")


@pytest.mark.parametrize(
    "path", [path for path in modules("agent", "sandbox") if not path.match("__init__.py")], ids=dotted
)
def test_a_module_can_be_imported_alone(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in PROGRAMS:
        return
    importlib.import_module(dotted(path))
