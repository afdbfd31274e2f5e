"""pip decides for the Python of an image, and each of its failures is one line. A folder of wheels is the index."""

import hashlib
import sys
import tarfile
from pathlib import Path

import pytest

from sandbox import PackageError
from sandbox.docker import resolving
from sandbox.docker.probing import Inside
from sandbox.docker.resolving import OWN_IMAGE, fetch, resolve
from tests.wheels import make_wheel

INSIDE = Inside(
    markers={
        "implementation_name": "cpython",
        "implementation_version": "3.13.5",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_release": "6.1",
        "platform_system": "Linux",
        "platform_version": "#1",
        "python_full_version": "3.13.5",
        "platform_python_implementation": "CPython",
        "python_version": "3.13",
        "sys_platform": "linux",
    },
    glibc="2.41",
    executable="/opt/python/bin/python3",
    site="/opt/python/lib/python3.13/site-packages",
    packages={"NumPy": "2.5.0", "odd": "not a version"},
)
ELSEWHERE = "for Linux x86_64 with Python 3.13"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, and nothing else that pip could ask."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def line_of(wheel: Path, name: str, version: str = "1.0") -> str:
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def error_of(*requirements: str) -> str:
    with pytest.raises(PackageError) as caught:
        resolve(INSIDE, requirements)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_lock_has_each_package_that_is_needed_with_its_hash(index: Path) -> None:
    asked, needed = make_wheel(index, "asked", requires=("needed>=1",)), make_wheel(index, "needed")
    assert resolve(INSIDE, ["asked"]) == (line_of(asked, "asked"), line_of(needed, "needed"))


def test_what_the_image_has_is_not_added_again(index: Path) -> None:
    wheel = make_wheel(index, "asked", requires=("numpy>=2",))
    make_wheel(index, "numpy", "2.5.0")
    make_wheel(index, "numpy", "2.6.0")
    assert resolve(INSIDE, ["asked", "numpy"]) == (line_of(wheel, "asked"),)
    assert resolve(INSIDE, ["Numpy==2.*"]) == ()


def test_markers_and_versions_are_those_of_the_image(index: Path) -> None:
    asked = make_wheel(
        index,
        "asked",
        requires=("old; python_version < '3.13'", "new; python_version >= '3.13'", "win; sys_platform == 'win32'"),
    )
    new = make_wheel(index, "new", tag="cp313-cp313-manylinux_2_41_x86_64")
    assert resolve(INSIDE, ["asked"]) == (line_of(asked, "asked"), line_of(new, "new"))
    assert resolve(INSIDE, ["other; python_version < '3'"]) == ()


def test_the_highest_version_that_fits_is_chosen(index: Path) -> None:
    wheels = {version: make_wheel(index, "asked", version) for version in ("1.0", "1.5", "2.0")}
    assert resolve(INSIDE, ["asked==1.*"]) == (line_of(wheels["1.5"], "asked", "1.5"),)
    assert resolve(INSIDE, ["asked<2", "asked<1.5"]) == (line_of(wheels["1.0"], "asked"),)


def test_extras_are_followed(index: Path) -> None:
    asked = make_wheel(index, "asked", requires=("more; extra == 'all'",))
    more = make_wheel(index, "more")
    assert resolve(INSIDE, ["asked[all]"]) == (line_of(asked, "asked"), line_of(more, "more"))


def test_what_is_fetched_has_the_hash_of_the_lock(index: Path, tmp_path: Path) -> None:
    lock = resolve(INSIDE, ["asked"]) if make_wheel(index, "asked") else ()
    (tmp_path / "one").mkdir()
    assert [wheel.name for wheel in fetch(INSIDE, lock, tmp_path / "one")] == ["asked-1.0-py3-none-any.whl"]
    make_wheel(index, "asked", files={"asked.py": "other"})
    (tmp_path / "two").mkdir()
    with pytest.raises(PackageError, match="The package index has another file than the one whose hash is locked"):
        fetch(INSIDE, lock, tmp_path / "two")


@pytest.mark.usefixtures("index")
def test_a_name_that_does_not_exist_is_told() -> None:
    assert error_of("asked") == "There is no package 'asked' in the index that pip asks. Try: pip config list"


def test_a_version_that_does_not_exist_is_told_with_the_newest(index: Path) -> None:
    for version in ("1.0", "1.5", "2.0rc1"):
        make_wheel(index, "asked", version)
    assert error_of("asked==9") == (
        f"There is no 'asked==9' {ELSEWHERE}; the newest version that it can have is 1.5. Try: --with asked==1.5"
    )


def test_a_package_without_a_wheel_for_the_image_is_never_built(index: Path, tmp_path: Path) -> None:
    setup = tmp_path / "setup.py"
    setup.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with tarfile.open(index / "asked-1.0.tar.gz", "w:gz") as tar:
        tar.add(setup, "asked-1.0/setup.py")
    assert error_of("asked") == f"There is no wheel of 'asked' {ELSEWHERE}; nothing is built here. Try: {OWN_IMAGE}"
    assert not (tmp_path / "ran").exists()


def test_a_dependency_that_is_missing_names_who_needs_it(index: Path) -> None:
    make_wheel(index, "asked", requires=("needed",))
    assert error_of("asked").startswith("There is no package 'needed' (asked needs it) in the index that pip asks.")


def test_a_version_that_differs_from_the_image_is_a_conflict(index: Path) -> None:
    assert error_of("numpy<2") == f"'numpy<2' cannot be added: the image has numpy 2.5.0. Try: {OWN_IMAGE}"
    make_wheel(index, "numpy", "1.0")
    make_wheel(index, "numpy", "2.5.0")
    make_wheel(index, "asked", requires=("numpy<2",))
    assert error_of("asked") == (
        f"The packages do not fit together: asked 1.0 depends on numpy<2; the image has numpy==2.5.0. Try: {OWN_IMAGE}"
    )


def test_a_constraint_of_the_user_is_told_as_theirs(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index, "asked")
    make_wheel(index, "asked", "2.0")
    (tmp_path / "own.txt").write_text("asked<2\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "own.txt"))
    assert error_of("asked==2.0") == (
        "The packages do not fit together: asked==2.0 is asked for; pip's own configuration limits it to asked<2. "
        "Try: pip config list"
    )


def test_requirements_that_exclude_each_other_are_told(index: Path) -> None:
    make_wheel(index, "one", requires=("needed<2",))
    make_wheel(index, "needed", "1.0")
    make_wheel(index, "needed", "2.0")
    assert error_of("one", "needed>=2") == (
        f"The packages do not fit together: needed>=2 is asked for; one 1.0 depends on needed<2. Try: {OWN_IMAGE}"
    )


def test_an_index_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    assert error_of("asked") == (
        "The package index did not answer pip, which looked for 'asked': Failed to establish a new connection: "
        "[Errno 111] Connection refused. Try: pip config list, to see which index and proxy it uses"
    )


def test_settings_for_the_host_are_not_used(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(index, "asked")
    for name in ("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_REQUIRE_HASHES", "PIP_QUIET"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    assert len(resolve(INSIDE, ["asked"])) == 1


def test_a_file_of_the_current_folder_is_not_taken_for_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(index, "asked")
    (index / "pip.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(index)
    assert len(resolve(INSIDE, ["asked"])) == 1


@pytest.mark.parametrize("found", ["", "__version__ = '22.3'"])
def test_a_python_without_a_usable_pip_says_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip/__init__.py").write_text(found or "raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert error_of("asked") == (
        f"{sys.executable} has no pip, or one before version 23. "
        f"Try: {sys.executable} -m ensurepip --upgrade, or uv pip install --upgrade pip"
    )


def test_a_full_disk_and_an_unknown_certificate_are_told() -> None:
    full = resolving._failure(INSIDE, "ERROR: Could not install: [Errno 28] No space left on device")
    assert str(full).startswith("The disk is full: pip has no room in ")
    trust = resolving._failure(INSIDE, "WARNING: Retrying (SSLError(CERTIFICATE_VERIFY_FAILED))\nERROR: none")
    assert "certificate that this machine does not trust" in str(trust)


@pytest.mark.parametrize(
    ("glibc", "first", "last"),
    [("2.41", "manylinux_2_41_x86_64", "linux_x86_64"), ("", "musllinux_1_2_x86_64", "musllinux_1_1_x86_64")],
)
def test_the_platforms_are_those_of_the_image(glibc: str, first: str, last: str) -> None:
    options = INSIDE.model_copy(update={"glibc": glibc}).options()
    platforms = [option.partition("=")[2] for option in options if option.startswith("--platform")]
    assert (platforms[0], platforms[-1]) == (first, last)
    assert ("manylinux2014_x86_64" in platforms) is bool(glibc)
