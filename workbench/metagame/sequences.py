"""The sequence form of a small game: strategies as realization plans, payoffs as one sparse matrix.

A sequence is an option taken in an infostate, and with it all that its player did to get there. A plan says how likely a
player's own decisions make each of his sequences. Plans mix as strategies that are drawn once a game do, and payoffs
are linear in them.

Source: von Stengel 1996, Games and Economic Behavior 14; Koller, Megiddo and von Stengel 1994, STOC.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from workbench.metagame.exploitability import PLAYERS, GameTree


class Endings(NamedTuple):
    """All ends of a game: int `[Z]` sequences of both players, float64 `[Z]` what player 0 gains, chance's share of each."""

    row: np.ndarray
    column: np.ndarray
    gain: np.ndarray
    chance: float


class SequenceForm:
    """A game tree read by sequences.

    Sequence `infostate * A + option` is that option there; the last one, `I * A`, is a player's having done nothing yet.

    Args:
        tree: the game.

    Attributes:
        parent: int `[I]`, the sequence of the same player that leads to each infostate.
        endings: every way the game can end.
        payoff: sparse float64 `[S, S]`, what player 0 earns where he realizes the row's sequence and player 1 the
            column's, times chance's share.
    """

    def __init__(self, tree: GameTree):
        from scipy.sparse import csr_matrix

        self.tree = tree
        self.infostates, self.options = tree.legal.shape
        self.empty = self.infostates * self.options
        self.parent = np.full(self.infostates, self.empty)
        last = np.full((len(tree.levels[0].player), PLAYERS), self.empty)
        chance = 1 / len(last)
        entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for level in tree.levels:
            nodes = np.arange(len(level.player))
            self.parent[level.infostate] = last[nodes, level.player]
            node, option = np.nonzero(tree.legal[level.infostate])
            taken = last[node]
            taken[np.arange(len(node)), level.player[node]] = level.infostate[node] * self.options + option
            child = level.child[node, option]
            entries.append((*taken[child < 0].T, level.gain[node, option][child < 0]))
            last = np.empty((int((child >= 0).sum()), PLAYERS), np.int64)
            last[child[child >= 0]] = taken[child >= 0]
        row, column, gain = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        self.endings = Endings(row, column, gain, chance)
        self.payoff = csr_matrix((chance * gain, (row, column)), shape=(self.empty + 1, self.empty + 1))
        self._layers = self._by_depth()

    @staticmethod
    @lru_cache(maxsize=8)
    def of(name: str) -> SequenceForm:
        """The sequence form of `"kuhn"` or `"leduc"`, built once a process."""
        return SequenceForm(GameTree.of(name))

    def _by_depth(self) -> list[np.ndarray]:
        """Infostates by how many decisions their player made before."""
        depth = np.zeros(self.infostates, int)
        for infostate in np.flatnonzero(self.parent != self.empty):  # a player's earlier infostates have lower numbers
            depth[infostate] = depth[self.parent[infostate] // self.options] + 1
        return [np.flatnonzero(depth == number) for number in range(depth.max() + 1)]

    def plan(self, table: np.ndarray) -> np.ndarray:
        """Both players' realization plans of a behaviour.

        Args:
            table: float64 `[..., I, A]`.

        Returns:
            Float64 `[..., S]`: each player's own sequences, and 1 for the empty one, which both have.
        """
        plan = np.ones((*table.shape[:-2], self.empty + 1))
        view = plan[..., : self.empty].reshape(table.shape)
        for layer in self._layers:
            view[..., layer, :] = plan[..., self.parent[layer], None] * table[..., layer, :]
        return plan

    def behaviour(self, plan: np.ndarray) -> np.ndarray:
        """The behaviour `[..., I, A]` of plans `[..., S]`; uniform where a plan never gets.

        A mixture's plan is the mean of its members' plans, and its behaviour this one: it makes everything as likely as
        drawing a member once a game does (Kuhn's theorem).
        """
        shares = plan[..., : self.empty].reshape(*plan.shape[:-1], self.infostates, self.options)
        reached = shares.sum(axis=-1, keepdims=True)
        return np.where(reached > 0, shares / np.where(reached > 0, reached, 1.0), self.tree.uniform())

    def payoffs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """What player 0 earns, float64 `[R, C]`, with each row plan against each column plan (float64 `[R, S]`, `[C, S]`)."""
        return rows @ (self.payoff @ columns.T)

    def sampled(self, row: np.ndarray, column: np.ndarray, games: int, generator: np.random.Generator):
        """What player 0 earned in so many games of a row plan `[S]` against a column plan, as values and counts.

        Drawn from the exact distribution of the game's ends, which is what playing the games would give.
        """
        ends = self.endings
        chances = row[ends.row] * column[ends.column] * ends.chance
        counts = generator.multinomial(games, chances / chances.sum())
        values, place = np.unique(ends.gain, return_inverse=True)
        return values, np.bincount(place, weights=counts, minlength=len(values)).astype(np.int64)

    def joint(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """One table `[I, A]` in which player 0 decides as `row` does and player 1 as `column` does."""
        return np.where((self.tree.player == 0)[:, None], row, column)


def mixture_table(tables: Sequence[np.ndarray], weights: Sequence[float], tree: GameTree) -> np.ndarray:
    """How a mixture of behaviours behaves that draws one of them a game, each player for himself: float64 `[I, A]`.

    Args:
        tables: float64 `[I, A]` each.
        weights: how likely each is drawn, summing to 1.
    """
    game = SequenceForm.of(tree.name)
    return game.behaviour(np.asarray(weights, np.float64) @ game.plan(np.stack(tables)))
