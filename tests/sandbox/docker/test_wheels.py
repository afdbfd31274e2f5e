"""What a wheel brings into an image: files below one folder, as root's and without privileges."""

import io
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox import PackageError
from sandbox.docker import wheels
from sandbox.docker.added import dockerfile
from sandbox.docker.image import ImageInfo
from sandbox.docker.wheels import add_wheels
from tests.sandbox.docker.test_resolving import INSIDE
from tests.wheels import make_wheel


def unpacked(*paths: Path) -> dict[str, tuple[int, bytes]]:
    """The modes and contents of the files, by name; each is a plain file of root."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        add_wheels(tar, "tree", paths, INSIDE)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        members = tar.getmembers()
        assert all(member.isreg() and (member.uid, member.gid) == (0, 0) for member in members)
        return {member.name: (member.mode, tar.extractfile(member).read()) for member in members}  # type: ignore[union-attr]


def test_modules_programs_and_data_lie_below_one_folder(tmp_path: Path) -> None:
    files = {
        "one/__init__.py": "x = 1",
        "one-1.0.data/data/share/one.txt": "data",
        "one-1.0.data/scripts/run": "#!python\nprint(1)",
        "one-1.0.data/purelib/two.py": "y = 2",
    }
    found = unpacked(make_wheel(tmp_path, "one", files=files, entry_points="[console_scripts]\ngo = one:main\n"))
    home = "tree/opt/cellblock"
    assert found[f"{home}/packages/one/__init__.py"] == (0o644, b"x = 1")
    assert found[f"{home}/packages/two.py"] == (0o644, b"y = 2")
    assert found[f"{home}/share/one.txt"] == (0o644, b"data")
    assert found[f"{home}/bin/run"][1] == b"#!/opt/python/bin/python3\nprint(1)"
    assert found[f"{home}/bin/go"][1].startswith(b"#!/opt/python/bin/python3\n")
    outside = [name for name in found if not name.startswith(f"{home}/")]
    assert outside == ["tree/opt/python/lib/python3.13/site-packages/cellblock_packages.pth"]


def test_no_mode_of_a_wheel_gives_privileges(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one")
    with zipfile.ZipFile(wheel, "a") as archive:
        entry = zipfile.ZipInfo("setuid")
        entry.external_attr = 0o104777 << 16
        archive.writestr(entry, "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = unpacked(wheel)
    assert found["tree/opt/cellblock/packages/setuid"] == (0o755, b"x")
    assert found["tree/opt/cellblock/packages/link"] == (0o644, b"/etc/passwd")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "one/../../x", "one-1.0.data/scripts/../../x"])
def test_no_file_of_a_wheel_lies_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackageError, match=r"outside of its folder|Can't mix absolute and relative"):
        unpacked(make_wheel(tmp_path, "one", files={name: "x"}))


def test_a_wheel_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(PackageError, match="The packages take more than"):
        unpacked(make_wheel(tmp_path, "one", files={"one.py": "x" * 1001}))


def test_a_broken_wheel_is_named(tmp_path: Path) -> None:
    (tmp_path / "one-1.0-py3-none-any.whl").write_bytes(b"no archive")
    with pytest.raises(PackageError, match=r"The wheel 'one-1\.0-py3-none-any\.whl' cannot be unpacked"):
        unpacked(tmp_path / "one-1.0-py3-none-any.whl")


def test_the_build_keeps_the_user_of_the_image_and_appends_to_its_path() -> None:
    base = ImageInfo("cellblock/python:1", "sha256:1", 7, datetime(2026, 1, 1, tzinfo=UTC))
    lines = dockerfile(base, {"Env": ["PATH=/a:/b"], "User": "1000:1000"}).splitlines()
    assert (lines[0], lines[-1]) == ("FROM sha256:1", "USER 1000:1000")
    assert 'ENV PATH="/a:/b:/opt/cellblock/bin"' in lines
    assert dockerfile(base, {}).splitlines()[-1] == "USER 0:0"
