"""Describes the Python of the image."""

import platform
from importlib.metadata import distributions
from typing import Any


def describe_environment() -> dict[str, Any]:
    packages = {dist.metadata["Name"]: dist.version for dist in distributions()}
    try:
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, LookupError):
        distribution = ""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "distribution": distribution,
        "packages": dict(sorted(packages.items())),
    }
