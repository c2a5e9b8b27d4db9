"""Double oracle on small games, exactly: PSRO with best responses and payoffs that are computed, not learned and sampled.

Source: McMahan, Gordon and Blum 2003, ICML; as PSRO: Lanctot et al. 2017, arXiv 1711.00832.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from workbench.metagame.exploitability import PLAYERS, best_response, nash_conv
from workbench.metagame.sequences import SequenceForm
from workbench.metagame.solvers import Profile, solve


class Payoffs(Protocol):
    """What strategies earn against each other, as far as it is known.

    Args:
        matrix: float64 `[R, C]`, what player 0 earns.
    """

    matrix: np.ndarray

    def play(self, rows: np.ndarray, columns: np.ndarray, row: int, column: int) -> None:
        """Plans `[R, S]` and `[C, S]` meet: that of `row` with every column, that of `column` with every row.

        Either is the last one, which is new, or one that came up again.
        """

    def solve(self) -> Profile:
        """The mixtures of the meta-solver."""


class Exact:
    """Payoffs that are computed; the mixtures are those of `solve(matrix, method, **options)`."""

    def __init__(self, game: SequenceForm, method: str = "nash", **options):
        self.game, self.method, self.options = game, method, options
        self.matrix = np.zeros((0, 0))

    def play(self, rows: np.ndarray, columns: np.ndarray, row: int, column: int) -> None:
        self.matrix = self.game.payoffs(rows, columns)

    def solve(self) -> Profile:
        return solve(self.matrix, self.method, **self.options)


class Iteration(NamedTuple):
    """One iteration of `double_oracle`.

    Args:
        profile: the mixtures over the strategies so far.
        payoffs: float64 `[R, C]`, what player 0 earns with each, as the solver saw it.
        table: float64 `[I, A]`, how the mixtures behave in the whole game.
        nash_conv: what best responses gain against them in the whole game, exactly.
    """

    profile: Profile
    payoffs: np.ndarray
    table: np.ndarray
    nash_conv: float


def double_oracle(game: SequenceForm, payoffs: Payoffs | None = None) -> Iterator[Iteration]:
    """Best responses to the equilibrium of the strategies so far, one for each player an iteration, without end.

    A response that is there already joins nobody: its pairs are played again.

    Args:
        game: a small game.
        payoffs: exact ones by default. Sampled ones make it PSRO with exact oracles.

    Yields:
        iteration 0, where both players have only the uniform strategy, then one after each pair of best responses.
    """
    payoffs = payoffs or Exact(game)
    sides = [game.plan(game.tree.uniform())[None]] * PLAYERS
    payoffs.play(*sides, 0, 0)
    while True:
        profile = payoffs.solve()
        behaviours = [game.behaviour(weights @ plans) for weights, plans in zip(profile, sides, strict=True)]
        table = game.joint(*behaviours)
        yield Iteration(profile, payoffs.matrix, table, nash_conv(game.tree, table))
        places = []
        for player in range(PLAYERS):
            reply = game.plan(best_response(game.tree, table, player)[0])
            own = np.append(np.repeat(game.tree.player == player, game.options), True)
            known = np.flatnonzero((sides[player][:, own] == reply[own]).all(axis=1))
            if not len(known):
                sides[player] = np.concatenate([sides[player], reply[None]])
            places.append(int(known[0]) if len(known) else len(sides[player]) - 1)
        payoffs.play(*sides, *places)
