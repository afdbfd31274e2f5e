"""Runs untrusted Python in a locked container and returns what it did. Knows nothing of agents or models."""

from sandbox.checks import Check, check_sandbox
from sandbox.errors import (
    CellblockError,
    EngineError,
    FileTransferError,
    ImageError,
    PackageError,
    ProtocolError,
    SandboxError,
    SessionClosedError,
    SettingsError,
    StartError,
)
from sandbox.execution import DisplayData, ErrorOutput, ExecuteResult, Execution, Output, StreamOutput
from sandbox.launcher import GuestProcess, Launcher, SandboxInfo
from sandbox.policy import Policy
from sandbox.pool import Pool
from sandbox.profiles import FileProfile
from sandbox.session import Change, Description, FileInfo, Session, TransferredFile
from sandbox.sizes import format_size

__all__ = [
    "CellblockError",
    "Change",
    "Check",
    "Description",
    "DisplayData",
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
    "Output",
    "PackageError",
    "Policy",
    "Pool",
    "ProtocolError",
    "SandboxError",
    "SandboxInfo",
    "Session",
    "SessionClosedError",
    "SettingsError",
    "StartError",
    "StreamOutput",
    "TransferredFile",
    "check_sandbox",
    "format_size",
]
