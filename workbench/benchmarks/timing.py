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

from workbench.files import replace_file


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


def kept(file: Path, compute: Callable[..., pd.DataFrame], *arguments, **options) -> pd.DataFrame:
    """A table that takes long: computed once and kept, so that a notebook that was stopped goes on after it."""
    if not file.is_file():
        table = compute(*arguments, **options)
        replace_file(file, lambda path: table.to_parquet(path))
    return pd.read_parquet(file)


def figures(rows: list[dict]) -> pd.DataFrame:
    """A table of what was measured beside what was asked for.

    Args:
        rows: each with `what`, `measured`, `unit`; `target`, or None where a figure is only reported; `more`, False
            where less is better; and `reference`, what others got, in words.

    Returns:
        what, measured, target, unit, reached ("yes", "no" or "" without a target), and reference where any row has one.
    """
    described = []
    for row in rows:
        target, measured = row.get("target"), float(row["measured"])
        better = "" if target is None else measured >= target if row.get("more", True) else measured <= target
        reached = better if better == "" else "yes" if better else "no"
        target = np.nan if target is None else target
        described.append((row["what"], measured, target, row["unit"], reached, row.get("reference", "")))
    table = pd.DataFrame(described, columns=["what", "measured", "target", "unit", "reached", "reference"])
    return table if table["reference"].any() else table.drop(columns="reference")


def shown(table: pd.DataFrame):
    """The table of `figures` for a notebook: three digits, missing targets blank."""
    number = lambda value: "" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: E731
    return table.style.format({"measured": number, "target": number}).hide(axis="index")
