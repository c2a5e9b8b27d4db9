"""Opponents whose shares move, without regret, while the response that meets them learns: anytime PSRO.

PSRO's mixture may be easier to exploit after an iteration than before it. Anytime PSRO lets the shares of the population
answer the response as it learns; their average over its training is the mixture over this population that is hardest to
exploit, as far as the response could find out.

Source: McAleer et al. 2022, "Anytime PSRO for two-player zero-sum games", arXiv 2201.07700; the rule for the shares is
Hedge (Freund and Schapire 1997) on importance-weighted payoffs (Exp3, Auer et al. 2002), a rollout of games at a time.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from workbench.learning.rollout import Finished, FixedOpponents
from workbench.policies.mixture import Mixture

EXPLORATION = 0.05


class AnytimeOpponents(FixedOpponents):
    """A mixture's members, drawn by shares that grow for whoever earns most against the learner.

    Args:
        mixture: the members, and the shares they begin with; members that are to come up must be among them.
        updates: how often `answer` will be called, which sets how fast shares move.

    Attributes:
        weights: the shares as they are now.
        average: their mean over all calls of `answer`.
    """

    def __init__(self, mixture: Mixture, updates: int):
        super().__init__(mixture.members, mixture.weights)
        count = len(mixture.members)
        self._begun = np.log(np.maximum(self.weights, EXPLORATION / count))
        self._earned = np.zeros(count)
        self._total, self._answers, self._largest = np.zeros(count), 0, 0.0
        self._rate = np.sqrt(8 * np.log(count) / max(updates, 1))
        self._mix()

    @property
    def average(self) -> np.ndarray:
        return self._total / self._answers if self._answers else self.weights.copy()

    def answer(self, finished: Iterable[Finished]) -> None:
        """Move the shares by the games of a rollout: by what each member earned in them, over how likely it was drawn."""
        names = {name: index for index, name in enumerate(self.members)}
        games = [(names[game.opponent], -game.reward) for game in finished if game.opponent in names]
        self._total, self._answers = self._total + self.weights, self._answers + 1
        if not games or len(names) == 1:
            return
        member, payoff = np.array([game[0] for game in games]), np.array([game[1] for game in games])
        self._largest = max(self._largest, float(np.abs(payoff).max()))
        if self._largest == 0:
            return
        share = np.bincount(member, payoff, minlength=len(names)) / len(games)
        self._earned += share / self.weights / (2 * self._largest)
        self._mix()

    def _mix(self) -> None:
        scores = self._begun + self._rate * self._earned
        shares = np.exp(scores - scores.max())
        count = len(shares)
        self.weights = (1 - EXPLORATION) * shares / shares.sum() + EXPLORATION / count

    def mixture(self, id: str) -> Mixture:
        """The average as a policy."""
        return Mixture(id, list(self.members.values()), self.average)

    def state(self):
        described, arrays = super().state()
        kept = {"answers": self._answers, "largest": self._largest}
        return described | kept, arrays | {"earned": self._earned, "total": self._total}

    def restore(self, described, arrays):
        super().restore(described, arrays)
        self._answers, self._largest = described["answers"], described["largest"]
        self._earned, self._total = arrays["earned"].copy(), arrays["total"].copy()
        self._mix()
