"""Means over seeds with their intervals, and differences between two arms that share them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

_ANYTHING = (-np.inf, np.inf)


def mean_interval(values: Sequence[float], within: tuple[float, float] = _ANYTHING) -> tuple[float, float, float]:
    """Mean and Student's 95% interval of it, cut off at what a value can be; the bounds are nan for fewer than two values."""
    from scipy.stats import t as student

    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    low, high = np.clip([mean - half, mean + half], *within).tolist()
    return mean, low, high


def paired(
    treated: Sequence[float],
    control: Sequence[float],
    names: tuple[str, str],
    *,
    within: tuple[float, float] = _ANYTHING,
) -> pd.DataFrame:
    """Two arms of the same seeds: each one's mean, and that of the differences seed by seed.

    Args:
        treated, control: a figure a seed, in the same order.
        names: of the arms.
        within: what a figure can be: 0 to 1 for a win rate, 0 to infinity for an exploitability.

    Returns:
        Rows `names[0]`, `names[1]`, `difference`; columns seeds, mean, low, high, and each seed's value.

    Raises:
        ValueError: not as many of both, or none.
    """
    if len(treated) != len(control) or not len(treated):
        raise ValueError(f"{len(treated)} and {len(control)} figures: expected one a seed of each arm, at least one")
    difference = [one - other for one, other in zip(treated, control, strict=True)]
    widest = within[1] - within[0]
    limits = (within, within, (-widest, widest))
    rows = {}
    for name, values, limit in zip((*names, "difference"), (treated, control, difference), limits, strict=True):
        mean, low, high = mean_interval(values, limit)
        each = {f"seed {index + 1}": float(value) for index, value in enumerate(values)}
        rows[name] = {"seeds": len(values), "mean": mean, "low": low, "high": high, **each}
    return pd.DataFrame.from_dict(rows, orient="index")
