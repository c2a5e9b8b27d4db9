"""A metric over a long run in few points: what is drawn stays small however long the run, and no peak is lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LIMIT = 1024


class Points(NamedTuple):
    """What `Series.points` gives, all float64 `[N]`: first step of each stretch, lowest, highest and mean value in it."""

    step: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray


class Series:
    """Values over steps, summed up in at most `limit` stretches of equally many values each.

    Stretches hold one value each until there are too many; then neighbours are merged in pairs, again and again. So
    adding a value costs the same after a million values as at the start.

    >>> series = Series()
    >>> series.extend([1, 2, 3], [0.5, 0.25, 0.125])
    >>> series.points().mean
    array([0.5  , 0.25 , 0.125])

    Args:
        limit: an even number of stretches that are kept at most.
    """

    def __init__(self, limit: int = LIMIT):
        if limit < 2 or limit % 2:
            raise ValueError(f"limit is {limit}; expected an even number from 2")
        self._kept = np.empty((4, limit))  # step, low, high, mean
        self._count = 0
        self._width = 1  # values in a stretch
        self._waiting: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0))  # too few for a stretch
        self.values = 0

    def extend(self, steps, values) -> None:
        """Add values in the order they were logged; those that are no finite numbers are left out."""
        steps, values = np.asarray(steps, float), np.asarray(values, float)
        good = np.isfinite(values)
        steps, values = (np.concatenate(pair) for pair in zip(self._waiting, (steps[good], values[good]), strict=True))
        self.values += int(good.sum())
        limit = self._kept.shape[1]
        while len(values) >= self._width:
            if self._count == limit:
                self._merge()
                continue
            taken = min(len(values) // self._width, limit - self._count)
            end = taken * self._width
            self._kept[:, self._count : self._count + taken] = _summed(
                steps[:end].reshape(taken, -1), values[:end].reshape(taken, -1)
            )
            self._count += taken
            steps, values = steps[end:], values[end:]
        self._waiting = steps, values

    def points(self) -> Points:
        """All stretches in order; the last one may hold fewer values than the others."""
        kept = self._kept[:, : self._count]
        if len(self._waiting[0]):
            steps, values = self._waiting
            kept = np.concatenate([kept, _summed(steps[None], values[None])], axis=1)
        return Points(*kept.copy())

    def _merge(self) -> None:
        step, low, high, mean = self._kept.reshape(4, -1, 2)
        half = self._count // 2
        self._kept[:, :half] = step[:, 0], low.min(axis=1), high.max(axis=1), mean.mean(axis=1)
        self._count, self._width = half, 2 * self._width


def _summed(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`[4, N]` of N rows: first step, lowest, highest, mean."""
    return np.stack([steps[:, 0], values.min(axis=1), values.max(axis=1), values.mean(axis=1)])


def joined(first: Points, second: Points) -> Points:
    """The points of one series after those of another."""
    return Points(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))
