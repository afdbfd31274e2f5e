"""Lets the host's pip choose and download the wheels of packages. Nothing of a package runs here: wheels only.

pip is used with all of the user's configuration, so with their indexes, proxies and certificates.
"""

import errno
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from sandbox.docker.image import default_ca_bundle
from sandbox.docker.pip_as_inside import NO_PIP
from sandbox.docker.probing import Inside
from sandbox.errors import PackageError
from sandbox.packages import Lock, locked

MAX_REASON_CHARS = 300
SETTINGS = {
    **{"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_REQUIRE_HASHES": "0", "PIP_NO_INPUT": "1"},
    **{"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COLOR": "1", "PIP_PROGRESS_BAR": "off", "PIP_QUIET": "0"},
    **{"PIP_VERBOSE": "0", "LC_ALL": "C.UTF-8"},
}
"""What a user may have set for installing on the host, and what makes pip's words readable here."""
OWN_IMAGE = "an image of your own, for --image; docs/sandbox.md has four lines that make one"
_NOT_FOUND = re.compile(
    r"satisfies the requirement (.+?)(?: \(from [^)]*\))? \(from versions: (.*?)\)\s*$", re.MULTILINE
)
_NEEDED_BY = re.compile(r"satisfies the requirement .+? \(from ((?!versions:)[^)]*)\)")
_UNREACHED = re.compile(r"after connection broken by '?(.*?)'?: /|Could not fetch URL \S+?: (.*)")
_OBJECT = re.compile(r"^.*<[^>]*>:? |^\w+\(['\"]")
_CONFLICT = re.compile(r"The conflict is caused by:\n(.*?)\n\n", re.DOTALL)
_MISMATCH = "DO NOT MATCH THE HASHES"
_ASKED = "The user requested "
_PINNED = "The user requested (constraint) "
_NAME = re.compile(r"[\w.-]+")


def resolve(inside: Inside, requirements: Sequence[str]) -> Lock:
    """The packages that the requirements need beside those of the image. Raises PackageError."""
    wanted = [text for text in requirements if not is_there(inside, text)]
    if not wanted:
        return ()
    with tempfile.TemporaryDirectory(prefix="cellblock-") as directory:
        scratch = Path(directory)
        asked, pins, report = scratch / "asked.txt", scratch / "pins.txt", scratch / "report.json"
        asked.write_text("\n".join(wanted) + "\n")
        pins.write_text("".join(f"{name}=={version}\n" for name, version in _pins(inside)))
        options = ["--dry-run", "--ignore-installed", f"--target={scratch / 'none'}", f"--report={report}"]
        files = [f"--requirement={asked}", f"--constraint={pins}"]
        _pip(inside, ["install", *options, *files])
        found = json.loads(report.read_bytes())
        if found["environment"] != inside.markers:
            raise PackageError("The pip of this machine does not decide for another Python.", hint=_upgrade())
        return tuple(sorted(_locked(inside, item, scratch) for item in found["install"] if not _is_own(inside, item)))


def is_there(inside: Inside, requirement: str) -> bool:
    """True if the image has what a requirement asks for. Raises PackageError if it has another version."""
    asked = Requirement(requirement)
    version = inside.installed.get(canonicalize_name(asked.name))
    if version is None or (asked.marker and not asked.marker.evaluate(inside.markers)):
        return False
    if not asked.specifier.contains(version, prereleases=True):
        raise PackageError(f"{requirement!r} cannot be added: the image has {asked.name} {version}.", hint=OWN_IMAGE)
    return not asked.extras


def fetch(inside: Inside, lock: Lock, folder: Path) -> list[Path]:
    """Download the wheels of a lock; each has the hash that is locked. Raises PackageError."""
    listed = folder / "lock.txt"
    listed.write_text("\n".join(lock) + "\n")
    _pip(inside, ["download", "--no-deps", "--require-hashes", f"--dest={folder}", f"--requirement={listed}"])
    return sorted(folder.glob("*.whl"))


def _pins(inside: Inside) -> list[tuple[str, str]]:
    """The image's packages, as far as pip can be told of them."""
    return [(name, version) for name, version in sorted(inside.installed.items()) if _is_version(version)]


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _is_own(inside: Inside, item: dict[str, Any]) -> bool:
    return canonicalize_name(item["metadata"]["name"]) in inside.installed


def _locked(inside: Inside, item: dict[str, Any], scratch: Path) -> str:
    """The line of the lock for an item of pip's report. An index may name no hash; then the wheel tells."""
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    sha256 = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
    if sha256 is None:
        _pip(inside, ["download", "--no-deps", f"--dest={scratch}", f"{name}=={version}"])
        wheels = {parse_wheel_filename(path.name)[0]: path for path in scratch.glob("*.whl")}
        with wheels[canonicalize_name(name)].open("rb") as wheel:
            sha256 = hashlib.file_digest(wheel, "sha256").hexdigest()
    return locked(name, version, sha256)


def _pip(inside: Inside, arguments: list[str]) -> None:
    """Run the host's pip for the image. Raises PackageError with one line that says why it failed."""
    command, *rest = arguments
    done = _run(inside, [command, *inside.options(), *rest])
    if done.returncode == NO_PIP:
        raise PackageError(f"{sys.executable} has no pip, or one before version 23.", hint=_upgrade())
    if done.returncode:
        raise _failure(inside, done.stdout)


def _run(inside: Inside, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    program = Path(__file__).with_name("pip_as_inside.py")
    bundle = default_ca_bundle()
    trust = {"REQUESTS_CA_BUNDLE": str(bundle)} if bundle and "PIP_CERT" not in os.environ else {}
    try:
        return subprocess.run(
            [sys.executable, "-P", str(program), json.dumps(inside.markers), *arguments],
            env={**trust, **os.environ, **SETTINGS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise PackageError(f"The pip of this machine cannot be started: {error.strerror}.") from error


def _upgrade() -> str:
    return f"{shlex.quote(sys.executable)} -m ensurepip --upgrade, or uv pip install --upgrade pip"


def _failure(inside: Inside, said: str) -> PackageError:
    """The error for a failed pip, as what a user can do something about."""
    if os.strerror(errno.ENOSPC) in said:
        return PackageError(f"The disk is full: pip has no room in {tempfile.gettempdir()!r}.", hint="df -h")
    if "CERTIFICATE_VERIFY_FAILED" in said:
        hint = "SSL_CERT_FILE=/path/to/your-network-ca.pem and the same command"
        return PackageError("The package index has a certificate that this machine does not trust.", hint=hint)
    if _MISMATCH in said:
        return PackageError("The package index has another file than the one whose hash is locked.")
    if missing := _NOT_FOUND.search(said):
        return _not_found(inside, said, missing[1], missing[2])
    if conflict := _CONFLICT.search(said):
        return _unfit(inside, conflict[1])
    errors = [line.partition("ERROR:")[2].strip() for line in said.splitlines() if line.startswith("ERROR:")]
    last = errors[0] if errors else " ".join(said.split())[-MAX_REASON_CHARS:]
    return PackageError(f"The packages cannot be found: {last[:MAX_REASON_CHARS].rstrip('.')}.", hint="pip config list")


def _not_found(inside: Inside, said: str, wanted: str, versions: str) -> PackageError:
    wanted = wanted.partition(";")[0].strip()
    by = f" ({needed[1].partition('->')[0].strip()} needs it)" if (needed := _NEEDED_BY.search(said)) else ""
    name = _NAME.match(wanted)[0]  # type: ignore[index]
    if versions.strip() != "none":
        found = [version.strip() for version in versions.split(",")]
        newest = ([version for version in found if not Version(version).is_prerelease] or found)[-1]
        what = f"There is no {wanted!r}{by} for {inside.described}; the newest version that it can have is {newest}."
        mended = f"{name}=={newest}"
        return PackageError(what, hint=f"--with {shlex.quote(mended)}")
    if unreached := _UNREACHED.search(said):
        reason = _OBJECT.sub("", " ".join((unreached[1] or unreached[2]).split())).rstrip("'\").")[:MAX_REASON_CHARS]
        hint = "pip config list, to see which index and proxy it uses"
        return PackageError(f"The package index did not answer pip, which looked for {name!r}: {reason}.", hint=hint)
    if _run(inside, ["index", "versions", name]).returncode == 0:
        what = f"There is no wheel of {wanted!r}{by} for {inside.described}; nothing is built here."
        return PackageError(what, hint=OWN_IMAGE)
    return PackageError(f"There is no package {wanted!r}{by} in the index that pip asks.", hint="pip config list")


def _unfit(inside: Inside, lines: str) -> PackageError:
    """Pip's lines in few words: what is asked for, the first of the versions that were tried, and what limits them."""
    said = [" ".join(line.split()) for line in lines.splitlines() if line.strip()]
    limits = [line.removeprefix(_PINNED) for line in said if line.startswith(_PINNED)]
    pins = [f"{name}=={version}" for name, version in _pins(inside)]
    own = [f"the image has {line}" for line in limits if line in pins]
    of_user = [f"pip's own configuration limits it to {line}" for line in limits if line not in pins]
    asked = [line.removeprefix(_ASKED) for line in said if line.startswith(_ASKED) and not line.startswith(_PINNED)]
    needs = [line for line in said if not line.startswith(_ASKED)]
    first = [line for line in needs if line.split()[:2] == needs[0].split()[:2]]
    parts = [*(f"{line} is asked for" for line in asked), *first, *own, *of_user]
    reason = "; ".join(dict.fromkeys(parts))[:MAX_REASON_CHARS].rstrip(".")
    hint = "pip config list" if of_user else OWN_IMAGE
    return PackageError(f"The packages do not fit together: {reason}.", hint=hint)
