"""Matrix games: both seats choose at once, payoffs stand in a table. One-shot or repeated."""

from __future__ import annotations

import numpy as np

from workbench.envs.core import ActionSpec, EnvSpec, Field, Head
from workbench.envs.mixing import FixedMixture
from workbench.envs.players import register_scripted
from workbench.envs.vectorised import Played, VectorisedEnv

RPS_MOVES = ("rock", "paper", "scissors")
RPS_PAYOFFS = {
    "plain": ((0, -1, 1), (1, 0, -1), (-1, 1, 0)),
    # winning with rock pays three; the only Nash equilibrium is (3/7, 3/7, 1/7)
    "biased": ((0, -1, 3), (1, 0, -3), (-3, 3, 0)),
}


class MatrixEnv(VectorisedEnv):
    """A batch of two-player matrix games.

    >>> env = MatrixEnv(64, payoff=[[3, 0], [5, 1]], rounds=10)  # zero-sum, ten rounds a game

    Args:
        batch_size: games at once.
        payoff: `[n, m]`, what seat 0 gains and seat 1 loses when seat 0 plays the row and seat 1 the column; or
            `[2, n, m]` (a pair of matrices), what each seat gains.
        rounds: how often the matrix is played before the game ends.
        options: names of the actions, max(n, m) of them; by default their numbers.
        name: the spec's name.

    Each seat sees which seat it is, the part of the rounds that is played, and both last actions (its own first).
    Reward is the payoff of the round. The outcome is the sign of the difference of the seats' total payoffs.
    Where n and m differ, the missing options of the smaller side are not legal.

    Raises:
        ValueError: payoff is not a finite matrix or pair of them, or rounds is below 1.
    """

    def __init__(self, batch_size=64, *, payoff=((1, -1), (-1, 1)), rounds=1, options=(), name="matrix"):
        payoff = np.asarray(payoff, np.float64)
        if payoff.ndim == 2:
            payoff = np.stack([payoff, -payoff])
        if payoff.ndim != 3 or payoff.shape[0] != 2 or 0 in payoff.shape or not np.isfinite(payoff).all():
            raise ValueError(f"{name}: payoff has shape {payoff.shape}, expected finite numbers [n, m] or [2, n, m]")
        if rounds < 1:
            raise ValueError(f"{name}: rounds is {rounds}, expected at least 1")
        size = max(payoff.shape[1:])
        options = tuple(options) or tuple(str(index) for index in range(size))
        if len(options) != size:
            raise ValueError(f"{name}: {len(options)} names of options given, expected {size}")
        self.payoff = payoff
        self.rounds = rounds
        spec = EnvSpec(
            name=name,
            version=1,
            observation={
                "seat": Field((2,), names=("row", "column")),
                "progress": Field((1,), names=("rounds played",)),
                "own_last": Field((size,), names=options),
                "other_last": Field((size,), names=options),
            },
            action=ActionSpec((Head("move", options),)),
            stakes=True,
        )
        super().__init__(
            spec,
            batch_size,
            {
                "played": np.zeros(batch_size, np.int64),
                "last": np.full((batch_size, 2), -1, np.int64),
                "total": np.zeros((batch_size, 2), np.float64),
            },
        )
        self._one_hot = np.concatenate([np.eye(size, dtype=np.float32), np.zeros((1, size), np.float32)])
        self._acting[:] = True
        self._observation["seat"][:] = np.eye(2, dtype=np.float32)
        for seat, count in enumerate(payoff.shape[1:]):
            self._legal[0][:, seat, :count] = True

    def _begin(self, rows, seeds):
        self._game["played"][rows] = 0
        self._game["last"][rows] = -1
        self._game["total"][rows] = 0.0

    def _play(self, actions):
        moves = actions[:, :, 0]
        reward = self.payoff[:, moves[:, 0], moves[:, 1]].T
        self._game["last"][:] = moves
        self._game["played"] += 1
        total = self._game["total"]
        total += reward
        over = self._game["played"] >= self.rounds
        return Played(reward, over, np.zeros_like(over), np.sign(total[:, 0] - total[:, 1]))

    def _observe(self, rows):
        last = self._one_hot[self._game["last"][rows]]
        self._observation["own_last"][rows] = last
        self._observation["other_last"][rows] = last[:, ::-1]
        self._observation["progress"][rows] = (self._game["played"][rows] / self.rounds)[:, None, None]


def rock_paper_scissors(batch_size: int = 64, *, variant: str = "plain", rounds: int = 1) -> MatrixEnv:
    """Rock-paper-scissors; `variant` is a key of `RPS_PAYOFFS`: `"plain"` or `"biased"`."""
    if variant not in RPS_PAYOFFS:
        raise ValueError(f"rps: unknown variant {variant!r}, expected one of {sorted(RPS_PAYOFFS)}")
    return MatrixEnv(batch_size, payoff=RPS_PAYOFFS[variant], rounds=rounds, options=RPS_MOVES, name="rps")


for _index, _move in enumerate(RPS_MOVES):
    register_scripted(f"rps/{_move}", lambda name, pure=_index: FixedMixture(name, np.eye(3)[pure]))
register_scripted("rps/biased-nash", lambda name: FixedMixture(name, (3 / 7, 3 / 7, 1 / 7)))
