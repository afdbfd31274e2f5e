"""A command that an error suggests is pasted into a shell: each value in it is quoted, wherever the value came from."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for package in ("agent", "sandbox") for path in (ROOT / package).rglob("*.py"))
COMMAND = re.compile(
    r"(?:the same command with |Try: |\()?(?:cellblock (?:run|chat|batch|resume|replay|show|export|verify|doctor|model)"
    r"|docker|sudo|sed|ls|df|export|pip|ray|mv|fetch|--[a-z])\b"
)
OWN = {
    "','.join(known)",
    "BUILD",
    "BASE",
    "REPOSITORY",
    "number",
    "turn",
    "budget_tokens",
    "able",
    "workspace_gib",
    "memory_gib",
}
"""Constants of ours, and whole numbers."""
NO_SUGGESTION = {
    "agent/replay/resuming.py": {"name", "str(run)"},
    "agent/cli/environment.py": {"check.hint", "other.pid"},
    "agent/cli/app.py": {"version('cellblock')"},
    "agent/endpoint/complaints.py": {"name.replace('_', '-')", "hint", "match[1]"},
    "agent/certificates.py": {"variable"},
    "agent/cli/exporting.py": {"look"},
    "agent/cli/surroundings.py": {"name"},
    "agent/endpoint/unreachable.py": {"proxy.variable", "'correct' if proxy.auth else 'write'"},
    "agent/proxies.py": {"variable", "likely", "place"},
    "sandbox/docker/engine.py": {"variable"},
    "agent/cli/main.py": {"error.ctx.command_path", "MEANT[unknown[1]]"},
    "agent/cli/asking.py": {"given"},
    "agent/cli/chat.py": {"meant"},
    "agent/cli/config.py": {"near[0]"},
    "agent/cli/options.py": {"flag_of(name)"},
    "agent/cli/serving.py": {"flag"},
    "sandbox/docker/diagnosis.py": {
        "max(total_bytes >> 21, 128)", "facts['ServerVersion']", "rights", "endpoint.host", "endpoint.named_by",
        "KERNEL_LINE.format('swapaccount=1')",
    },
    "sandbox/docker/resolving.py": {"line"},
    "sandbox/errors.py": {"message", "hint"},
    "sandbox/docker/facts.py": {"facts['ServerVersion']"},
}  # fmt: skip
"""Values that are ours, and texts that are no command."""


def is_suggestion(node: ast.JoinedStr, among: set[int]) -> bool:
    first = node.values[0]
    return id(node) in among or (isinstance(first, ast.Constant) and COMMAND.match(str(first.value)) is not None)


def named(tree: ast.AST) -> Iterator[ast.AST]:
    """What is given or assigned to a `hint`, or returned by a function that says so in its name."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="hint", value=value):
                yield value
            case ast.Assign(targets=[ast.Name(id="hint" | "look")], value=value):
                yield value
            case ast.FunctionDef(name=name) if "hint" in name:
                yield from (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value)


def unquoted(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    among = {id(inner) for value in named(tree) for inner in ast.walk(value)}
    allowed = OWN | NO_SUGGESTION.get(path.relative_to(ROOT).as_posix(), set())
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr) or not is_suggestion(node, among):
            continue
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = ast.unparse(part.value)
                if not value.startswith("shlex.quote(") and value not in allowed:
                    yield f"line {node.lineno}: {value}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_value_in_a_suggested_command_is_quoted(path: Path) -> None:
    assert list(unquoted(path)) == []


def test_an_unquoted_value_is_found(tmp_path: Path) -> None:
    for line in ('E(hint=f"x {y}")', 'hint = f"x {y}"', 'f"cellblock run --model {y}"', 'E(hint=a if b else f"{y}")'):
        path = ROOT / "agent" / "nowhere.py"
        tree = ast.parse(line)
        among = {id(inner) for value in named(tree) for inner in ast.walk(value)}
        assert any(is_suggestion(node, among) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)), path
