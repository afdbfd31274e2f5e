"""Cellblock under its own name: the public names of `agent` and `sandbox`, and the version.

The names are loaded when they are first used, as in `agent`.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent import (
        AccessError,
        Agent,
        AgentError,
        BatchTask,
        Budget,
        Claim,
        ClusterError,
        ContentFilterError,
        ContextLengthError,
        Conversation,
        Cost,
        Endpoint,
        EndpointError,
        Limiter,
        Limits,
        LocalModel,
        LocalModelError,
        PlaybackError,
        Prices,
        RateLimit,
        Recorded,
        ResumeError,
        RunResult,
        Runtime,
        Sampling,
        TaskResult,
        TranscriptError,
        UnreachableError,
        Usage,
        UsageError,
        export_run,
        read_results,
        read_run,
        run_batch,
        tool,
    )
    from sandbox import (
        CellblockError,
        Change,
        Check,
        Description,
        DisplayData,
        EngineError,
        ErrorOutput,
        ExecuteResult,
        Execution,
        FileInfo,
        FileProfile,
        FileTransferError,
        GuestProcess,
        ImageError,
        Launcher,
        Output,
        PackageError,
        Policy,
        Pool,
        ProtocolError,
        SandboxError,
        SandboxInfo,
        Session,
        SessionClosedError,
        SettingsError,
        StartError,
        StreamOutput,
        TransferredFile,
        check_sandbox,
        format_size,
    )

    __version__: str

__all__ = [
    "AccessError",
    "Agent",
    "AgentError",
    "BatchTask",
    "Budget",
    "CellblockError",
    "Change",
    "Check",
    "Claim",
    "ClusterError",
    "ContentFilterError",
    "ContextLengthError",
    "Conversation",
    "Cost",
    "Description",
    "DisplayData",
    "Endpoint",
    "EndpointError",
    "EngineError",
    "ErrorOutput",
    "ExecuteResult",
    "Execution",
    "FileInfo",
    "FileProfile",
    "FileTransferError",
    "GuestProcess",
    "ImageError",
    "Launcher",
    "Limiter",
    "Limits",
    "LocalModel",
    "LocalModelError",
    "Output",
    "PackageError",
    "PlaybackError",
    "Policy",
    "Pool",
    "Prices",
    "ProtocolError",
    "RateLimit",
    "Recorded",
    "ResumeError",
    "RunResult",
    "Runtime",
    "Sampling",
    "SandboxError",
    "SandboxInfo",
    "Session",
    "SessionClosedError",
    "SettingsError",
    "StartError",
    "StreamOutput",
    "TaskResult",
    "TranscriptError",
    "TransferredFile",
    "UnreachableError",
    "Usage",
    "UsageError",
    "__version__",
    "check_sandbox",
    "export_run",
    "format_size",
    "read_results",
    "read_run",
    "run_batch",
    "tool",
]

_PACKAGES = ("agent", "sandbox")


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("cellblock")
    if name in __all__:
        home = next(package for package in map(import_module, _PACKAGES) if name in package.__all__)
        return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def check_packages() -> None:
    """Raise ImportError if another module is found in place of a package of ours: an agent.py beside a script."""
    for name in _PACKAGES:
        ours = Path(__file__).parents[1] / name / "__init__.py"
        try:
            spec = find_spec(name)
        except ValueError:  # a module that a program has made itself
            spec = None
        found = spec.origin if spec and spec.origin else f"a module {name!r} of yours"
        if not ours.exists() or not Path(found).exists() or not ours.samefile(found):
            raise ImportError(f"{found} hides the package {name!r} of Cellblock: rename it, or start elsewhere")


if not (sys.argv[:1] == ["-m"] and __name__ in sys.orig_argv):  # `-m` checks in __main__
    check_packages()
