"""How a coefficient changes over training: factors as pure functions of progress.

Progress runs from 0 to 1 over the planned training and is clamped to it. A factor multiplies the base value.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A named curve with its options.

    Args:
        kind: `"constant"`, `"linear"`, `"cosine"`, `"exponential"` or `"restarts"`.
        warmup: share of training during which the factor rises linearly from 0; the curve takes what remains.
        floor: the lowest factor of `linear` and `cosine` and of each cycle of `restarts`.
        rate: `exponential`: factor at the end of training.
        first: `restarts`: length of the first cycle as a share of the curve.
        growth: `restarts`: each cycle is this many times as long as the one before.
    """

    kind: str = "constant"
    warmup: float = 0.0
    floor: float = 0.0
    rate: float = 0.05
    first: float = 0.1
    growth: float = 2.0

    def __post_init__(self):
        if self.kind not in _CURVES:
            near = difflib.get_close_matches(self.kind, _CURVES, n=2, cutoff=0.4) or sorted(_CURVES)
            raise ValueError(f"no schedule of kind {self.kind!r}; did you mean {', '.join(near)}?")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup={self.warmup}: expected a share of training in [0, 1)")
        if self.rate <= 0 or self.first <= 0 or self.growth < 1:
            raise ValueError(f"{self}: expected rate > 0, first > 0 and growth >= 1")

    def __call__(self, progress: float) -> float:
        """The factor at `progress` of the training."""
        progress = min(max(progress, 0.0), 1.0)
        if progress < self.warmup:
            return progress / self.warmup
        return _CURVES[self.kind](self, (progress - self.warmup) / (1 - self.warmup))

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def of(cls, described: Schedule | str | dict) -> Schedule:
        """A schedule from itself, the name of its kind, or `to_json`."""
        if isinstance(described, Schedule):
            return described
        return cls(kind=described) if isinstance(described, str) else cls(**described)


def _constant(schedule, progress):
    return 1.0


def _linear(schedule, progress):
    return 1 - (1 - schedule.floor) * progress


def _cosine(schedule, progress):
    return schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * progress)) / 2


def _exponential(schedule, progress):
    return schedule.rate**progress


def _restarts(schedule, progress):
    """Source: Loshchilov, Hutter 2017, "SGDR", arXiv 1608.03983."""
    start, length = 0.0, schedule.first
    while progress >= start + length - 1e-9:
        start, length = start + length, length * schedule.growth
    return _cosine(schedule, max(progress - start, 0.0) / length)


_CURVES = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "exponential": _exponential,
    "restarts": _restarts,
}
