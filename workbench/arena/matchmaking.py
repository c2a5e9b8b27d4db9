"""How likely each opponent is to be met: pure functions from records to probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

PRIORITIES = {
    "squared": lambda x: (1 - x) ** 2,
    "variance": lambda x: x * (1 - x),
    "linear": lambda x: 1 - x,
    "capped": lambda x: np.minimum(0.5, 1 - x),
    "uniform": np.ones_like,
}


def prioritised(win_rate, weighting: str = "squared") -> np.ndarray:
    """Prioritised fictitious self-play: probabilities of opponents by how well the learner does against them.

    Args:
        win_rate: `[N]`, the learner's, in [0, 1].
        weighting: `"squared"` (1-x)^2 seeks whoever is hardest; `"variance"` x(1-x) whoever is closest in strength;
            `"linear"` 1-x; `"capped"` min(.5, 1-x), which does not tell apart those who win more than half; `"uniform"`
            whatever the win rate.

    Returns:
        float64 `[N]`, sums to 1; uniform where all weights are 0.

    Source: Vinyals et al. 2019, Nature 575 (AlphaStar), Methods, "Prioritized fictitious self-play".
    """
    if weighting not in PRIORITIES:
        raise ValueError(f"weighting={weighting!r}; expected one of {', '.join(PRIORITIES)}")
    weight = PRIORITIES[weighting](np.asarray(win_rate, np.float64))
    total = weight.sum()
    return weight / total if total > 0 else np.full(len(weight), 1 / len(weight))


def mostly_recent(count: int, recent: float = 0.7) -> np.ndarray:
    """Probabilities of `count` snapshots, oldest first: `recent` of the draws from the newest half, the rest from all.

    The newest half of an odd number includes the middle one. Source: ExPhil's population manager.
    """
    probability = np.full(count, (1 - recent) / count)
    newest = (count + 1) // 2
    probability[count - newest :] += recent / newest
    return probability


def near_in_skill(ratings, rating: float, reach: float = 100.0) -> np.ndarray:
    """Uniform over opponents within `reach` Elo of `rating`; where nobody is, the closest (the first of equals)."""
    distance = np.abs(np.asarray(ratings, np.float64) - rating)
    near = distance <= reach
    if not near.any():
        near[distance.argmin()] = True
    return near / near.sum()


def before_monotone_end(win_rate: Sequence[float]) -> int:
    """How many of a policy's snapshots, oldest first, a learner that has forgotten might lose to.

    That newer snapshots are harder is as it should be: those from which on win rates only fall are left out. Where an
    older one is harder than the next, all up to that next one stay.

    Args:
        win_rate: `[N]`, the learner's, in the order in which the snapshots were made.

    Source: Vinyals et al. 2019, Nature 575 (AlphaStar), supplementary pseudocode, "remove monotonic suffix".
    """
    rises = np.flatnonzero(np.diff(np.asarray(win_rate, np.float64)) > 0)
    return int(rises[-1]) + 2 if len(rises) else 0


def blend(mix: Mapping[str, float], classes: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """Scale each class's distribution by its share of the mix, shares of empty classes going to the others.

    Args:
        mix: share by class, not negative; need not sum to 1.
        classes: distribution over its own members by class; may be empty.

    Returns:
        the scaled distributions by class, which together sum to 1; empty if every class with a share is.
    """
    shares = {name: share for name, share in mix.items() if share > 0 and len(classes.get(name, ()))}
    total = sum(shares.values())
    return {name: share / total * np.asarray(classes[name], np.float64) for name, share in shares.items()}


def drawn_with(mix: Mapping[str, float], classes: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """How likely each opponent is in a mix of classes, which may share opponents; empty if every class with a share is.

    Args:
        mix: as in `blend`.
        classes: by class, each of its opponents' probability within it.
    """
    total: dict[str, float] = {}
    for name, scaled in blend(mix, {name: list(some.values()) for name, some in classes.items()}).items():
        for id, probability in zip(classes[name], scaled.tolist(), strict=True):
            total[id] = total.get(id, 0.0) + probability
    return total
