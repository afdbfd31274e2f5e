"""The file of servers is the one that clients share; what is wrong with it is one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.errors import UsageError
from agent.tools.mcp.config import read_servers


def test_programs_and_urls_are_read_and_other_keys_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    file.write_text(
        json.dumps(
            {
                "mcpServers": {
                    "a": {"command": "run", "args": ["-v"], "alwaysAllow": ["read"], "timeout": 5},
                    "b": {"type": "http", "url": "http://127.0.0.1/mcp", "headers": {"X-Key": "12345678"}},
                    "c": {"command": "run", "disabled": True},
                },
                "other": 1,
            }
        )
    )
    servers = read_servers(file)
    assert list(servers) == ["a", "b"]
    assert (servers["a"].args, servers["a"].always_allow) == (("-v",), frozenset({"read"}))
    assert servers["b"].secrets == {"12345678"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "has no object 'mcpServers'"),
        ({"mcpServers": {"a": {}}}, "mcpServers.a: it needs either"),
        ({"mcpServers": {"a": {"command": "x", "url": "http://h"}}}, "mcpServers.a: it needs either"),
        ({"mcpServers": {"a": {"url": "ftp://h"}}}, "http:// or https://"),
        ({"mcpServers": {"a": {"command": "x", "args": "-v"}}}, r"mcpServers\.a\.args"),
        ({"mcpServers": {"a": 1}}, r"mcpServers\.a"),
    ],
)
def test_what_is_wrong_is_named(value: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_servers(value)


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "\xff"])
def test_a_file_that_is_no_json_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text(content, "latin-1")
    with pytest.raises(UsageError, match="is not JSON"):
        read_servers(tmp_path / "servers.json")
