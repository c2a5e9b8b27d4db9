"""Timing that can be believed on a machine with neighbours."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil


def machine() -> dict[str, str]:
    """What the figures were measured on: processor, cores in use, memory, versions."""
    import torch

    model = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.is_file():
        names = [line.split(":", 1)[1].strip() for line in described.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "GPU": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def rate(step: Callable[[], float], seconds: float, warm_up: int = 1, repeats: int = 3) -> float:
    """Units per second of `step`, which returns how many units one call did: the best of some stretches of wall time.

    The best, since neighbours only ever make a stretch slower.
    """
    for _ in range(warm_up):
        step()
    best = 0.0
    for _ in range(repeats):
        units, began = 0.0, time.perf_counter()
        while time.perf_counter() - began < seconds / repeats:
            units += step()
        best = max(best, units / (time.perf_counter() - began))
    return best


def figures(rows: list[dict]) -> pd.DataFrame:
    """A table of what was measured beside what was asked for.

    Args:
        rows: each with `what`, `measured`, `target`, `unit`, and whether more is better in `more` (True by default).
    """
    table = pd.DataFrame(rows)
    more = table.get("more", pd.Series(True, index=table.index)).fillna(True).astype(bool)
    table["reached"] = np.where(more, table["measured"] >= table["target"], table["measured"] <= table["target"])
    return table[["what", "measured", "target", "unit", "reached"]]
