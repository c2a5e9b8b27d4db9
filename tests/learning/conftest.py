"""Tiny envs whose every number a test can foresee."""

import numpy as np
import pytest

from workbench.envs.core import ActionSpec, EnvSpec, Field, Head
from workbench.envs.vectorised import Played, VectorisedEnv


class CountingEnv(VectorisedEnv):
    """Game b lasts `lengths[b]` steps; both seats see the step's number; seat 0 earns 1 a step and wins.

    Args:
        lengths: steps of each game of the batch.
        cut: games end by the time limit, not by the rules.
        turns: the seats act in turns, seat 0 first.
    """

    def __init__(self, lengths, *, cut=False, turns=False):
        spec = EnvSpec("counting", 1, {"step": Field((1,))}, ActionSpec((Head("move", ("a", "b")),)))
        super().__init__(spec, len(lengths), {"clock": np.zeros(len(lengths), np.int64)})
        self.lengths, self.cut, self.turns = np.array(lengths), cut, turns

    def _begin(self, rows, seeds):
        self._game["clock"][rows] = 0

    def _play(self, actions):
        self._game["clock"] += 1
        over = self._game["clock"] >= self.lengths
        reward = np.zeros((self.batch_size, 2))
        reward[:, 0] = 1
        never = np.zeros_like(over)
        return Played(
            reward, never if self.cut else over, over if self.cut else never, np.ones(self.batch_size, np.int8)
        )

    def _observe(self, rows):
        clock = self._game["clock"][rows]
        self._observation["step"][rows] = clock[:, None, None]
        self._acting[rows] = True if not self.turns else np.arange(2) == (clock % 2)[:, None]
        self._legal[0][rows] = self._acting[rows][:, :, None]


@pytest.fixture
def counting_env():
    """`counting_env(lengths, cut=False, turns=False)`: a `CountingEnv`."""
    return CountingEnv
