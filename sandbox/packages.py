"""Packages that a policy adds to its image: the requirements as pip reads them, and the lock that they resolve to.

A lock is a set of requirements with one version and one hash each, `polars==1.35.2 --hash=sha256:…`, in the form of
pip's own requirements files. A policy may name a lock in place of requirements; then nothing is left to resolve.
"""

import hashlib
import re
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic_core import PydanticCustomError

MAX_REQUIREMENT_CHARS = 500
MAX_PACKAGES = 200
_LOCKED = re.compile(r"([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)==([0-9A-Za-z.!+_-]+) --hash=sha256:([0-9a-f]{64})")
_ARCHIVES = (".whl", ".zip", ".gz", ".tgz", ".bz2", ".tar", ".egg")

Lock = tuple[str, ...]


def check_packages(given: object) -> object:
    """One text is one requirement, as in many of Python's own functions."""
    return (given,) if isinstance(given, str) else given


def sorted_packages(packages: tuple[str, ...]) -> tuple[str, ...]:
    """The requirements in one order, each once: policies that ask for the same are equal."""
    if len(set(map(is_locked, packages))) > 1:
        raise PydanticCustomError("packages", "either all packages have a hash, or none has")
    return tuple(sorted(set(packages)))


def check_requirement(text: str) -> str:
    """The requirement in its normal form. Options, paths and URLs are none: an index decides what a name means."""
    text = text.strip()
    if _LOCKED.fullmatch(text):
        return text
    if len(text) > MAX_REQUIREMENT_CHARS or not text.isprintable():
        raise _refused(f"a requirement is one line of at most {MAX_REQUIREMENT_CHARS} characters")
    if text.startswith("-"):
        raise _refused("it is an option of pip; set it in pip's own configuration")
    if "://" in text or "/" in text.partition(";")[0] or text.lower().endswith(_ARCHIVES):
        raise _refused("it is a path or a URL; name a package, and give its folder to pip as `find-links`")
    try:
        asked = Requirement(text)
    except InvalidRequirement as error:
        raise _refused("it must be a package with perhaps a version, like polars or 'polars==1.*'") from error
    if asked.url:
        raise _refused(f"'@' is for URLs; a version is written as in {asked.name}==1.0")
    extras = f"[{','.join(sorted(map(canonicalize_name, asked.extras)))}]" if asked.extras else ""
    marker = f"; {asked.marker}" if asked.marker else ""
    return f"{canonicalize_name(asked.name)}{extras}{asked.specifier}{marker}"


def is_locked(text: str) -> bool:
    """True if a requirement has one version and its hash."""
    return _LOCKED.fullmatch(text) is not None


def locked(name: str, version: str, sha256: str) -> str:
    """A line of a lock. Raises ValueError if it would not be one."""
    line = f"{canonicalize_name(name)}=={version} --hash=sha256:{sha256}"
    if not is_locked(line):
        raise ValueError(f"{line!r} is no line of a lock")
    return line


def names_of(packages: Iterable[str]) -> list[str]:
    """The names of the packages that are asked for."""
    return list(dict.fromkeys(canonicalize_name(Requirement(text.partition(" --")[0]).name) for text in packages))


def versions_in(lock: Iterable[str]) -> dict[str, str]:
    """The version of each package of a lock, by name."""
    found = (match for line in lock if (match := _LOCKED.fullmatch(line)))
    return {match[1]: match[2] for match in found}


def hashes_in(lock: Iterable[str]) -> set[str]:
    """The SHA-256 of each wheel of a lock."""
    return {match[3] for line in lock if (match := _LOCKED.fullmatch(line))}


def digest_of(image_id: str, packages: Iterable[str]) -> str:
    """A short name for an image with these packages."""
    text = "\n".join([image_id, *sorted(packages)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _refused(reason: str) -> PydanticCustomError:
    return PydanticCustomError("package", "{reason}", {"reason": reason})
