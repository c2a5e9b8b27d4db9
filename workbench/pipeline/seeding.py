"""One seed for every source of randomness a notebook may reach."""

from __future__ import annotations

import importlib.abc
import importlib.util
import random
import sys

import numpy as np


def seed_everything(seed: int) -> None:
    """Seed `random`, numpy's legacy global generator, and torch: now, or as soon as it is imported.

    Libraries of the workbench take a seed or a generator and do not read these; a notebook's own code might.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - it is the global generator that is to be seeded
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _SeedTorch)]
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    else:
        sys.meta_path.insert(0, _SeedTorch(seed))


class _SeedTorch(importlib.abc.MetaPathFinder):
    """Seeds torch when it is first imported: importing it here would cost a second in stages that never use it."""

    def __init__(self, seed: int):
        self.seed = seed

    def find_spec(self, name, path=None, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_seed(module):
            execute(module)
            module.manual_seed(self.seed)

        spec.loader.exec_module = execute_and_seed
        return spec
