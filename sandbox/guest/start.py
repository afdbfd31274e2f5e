"""The guest's first module. It closes the process to the code that will run inside, before any other runs."""

import ctypes
import gc
import signal
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGES = ("sandbox", "sandbox.guest", "sandbox.profiler")
PR_SET_DUMPABLE = 4


def prepare(sources: dict[str, str]) -> None:
    """Close this process, and let it import the package. None of its other modules has run before."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an init's default is to ignore what comes from inside
    sys.path[:] = [path for path in sys.path if path]  # nothing in the workspace is ever imported here
    set_dumpable(False)
    gc.disable()  # what the imports make stays: guest and kernel collect once they have started
    sys.meta_path.insert(0, SentModules(sources))


def set_dumpable(dumpable: bool) -> None:
    """Open or close this process to ptrace, /proc/PID/mem and /proc/PID/fd of its own user (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


class SentModules:
    """Imports the package's modules from the sources that the host has sent, each when it is first needed."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in self._sources and name not in PACKAGES:
            return None
        return ModuleSpec(name, self, is_package=name in PACKAGES)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Python makes the module."""

    def get_source(self, name: str) -> str:
        return self._sources[name]

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        exec(compile(self._sources.get(name, ""), f"<{name}>", "exec"), vars(module))


def forget_package() -> None:
    """Leave no module of the package where a cell's imports could find it."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, SentModules)]
    for name in [name for name in sys.modules if name in PACKAGES or name.startswith("sandbox.guest.")]:
        del sys.modules[name]
