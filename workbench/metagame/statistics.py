"""Means over seeds with their intervals, and differences between two arms that share them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and Student's 95% interval of it; the bounds are nan for fewer than two values."""
    from scipy.stats import t as student

    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def paired(treated: Sequence[float], control: Sequence[float], names: tuple[str, str]) -> pd.DataFrame:
    """Two arms of the same seeds: each one's mean, and that of the differences seed by seed.

    Args:
        treated, control: a figure a seed, in the same order.
        names: of the arms.

    Returns:
        Rows `names[0]`, `names[1]`, `difference`; columns seeds, mean, low, high, and each seed's value.

    Raises:
        ValueError: not as many of both, or none.
    """
    if len(treated) != len(control) or not len(treated):
        raise ValueError(f"{len(treated)} and {len(control)} figures: expected one a seed of each arm, at least one")
    difference = [one - other for one, other in zip(treated, control, strict=True)]
    rows = {}
    for name, values in zip((*names, "difference"), (treated, control, difference), strict=True):
        mean, low, high = mean_interval(values)
        each = {f"seed {index + 1}": float(value) for index, value in enumerate(values)}
        rows[name] = {"seeds": len(values), "mean": mean, "low": low, "high": high, **each}
    return pd.DataFrame.from_dict(rows, orient="index")
