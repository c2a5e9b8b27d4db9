"""Whether a training run stayed stable: a verdict in plain words, with the figures it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

KL_BAND = (0.005, 0.05)
"""Nats a decision from the reference, on average over a run, between which damping is at work and does not choke."""

_CLIFF, _COLLAPSED, _DRIFT, _BRAKED = 0.5, 0.25, 0.5, 0.05


class Verdict(NamedTuple):
    """`word` is `stable`, `collapsing`, `over-damped`, `loose` or `unknown`; `evidence` says why, a sentence each."""

    word: str
    evidence: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.word}: " + " ".join(self.evidence)


def verdict(metrics: Sequence[Mapping[str, float]], reference: str = "fixed") -> Verdict:
    """Judge a run by its metrics, oldest first.

    `collapsing`: the entropy fell to a quarter of what it began with, or lost half of itself within a tenth of the run.
    `over-damped`: the mean KL from the reference stayed under the band while entropy hardly moved: nothing was learned;
    or the controller kept the learning rate, over the second half, under a twentieth of what was asked for.
    `loose`: the mean KL lies above the band: the reference did not hold the policy. `stable`: none of these. The distance
    from a reference that follows says how fast the policy moves, not how far it got: it is told, and not judged.

    Args:
        metrics: with `losses/entropy` and, where damped, `damping/kl` and `damping/learning_rate_multiplier`.
        reference: as in `DampingSettings`: `fixed`, `moving` or `refreshed`.
    """
    entropy = _series(metrics, "losses/entropy")
    if len(entropy) < 4:
        return Verdict("unknown", (f"Only {len(entropy)} updates were logged; at least 4 are needed.",))
    first, last = (
        float(np.mean(entropy[: max(1, len(entropy) // 20)])),
        float(np.mean(entropy[-max(1, len(entropy) // 20) :])),
    )
    said = [f"Entropy went from {first:.3f} to {last:.3f} nats."]
    drop, at = _steepest(entropy)
    if first > 0 and (last < _COLLAPSED * first or drop > _CLIFF):
        if drop > _CLIFF:
            said.append(f"It lost {drop:.0%} of itself within a tenth of the run, around {at:.0%} of the way.")
        return Verdict("collapsing", tuple(said))
    kl = _series(metrics, "damping/kl")
    if not len(kl):
        return Verdict("stable", (*said, "There was no reference to measure a distance from."))
    multiplier = _series(metrics, "damping/learning_rate_multiplier")
    left = float(np.mean(multiplier[len(multiplier) // 2 :])) if len(multiplier) else 1.0
    if left < _BRAKED:
        said.append(f"The controller left {left:.1%} of the learning rate over the second half of the run.")
        return Verdict("over-damped", (*said, "A larger target for the KL, or a milder `shrink`, would let it learn."))
    mean = float(np.mean(kl))
    if reference != "fixed":
        said.append(f"The mean KL from the reference, which follows the policy ({reference}), was {mean:.4f} nats.")
        return Verdict("stable", tuple(said))
    said.append(f"The mean KL from the reference was {mean:.4f} nats; {KL_BAND[0]} to {KL_BAND[1]} is usual.")
    if mean < KL_BAND[0] and abs(last - first) < 0.05 * first:
        return Verdict("over-damped", (*said, "The policy hardly left its reference: less damping would let it learn."))
    if mean > KL_BAND[1]:
        return Verdict(
            "loose", (*said, "The reference did not hold it: more damping, or a lower learning rate, would.")
        )
    drift = float(np.mean(kl[-len(kl) // 4 :]) / max(np.mean(kl[len(kl) // 4 : len(kl) // 2]), 1e-12)) - 1
    if drift > _DRIFT:
        said.append(f"It was still growing: {drift:+.0%} from the second quarter of the run to the last.")
    return Verdict("stable", tuple(said))


def _series(metrics: Sequence[Mapping[str, float]], name: str) -> np.ndarray:
    values = np.array([row[name] for row in metrics if row.get(name) is not None], np.float64)
    return values[np.isfinite(values)]


def _steepest(values: np.ndarray) -> tuple[float, float]:
    """The largest share lost within a tenth of the run, and where in it that ended."""
    span = max(1, len(values) // 10)
    before, after = values[:-span], values[span:]
    lost = np.where(before > 0, 1 - after / np.maximum(before, 1e-12), 0.0)
    at = int(lost.argmax())
    return float(lost[at]), (at + span) / (len(values) - 1)
