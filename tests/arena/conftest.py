"""Toy games and players whose results are known beforehand."""

import os
import sys

import numpy as np
import pandas as pd
import pytest
from cloudpickle import register_pickle_by_value, unregister_pickle_by_value

from workbench.arena import Matches
from workbench.envs import ActionSpec, EnvSpec, Field, Head, RandomPlayer, ScriptedPlayer
from workbench.envs.players import Decision
from workbench.envs.vectorised import Played, VectorisedEnv


class CoinEnv(VectorisedEnv):
    """The seed's last bit decides: seat 0 wins after 1 step, or seat 1 wins after `slow` steps. Actions are ignored."""

    def __init__(self, batch_size, slow=10):
        self.slow = slow
        spec = EnvSpec("coin", 1, {"step": Field((1,))}, ActionSpec((Head("move", ("a", "b")),)))
        super().__init__(spec, batch_size, {name: np.zeros(batch_size, np.int64) for name in ("left", "winner", "at")})

    def _begin(self, rows, seeds):
        quick = (seeds & np.uint64(1)).astype(bool)
        self._game["winner"][rows] = np.where(quick, 1, -1)
        self._game["left"][rows] = np.where(quick, 1, self.slow)
        self._game["at"][rows] = 0

    def _play(self, actions):
        self._game["left"] -= 1
        self._game["at"] += 1
        over = self._game["left"] == 0
        return Played(np.zeros((self.batch_size, 2)), over, np.zeros_like(over), self._game["winner"])

    def _observe(self, rows):
        self._observation["step"][rows] = self._game["at"][rows, None, None]
        self._acting[rows] = True
        self._legal[0][rows] = True


class Constant(ScriptedPlayer):
    """Always takes option 0."""

    def choose(self, observation, legal, state, generator):
        return np.zeros((len(legal[0]), len(legal)), np.int64)


class Counter:
    """Remembers how often it moved in the game, and complains when that is not the step it is shown."""

    def __init__(self, id):
        self.id = id
        self.calls = 0

    def initial_state(self, batch):
        return np.zeros((batch, 1), np.float32)

    def act(self, observation, legal, state, temperature=1.0, generator=None):
        np.testing.assert_array_equal(state, observation["step"])
        self.calls += 1
        unknown = np.full(len(state), np.nan, np.float32)
        return Decision(np.zeros((len(state), 1), np.int64), unknown, unknown, state + 1)


class KillerOnce(RandomPlayer):
    """Ends the process that it first plays in, unless that is the one that made it."""

    def __init__(self, mark):
        super().__init__("x")
        self.mark, self.home = mark, os.getpid()

    def act(self, *arguments, **options):
        if os.getpid() != self.home and not self.mark.exists():
            self.mark.touch()
            os._exit(3)
        return super().act(*arguments, **options)


def results(*rows, lengths=None) -> Matches:
    """Matches from (policy_0, policy_1, outcome) rows, times one minute apart."""
    count = len(rows)
    first, second, outcome = zip(*rows, strict=True) if rows else ((), (), ())
    return Matches(
        pd.DataFrame(
            {
                "match_id": [f"m{i}" for i in range(count)],
                "seed": np.arange(count),
                "env": ["toy"] * count,
                "policy_0": list(first),
                "policy_1": list(second),
                "outcome": list(outcome),
                "length": lengths if lengths is not None else [10] * count,
                "end_reason": ["rules"] * count,
                "started": pd.date_range("2026-01-01", periods=count, freq="min", tz="UTC"),
                "seconds": np.ones(count),
            }
        )
    )


def from_wins(wins, names, draws=None) -> Matches:
    """Matches in which names[i] beat names[j] wins[i][j] times and drew draws[i][j] times (i < j)."""
    rows = []
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            rows += [(a, b, 1)] * wins[i][j]
            if draws is not None and i < j:
                rows += [(a, b, 0)] * draws[i][j]
    return results(*rows)


@pytest.fixture
def toys():
    """CoinEnv, Constant and Counter by attribute."""

    class Toys:
        pass

    Toys.CoinEnv, Toys.Constant, Toys.Counter = CoinEnv, Constant, Counter
    return Toys


@pytest.fixture
def killer_once():
    """`KillerOnce`, sent to workers whole, since they cannot import this file."""
    module = sys.modules[KillerOnce.__module__]
    register_pickle_by_value(module)
    yield KillerOnce
    unregister_pickle_by_value(module)


@pytest.fixture(name="results", scope="session")
def results_fixture():
    return results


@pytest.fixture(name="from_wins", scope="session")
def from_wins_fixture():
    return from_wins
