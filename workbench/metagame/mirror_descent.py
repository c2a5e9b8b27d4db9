"""Damping where it can be checked: magnetic mirror descent on a small game's tables, exactly.

Every infostate's policy takes a step up its action values while it is pulled, by the reverse KL, to a magnet: the same
two forces that a damped policy gradient has. Without the magnet (`damping` 0) self-play goes round the equilibrium or
away from it; with it the last iterate converges.

Source: Sokota et al. 2023, "A unified approach to reinforcement learning, quantal response equilibria, and two-player
zero-sum games", arXiv 2206.05825, section 4 and appendix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workbench.metagame.exploitability import PLAYERS, GameTree, option_values, reach_without


@dataclass(frozen=True)
class Descent:
    """How `mirror_descent` steps.

    Args:
        step: eta, the step size at iteration 1.
        damping: alpha, the pull to the magnet at iteration 1; 0 switches it off.
        decay: both fall as `t ** -decay` (0.5 for the schedules of the paper, 0 for none).
        magnet_step: how far the magnet moves to the policy each iteration, geometrically; 0 leaves it where it began,
            at uniform play.

    Raises:
        ValueError: a step not above 0, or another figure below 0.
    """

    step: float = 1.0
    damping: float = 1.0
    decay: float = 0.5
    magnet_step: float = 0.0

    def __post_init__(self):
        if self.step <= 0 or min(self.damping, self.decay, self.magnet_step) < 0:
            raise ValueError(f"{self}: expected step > 0 and the others at least 0")


def mirror_descent(tree: GameTree, how: Descent | None = None) -> Iterator[np.ndarray]:
    """Self-play on a table: the policy after each iteration, float64 `[I, A]`, without end.

    Each iteration solves, in every infostate at once,
    `argmax_p  <p, q> - damping * KL(p, magnet) - KL(p, policy) / step`, where q are the action values of the policy
    before it; in closed form `p ~ (policy * magnet ** (step * damping) * exp(step * q)) ** (1 / (1 + step * damping))`.
    """
    how = how or Descent()
    legal = tree.legal
    log_policy = log_magnet = np.log(np.where(legal, tree.uniform(), 1.0))
    iteration = 0
    while True:
        iteration += 1
        step, damping = (rate * iteration**-how.decay for rate in (how.step, how.damping))
        values = action_values(tree, _exp(log_policy, legal))
        pull = step * damping
        log_policy = _normalised((log_policy + pull * log_magnet + step * values) / (1 + pull), legal)
        if how.magnet_step:
            log_magnet = _normalised((1 - how.magnet_step) * log_magnet + how.magnet_step * log_policy, legal)
        yield _exp(log_policy, legal)


def action_values(tree: GameTree, table: np.ndarray) -> np.ndarray:
    """What the deciding player earns on average with each option, in an infostate that was reached: `[I, A]`.

    Histories of an infostate count by how likely chance and the other player make them; both go on as `table` says.
    """
    total, weight = np.zeros(tree.legal.shape), np.zeros(len(tree.legal))
    reaches = [reach_without(tree, table, player) for player in range(PLAYERS)]
    next_values = np.zeros(0)
    for depth in reversed(range(len(tree.levels))):
        level = tree.levels[depth]
        values = option_values(level, next_values)
        reach = np.where(level.player == 0, reaches[0][depth], reaches[1][depth])
        sign = np.where(level.player == 0, 1.0, -1.0)
        np.add.at(total, level.infostate, (reach * sign)[:, None] * values)
        np.add.at(weight, level.infostate, reach)
        next_values = (table[level.infostate] * values).sum(axis=1)
    return total / np.maximum(weight, 1e-300)[:, None]


def _normalised(log_weights: np.ndarray, legal: np.ndarray) -> np.ndarray:
    masked = np.where(legal, log_weights, -np.inf)
    top = masked.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(masked - top).sum(axis=1, keepdims=True))
    return np.where(legal, log_weights - total, 0.0)


def _exp(log_policy: np.ndarray, legal: np.ndarray) -> np.ndarray:
    return np.where(legal, np.exp(log_policy), 0.0)
