"""Seeds the random generators of a kernel."""

import importlib.util
import random
import sys
from typing import Any


def seed_generators(seed: str) -> None:
    """Seed `random` at once, and numpy as soon as it is imported: an import here would slow every start."""
    if seed.isdecimal():
        random.seed(int(seed))
        sys.meta_path.insert(0, SeededNumpy(int(seed)))


class SeededNumpy:
    """Finds the module of numpy's global generator once, as other finders do, and seeds it after its import."""

    NAME = "numpy.random.mtrand"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_seeded(module: Any) -> None:
                load(module)
                module.seed(self._seed)

            spec.loader.exec_module = load_seeded  # type: ignore[method-assign]
        return spec
