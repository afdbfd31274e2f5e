import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import LocalModelError, UsageError
from agent.local import DEFAULT_MODEL, MODELS, find, model_named, models_dir, own_file
from tests.agent.local.fakes import CONTENT, TINY


def put(home: Path, content: bytes = CONTENT) -> Path:
    path = home / "models" / TINY.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_parts_of_each_built_in_model_add_up_to_its_size() -> None:
    for model in MODELS.values():
        last_bytes = model.size_bytes - (model.parts.count - 1) * model.parts.part_bytes
        assert 0 < last_bytes <= model.parts.part_bytes


def test_default_model_is_found_by_its_name() -> None:
    assert model_named("qwen2.5-coder-1.5b") is DEFAULT_MODEL


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        model_named("qwen9")
    assert str(caught.value) == (
        "No built-in model is called 'qwen9'; there are qwen2.5-coder-1.5b, qwen2.5-coder-0.5b."
    )


def test_models_are_stored_in_cellblock_home_then_xdg_cache_then_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBLOCK_HOME", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("HOME", "/home/me")
    assert models_dir() == Path("/somewhere/models")
    monkeypatch.delenv("CELLBLOCK_HOME")
    assert models_dir() == Path("/cache/cellblock/models")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert models_dir() == Path("/home/me/.cache/cellblock/models")


def test_find_returns_none_if_there_is_no_file(home: Path) -> None:
    assert find(TINY) is None


def test_find_returns_a_file_with_the_right_hash(home: Path) -> None:
    path = put(home)
    assert find(TINY) == path


def test_find_removes_a_file_with_the_wrong_hash(home: Path) -> None:
    path = put(home)
    expected = "0" * 64
    with pytest.raises(LocalModelError) as caught:
        find(replace(TINY, sha256=expected))
    assert str(caught.value) == (
        f"The file of tiny is damaged, and now removed: expected SHA-256 {expected}, found {TINY.sha256}. "
        "Try: cellblock model pull tiny"
    )
    assert not path.exists()


def test_verified_file_is_not_read_again_until_it_changes(home: Path) -> None:
    path = put(home)
    find(TINY)
    verified_ns = path.stat().st_mtime_ns
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(verified_ns, verified_ns))
    assert find(TINY) == path
    os.utime(path, ns=(verified_ns, verified_ns + 1))
    with pytest.raises(LocalModelError, match=r"^The file of tiny is damaged"):
        find(TINY)


def test_own_file_is_the_argument_or_else_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    first.write_bytes(CONTENT)
    second.write_bytes(CONTENT)
    monkeypatch.setenv("CELLBLOCK_MODEL_FILE", str(second))
    assert own_file(first) == first
    assert own_file() == second
    monkeypatch.delenv("CELLBLOCK_MODEL_FILE")
    assert own_file() is None


def test_own_file_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "absent.gguf"
    expected = f"Cannot read the model file {str(path)!r}: No such file or directory."
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        own_file(path)


def test_own_file_must_be_gguf(tmp_path: Path) -> None:
    path = tmp_path / "page.gguf"
    path.write_bytes(b"<!DOCTYPE html>")
    expected = f"{str(path)!r} is not a GGUF file: it starts with b'<!DO', not b'GGUF'."
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        own_file(path)
