"""PPO's objective and its derivatives, decision by decision, as a pure function of numpy arrays.

The derivatives go straight into torch's backward pass: for small networks that takes a third off a step of learning,
compared with torch operations and their graph of some forty nodes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np


class Objective(NamedTuple):
    """A minibatch's losses, and the derivatives of their weighted sum.

    Args:
        by_log_prob, by_entropy, by_value: float32 `[T, N]`, 0 where not chosen.
        policy_loss, value_loss, entropy: means over the chosen decisions.
        approx_kl: mean of (r - 1) - log r, an unbiased, never negative estimate of KL(old || new).
        clip_fraction: share of ratios beyond the clip range.
    """

    by_log_prob: np.ndarray
    by_entropy: np.ndarray
    by_value: np.ndarray
    policy_loss: float
    value_loss: float
    entropy: float
    approx_kl: float
    clip_fraction: float


def ppo_objective(
    log_prob, entropy, value, old_log_prob, old_value, advantage, target, chosen,
    *, clip, value_clip, value_weight, entropy_weight,
) -> Objective:  # fmt: skip
    """policy_loss + value_weight * value_loss - entropy_weight * entropy, differentiated.

    policy_loss is minus the mean of min(r A, clip(r, 1 - clip, 1 + clip) A), r = exp(log_prob - old_log_prob);
    value_loss half the mean squared error, or with a value clip the mean of the larger of it and that of the value
    kept within the clip of the old one.

    Args:
        log_prob, entropy, value: float32 `[T, N]` of the policy that learns.
        old_log_prob, old_value: `[T, N]` of the one that collected.
        advantage, target: `[T, N]`; the value's target is the advantage plus the old value.
        chosen: bool `[T, N]`, the decisions that count.
        clip: epsilon; value_clip: None does not clip.

    Source: Schulman et al. 2017, arXiv 1707.06347, eq. 7; approx_kl: Schulman 2020, "Approximating KL divergence", k3.
    """
    derivatives = np.zeros((3, *chosen.shape), np.float32)
    figures = _objective(
        log_prob, entropy, value, old_log_prob, old_value, advantage, target, chosen, clip,
        np.inf if value_clip is None else value_clip, value_weight, entropy_weight, derivatives,
    )  # fmt: skip
    return Objective(derivatives[0], derivatives[1], derivatives[2], *figures)


@numba.njit(cache=True, nogil=True)
def _objective(
    log_prob, entropy, value, old_log_prob, old_value, advantage, target, chosen, clip, value_clip, value_weight,
    entropy_weight, derivatives,
):  # fmt: skip
    steps, rows = chosen.shape
    count = 0
    for t in range(steps):
        for n in range(rows):
            count += chosen[t, n]
    policy_loss, value_loss, entropies, kl, clipped = 0.0, 0.0, 0.0, 0.0, 0
    for t in range(steps):
        for n in range(rows):
            if not chosen[t, n]:
                continue
            gain = np.float64(advantage[t, n])
            log_ratio = np.float64(log_prob[t, n] - old_log_prob[t, n])
            ratio = math.exp(log_ratio)
            free, kept = ratio * gain, min(max(ratio, 1 - clip), 1 + clip) * gain
            policy_loss -= min(free, kept)
            # where the clipped term is the smaller it does not depend on log_prob
            derivatives[0, t, n] = -free / count if free <= kept else 0.0
            kl += ratio - 1 - log_ratio
            clipped += abs(ratio - 1) > clip

            derivatives[1, t, n] = -entropy_weight / count
            entropies += entropy[t, n]

            error = np.float64(value[t, n] - target[t, n])
            moved = np.float64(value[t, n] - old_value[t, n])
            kept_error = old_value[t, n] + min(max(moved, -value_clip), value_clip) - target[t, n]
            if abs(moved) > value_clip and abs(kept_error) > abs(error):
                value_loss += 0.5 * kept_error * kept_error
            else:
                value_loss += 0.5 * error * error
                derivatives[2, t, n] = value_weight * error / count
    return policy_loss / count, value_loss / count, entropies / count, kl / count, clipped / count


@numba.njit(cache=True, nogil=True)
def normalised(advantage, chosen):
    """Advantages `[T, N]`, the chosen ones shifted and scaled to mean 0 and standard deviation 1."""
    steps, rows = chosen.shape
    count, total, square = 0, 0.0, 0.0
    for t in range(steps):
        for n in range(rows):
            if chosen[t, n]:
                count += 1
                total += advantage[t, n]
                square += advantage[t, n] * advantage[t, n]
    mean = total / max(count, 1)
    spread = math.sqrt(max(square / max(count, 1) - mean * mean, 0.0))
    found = advantage.copy()
    if count > 1:
        for t in range(steps):
            for n in range(rows):
                found[t, n] = (advantage[t, n] - mean) / (spread + 1e-8)
    return found


def explained_variance(value, target) -> float:
    """1 - Var[target - value] / Var[target]: 1 is perfect, 0 no better than a constant; NaN if targets do not vary."""
    spread = float(np.var(target)) if len(target) else 0.0
    return float("nan") if spread == 0 else 1 - float(np.var(target - value)) / spread
