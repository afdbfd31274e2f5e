"""The limits and rights of a sandbox. The defaults are strict."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from sandbox.packages import MAX_PACKAGES, check_packages, check_requirement, sorted_packages
from sandbox.settings import Settings
from sandbox.sizes import parse_size

MIB = 1 << 20
PIB = 1 << 50
MAX_ID = (1 << 31) - 1
"""The highest uid and gid that an engine accepts."""
OWN_IDS = range(0x7800_0000, 0x7C00_0000)
"""Uids of sandboxes whose policy names none. No system assigns these: they are above the ranges of useradd,
/etc/subuid, systemd and directory services."""
MAPPED_IDS = range(10_000, 60_000)
"""The same on an engine in a user namespace, which usually has 65,536 ids; users of images are below."""
MAX_SEED = (1 << 32) - 1
"""The highest seed that both PYTHONHASHSEED and numpy accept."""
SEED_VARIABLE = "CELLBLOCK_SEED"
"""The variable that gives the guest the seed of every kernel."""
DEFAULT_VARIABLES = {"TZ": "UTC", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
"""These make any two runs more alike at no cost."""
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "BLIS", "VECLIB")
"""The prefixes of variables of libraries whose sums depend on the number of threads."""
FRAME_COST_BYTES = 64
"""The size that a frame counts beside its payload, so that empty frames are bounded too."""
MAX_ENVIRONMENT_BYTES = 128 * 1024
"""Linux accepts this much for one string of an environment (MAX_ARG_STRLEN, execve(2)); here all strings share it."""


@final
class Variables(Mapping[str, str]):
    """Immutable environment variables."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __hash__(self) -> int:
        return hash(frozenset(self._variables.items()))

    def __repr__(self) -> str:
        return repr(self._variables)


_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?/)?"  # the host of a registry
    rf"{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"  # the tag
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,128})?"  # the digest
)
MAX_IMAGE_CHARS = 512


def _check_user(user: str) -> str:
    if not re.fullmatch(r"\d{1,10}:\d{1,10}", user, re.ASCII) or max(map(int, user.split(":"))) > MAX_ID:
        raise PydanticCustomError("user", f"it must be UID:GID, two numbers of at most {MAX_ID}")
    return user


def _check_network(network: str) -> str:
    if network == "host" or ":" in network:
        raise PydanticCustomError("network", "a sandbox shares no network namespace with the host or a container")
    return _check_name(network)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise PydanticCustomError("name", "it must be a name that the engine knows")
    return name


def _check_image(image: str) -> str:
    if len(image) > MAX_IMAGE_CHARS or not _IMAGE.fullmatch(image):
        raise PydanticCustomError("image", "it must be the name of an image, like python:3.13 or host/name@sha256:...")
    return image


def _check_variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise PydanticCustomError("variable", "the name of a variable is letters, digits and _")
    return name


def _check_value(value: str) -> str:
    if "\0" in value or value.encode("utf-8", "replace").decode() != value:
        raise PydanticCustomError("value", "the value of a variable is UTF-8 without NUL")
    return value


def _freeze(variables: Mapping[str, str]) -> Variables:
    if sum(len(f"{name}={value}".encode()) + 1 for name, value in variables.items()) > MAX_ENVIRONMENT_BYTES:
        raise PydanticCustomError("environment", f"all variables together take {MAX_ENVIRONMENT_BYTES} bytes at most")
    return Variables(variables)


Size = Annotated[int, BeforeValidator(parse_size)]
Environment = Annotated[
    Mapping[Annotated[str, AfterValidator(_check_variable)], Annotated[str, AfterValidator(_check_value)]],
    AfterValidator(_freeze),
    PlainSerializer(dict, return_type=dict[str, str]),
]
Packages = Annotated[
    tuple[Annotated[str, AfterValidator(check_requirement)], ...],
    Field(max_length=MAX_PACKAGES),
    BeforeValidator(check_packages),
    AfterValidator(sorted_packages),
]


class Policy(Settings):
    """The limits of one sandbox. Every field has a unit and a default; nothing is inherited from the host.

    Sizes are numbers of bytes, or text like "512MiB" and "2g" in powers of 1024. Raises SettingsError for a value
    that an engine could not enforce.
    """

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    image: Annotated[str, AfterValidator(_check_image)] | None = None
    """Any image with python3, ipykernel and jupyter-client; without one, Cellblock's own."""
    packages: Packages = ()
    """Packages to add to the image, such as scikit-learn or 'polars==1.*'; the sandbox itself needs no network."""
    memory_bytes: Size = Field(2048 * MIB, ge=128 * MIB, le=PIB)
    """Memory of the container, without swap; the files in /workspace and /tmp count."""
    cpus: float = Field(2.0, ge=0.01)
    """CPU time in cores; at most as many as the engine has."""
    pids: int = Field(256, ge=16, le=1 << 22)
    """Processes and threads together."""
    open_files: int = Field(1024, ge=64, le=1 << 20)
    """Open descriptors per process."""
    workspace_bytes: Size = Field(512 * MIB, ge=MIB, le=PIB)
    """Size of /workspace, a tmpfs that ends with the container."""
    tmp_bytes: Size = Field(128 * MIB, ge=MIB, le=PIB)
    """Size of /tmp, likewise."""
    max_files: int = Field(65536, ge=64, le=1 << 30)
    """Files and folders in each of /workspace and /tmp (inodes); gVisor does not bound them."""
    user: Annotated[str, AfterValidator(_check_user)] | None = None
    """Numeric uid:gid of every process inside; without it, each sandbox has its own. Even 0 has no capabilities."""

    network: Annotated[str, AfterValidator(_check_network)] = "none"
    """Name of the engine's network to join, such as bridge; from there, code may reach the host and the internet."""
    runtime: Annotated[str, AfterValidator(_check_name)] | None = None
    """OCI runtime, such as runc, runsc (gVisor) or kata; without one, the engine's default."""
    environment: Environment = Field(default_factory=lambda: Variables({}))
    """Variables beside those of the image, by name; the transcript records them, except those named like secrets."""
    seed: int | None = Field(None, ge=0, le=MAX_SEED)
    """Fixes chance: random, numpy.random, hashes, one thread for numerical libraries, and the model's sampling."""

    start_timeout_s: float = Field(60.0, gt=0)
    """Seconds from the request for a container until its kernel answers."""
    cell_timeout_s: float = Field(60.0, gt=0)
    """Seconds after which a running cell is interrupted."""
    session_timeout_s: float = Field(3600.0, gt=0)
    """Seconds from the first use of a session until its sandbox ends, even in the middle of a cell."""
    interrupt_grace_s: float = Field(5.0, gt=0)
    """Seconds that an interrupted cell may take to end before its kernel is replaced."""
    restart_grace_s: float = Field(10.0, gt=0)
    """Seconds that replacing a kernel may take before the container is replaced."""

    stream_head_bytes: Size = Field(64 * 1024, ge=0, le=16 * MIB)
    """Bytes kept from the start of a cell's stdout, stderr, value and traceback, each."""
    stream_tail_bytes: Size = Field(64 * 1024, ge=0, le=16 * MIB)
    """Bytes kept from the end of each of them."""
    spool_bytes: Size = Field(64 * MIB, ge=0, le=PIB)
    """Bytes of an over-long output that are kept in a file in the workspace; older such files make room for it."""
    rich_bytes: Size = Field(16 * MIB, ge=0, le=64 * MIB)
    """All rich outputs of one cell together, encoded."""

    function_calls: int = Field(10_000, ge=0, le=1 << 30)
    """Calls of your functions that the code of one cell may make."""
    function_calls_at_once: int = Field(64, ge=1, le=1024)
    """Calls of your functions that one cell may have under way; more wait."""
    function_arguments_bytes: Size = Field(MIB, ge=1024, le=16 * MIB)
    """The arguments of one such call, encoded."""
    function_result_bytes: Size = Field(MIB, ge=1024, le=16 * MIB)
    """The result of one such call, encoded."""

    def output_limits(self) -> dict[str, int]:
        """The output limits that the guest applies and the host enforces."""
        names = ("stream_head_bytes", "stream_tail_bytes", "spool_bytes", "rich_bytes")
        return {name: getattr(self, name) for name in names}

    def function_limits(self) -> dict[str, int]:
        """The limits of calls that the guest applies and the host enforces."""
        names = ("function_calls", "function_calls_at_once", "function_arguments_bytes")
        return {name: getattr(self, name) for name in names}

    def variables(self) -> dict[str, str]:
        """The environment of every process inside; the user's variables override the defaults."""
        defaults = dict(DEFAULT_VARIABLES)
        if any(name == "LANG" or name.startswith("LC_") for name in self.environment):
            del defaults["LC_ALL"]  # it would override the user's
        if self.seed is None:
            return defaults | dict(self.environment)
        threads = {f"{library}_NUM_THREADS": "1" for library in THREADS}
        seeds = {"PYTHONHASHSEED": str(self.seed)}
        return defaults | threads | seeds | dict(self.environment) | {SEED_VARIABLE: str(self.seed)}

    @property
    def max_cell_bytes(self) -> int:
        """The most bytes of one cell from a guest that applies its limits."""
        max_frames = 2 * self.stream_head_bytes + self.rich_bytes // 28  # frames of one byte, or of the smallest output
        overhead_bytes = max(64 * MIB, 32 * MIB + FRAME_COST_BYTES * max_frames)  # errors, and the cost of frames
        return 2 * (self.stream_head_bytes + self.stream_tail_bytes) + self.rich_bytes + overhead_bytes
