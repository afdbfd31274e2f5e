"""Asks an image what its Python is: what pip has to know to choose wheels for it."""

from contextlib import closing, suppress
from typing import Any

import docker
import requests
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ValidationError

from sandbox.docker.engine import engine_errors
from sandbox.docker.image import ImageInfo
from sandbox.errors import PackageError

PROBE_TIMEOUT_S = 60
MAX_ANSWER_BYTES = 4 << 20
USER = "65534:65534"
OLDEST_GLIBC_MINOR = 5
LEGACY_GLIBC = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
"""The minor versions of glibc that have a name of their own (PEP 600)."""
PROBE = """
import importlib.metadata, json, os, platform, site, sys
libc = platform.libc_ver()
musl = [n for n in (os.listdir("/lib") if os.path.isdir("/lib") else []) if n.startswith("ld-musl-")]
version = sys.implementation.version
kind = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}[version.releaselevel]
print(json.dumps({
    "markers": {
        "implementation_name": sys.implementation.name,
        "implementation_version": "%d.%d.%d" % version[:3] + (kind and kind + str(version.serial)),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "platform_python_implementation": platform.python_implementation(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    },
    "glibc": libc[1] if libc[0] == "glibc" and not musl else "",
    "executable": sys.executable,
    "site": site.getsitepackages()[0],
    "packages": {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]},
}))
"""


class Inside(BaseModel):
    """The Python of an image."""

    markers: dict[str, str]
    """The values that markers of requirements are evaluated with."""
    glibc: str
    """The version of glibc; empty if the image has another C library, which is then taken for musl."""
    executable: str
    site: str
    """The folder of its packages."""
    packages: dict[str, str]

    @property
    def installed(self) -> dict[str, str]:
        """The version of each package, by its normal name."""
        return {canonicalize_name(name): version for name, version in self.packages.items()}

    @property
    def python(self) -> str:
        return self.markers["python_version"]

    @property
    def described(self) -> str:
        """Platform and Python in words."""
        return f"{self.markers['platform_system']} {self.markers['platform_machine']} with Python {self.python}"

    def options(self) -> list[str]:
        """The options that let pip choose wheels for this Python."""
        tag = self.python.replace(".", "")
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        return [*options, *(f"--abi={abi}" for abi in (f"cp{tag}", "abi3", "none")), *self._platforms()]

    def _platforms(self) -> list[str]:
        machine = self.markers["platform_machine"]
        if not self.glibc:
            return [f"--platform=musllinux_1_{minor}_{machine}" for minor in (2, 1)]
        major, minor = map(int, self.glibc.split(".")[:2])
        names = [f"manylinux_{major}_{below}" for below in range(minor, OLDEST_GLIBC_MINOR - 1, -1)]
        names += [name for least, name in LEGACY_GLIBC.items() if least <= minor]
        return [f"--platform={name}_{machine}" for name in [*names, "linux"]]


def probe(client: docker.DockerClient, image: ImageInfo) -> Inside:
    """Ask an image. Raises PackageError if its Python does not answer, and EngineError."""
    api = client.api
    with engine_errors("look into the image"):
        container = api.create_container(
            image.id,
            entrypoint=["python3", "-c", PROBE],
            user=USER,
            working_dir="/",
            network_disabled=True,
            host_config=api.create_host_config(
                network_mode="none",
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                read_only=True,
                mem_limit="512m",
                pids_limit=32,
            ),
        )["Id"]
        try:
            api.start(container)
            with suppress(requests.RequestException):  # no answer in time: what it has said decides
                api.wait(container, timeout=PROBE_TIMEOUT_S)
            said = _output(api, container)
        finally:
            api.remove_container(container, force=True, v=True)
    try:
        return Inside.model_validate_json(said)
    except ValidationError as error:
        message = f"The Python of the image {image.tag!r} cannot be asked; it said {said[-200:]!r}."
        raise PackageError(message, hint="an image with python3, for --image") from error


def _output(api: Any, container: str) -> str:
    said = bytearray()
    with closing(api.logs(container, stdout=True, stderr=True, stream=True)) as pieces:
        for piece in pieces:
            said += piece
            if len(said) > MAX_ANSWER_BYTES:
                break
    return said.decode(errors="replace")
