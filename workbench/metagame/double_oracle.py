"""Double oracle on small games, exactly: PSRO with best responses and payoffs that are computed, not learned and sampled.

Source: McMahan, Gordon and Blum 2003, ICML; as PSRO: Lanctot et al. 2017, arXiv 1711.00832.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from workbench.metagame.exploitability import best_response, nash_conv
from workbench.metagame.sequences import SequenceForm
from workbench.metagame.solvers import Profile, solve

PayoffOf = Callable[[np.ndarray, np.ndarray], np.ndarray]


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


def double_oracle(
    game: SequenceForm, *, method: str = "nash", payoffs: PayoffOf | None = None, **options
) -> Iterator[Iteration]:
    """Best responses to the equilibrium of the strategies so far, one for each player an iteration, without end.

    Args:
        game: a small game.
        method, options: the meta-solver, for `solve`.
        payoffs: gives what player 0 earns `[R, C]` with plans `[R, S]` against `[C, S]`; exact by default. A sampled one
            makes it PSRO with exact oracles. It is asked for new pairs only.

    Yields:
        iteration 0, where both players have only the uniform strategy, then one after each pair of best responses.
    """
    ask = payoffs or game.payoffs
    sides = [game.plan(game.tree.uniform())[None]] * 2
    matrix = ask(*sides)
    while True:
        profile = solve(matrix, method, **options)
        behaviours = [game.behaviour(weights @ plans) for weights, plans in zip(profile, sides, strict=True)]
        table = game.joint(*behaviours)
        yield Iteration(profile, matrix, table, nash_conv(game.tree, table))
        replies = [game.plan(best_response(game.tree, table, player)[0])[None] for player in (0, 1)]
        new_row = ask(replies[0], sides[1])
        sides[0] = np.concatenate([sides[0], replies[0]])
        matrix = np.concatenate([matrix, new_row])
        matrix = np.concatenate([matrix, ask(sides[0], replies[1])], axis=1)
        sides[1] = np.concatenate([sides[1], replies[1]])
