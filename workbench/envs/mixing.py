"""Scripted players that mix: they say with what chance they take each option, and are sampled from it."""

from __future__ import annotations

import numpy as np

from workbench.envs.players import ScriptedPlayer


class MixingPlayer(ScriptedPlayer):
    """A player of one-head games that is a distribution over options; subclasses write `probabilities`."""

    def probabilities(self, observation, legal) -> np.ndarray:
        """Float64 `[N, n]` chances of the options, 0 where not legal; `legal` as in `Player.act`."""
        raise NotImplementedError

    def choose(self, observation, legal, state, generator):
        return sample(self.probabilities(observation, legal), generator)[:, None]

    def act(self, observation, legal, state, temperature=1.0, generator=None):
        decision = super().act(observation, legal, state, temperature, generator)
        chance = np.take_along_axis(self.probabilities(observation, legal), decision.action, axis=1)[:, 0]
        return decision._replace(log_prob=np.log(chance).astype(np.float32))


class FixedMixture(MixingPlayer):
    """Plays one mixed strategy whatever it sees.

    Args:
        id: the player's name.
        strategy: `[n]` probabilities of the options.
    """

    def __init__(self, id: str, strategy):
        super().__init__(id)
        self.strategy = np.asarray(strategy, np.float64)
        if (self.strategy < 0).any() or abs(self.strategy.sum() - 1) > 1e-9:
            raise ValueError(f"{id}: {self.strategy.tolist()} are not probabilities")

    def probabilities(self, observation, legal):
        return np.broadcast_to(self.strategy, legal[0].shape)


class Preference(MixingPlayer):
    """Takes the first legal option of an order of preference.

    Args:
        id: the player's name.
        order: option indices, the most wanted first; names every option once.
    """

    def __init__(self, id: str, order: tuple[int, ...]):
        super().__init__(id)
        self.order = np.asarray(order)

    def probabilities(self, observation, legal):
        allowed = legal[0]
        wanted = self.order[allowed[:, self.order].argmax(axis=1)]
        return np.eye(allowed.shape[1])[wanted]


def sample(probabilities: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Int64 `[N]` columns of `probabilities` `[N, n]`, each drawn with its chance; a column of 0 is never drawn."""
    cumulative = probabilities.cumsum(axis=1)
    # scaled by the last sum, so that rounding below one cannot select past the last option
    threshold = generator.random((len(probabilities), 1)) * cumulative[:, -1:]
    return (cumulative <= threshold).sum(axis=1)
