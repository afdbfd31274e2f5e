"""Unpacks wheels into a tar for an image, without touching the host's file system and without running anything.

They lie in a folder of their own: no package can replace a file of the image, and the guest never sees them.
"""

import io
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Literal

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import Scheme, fix_shebang

from sandbox.docker.probing import Inside
from sandbox.errors import PackageError

HOME = "opt/cellblock"
PACKAGES = f"{HOME}/packages"
FOLDERS = {
    "purelib": PACKAGES,
    "platlib": PACKAGES,
    "scripts": f"{HOME}/bin",
    "data": HOME,
    "headers": f"{HOME}/include",
}
BROKEN = (InstallerError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, NotImplementedError)
"""What the libraries raise for wheels that are damaged or of no known form."""
MAX_UNPACKED_BYTES = 16 << 30
IN_MEMORY_BYTES = 16 << 20
ATTACH = f"import sys, site; 'cellblock' in sys._xoptions or site.addsitedir('/{PACKAGES}')\n"
"""The line by which each Python of the image finds the packages, except the guest, which is started with this option:
the line may run code of the packages."""


class TarDestination(WheelDestination):
    """Writes what a wheel holds into a tar, each file as root's, readable by all, and without privileges."""

    def __init__(self, tar: tarfile.TarFile, root: str, interpreter: str) -> None:
        self._tar = tar
        self._root = root
        self._interpreter = interpreter
        self._left_bytes = MAX_UNPACKED_BYTES

    def write_file(self, scheme: Scheme, path: "str | object", stream: BinaryIO, is_executable: bool) -> RecordEntry:
        """See `WheelDestination`."""
        name = PurePosixPath(str(path))
        if name.is_absolute() or ".." in name.parts or "\0" in str(name):
            raise PackageError(f"A wheel names a file outside of its folder: {str(path)[:80]!r}.")
        target = f"{self._root}/{FOLDERS[scheme]}/{name}"
        if scheme == "scripts":
            with fix_shebang(stream, self._interpreter) as fixed:
                self._add(target, fixed, is_executable=is_executable)
        else:
            self._add(target, stream, is_executable=is_executable)
        return RecordEntry(str(path), None, None)

    def write_script(self, name: str, module: str, attr: str, section: Literal["console", "gui"]) -> RecordEntry:
        """See `WheelDestination`."""
        script, data = Script(name, module, attr, section).generate(self._interpreter, kind="posix")
        with io.BytesIO(data) as stream:
            return self.write_file(Scheme("scripts"), script, stream, True)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        """Python finds a package without a RECORD; nothing is ever removed from an image."""

    def _add(self, target: str, stream: IO[bytes], *, is_executable: bool) -> None:
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as whole:
            while piece := stream.read(1 << 20):
                self._left_bytes -= len(piece)
                if self._left_bytes < 0:
                    raise PackageError(f"The packages take more than {MAX_UNPACKED_BYTES >> 30} GiB.")
                whole.write(piece)
            member = tarfile.TarInfo(target)
            member.size, member.mode = whole.tell(), 0o755 if is_executable else 0o644
            whole.seek(0)
            self._tar.addfile(member, whole)


def add_wheels(tar: tarfile.TarFile, root: str, wheels: Iterable[Path], inside: Inside) -> None:
    """Add what the wheels hold, and how the image's Python finds it, below `root`. Raises PackageError."""
    destination = TarDestination(tar, root, inside.executable)
    for wheel in wheels:
        try:
            with warnings.catch_warnings(action="ignore"), WheelFile.open(wheel) as source:  # of bytecode in a wheel
                install(source, destination, additional_metadata={})
        except (*BROKEN, OSError) as error:
            raise PackageError(f"The wheel {wheel.name!r} cannot be unpacked: {error}.") from error
    line = ATTACH.encode()
    member = tarfile.TarInfo(f"{root}{inside.site}/cellblock_packages.pth")
    member.size, member.mode = len(line), 0o644
    tar.addfile(member, io.BytesIO(line))
