"""Kuhn and Leduc poker: the smallest games with hidden cards, where every answer is known exactly.

The rules, the order of actions and what a seat may see are those of OpenSpiel's `kuhn_poker` and `leduc_poker`
(Lanctot et al. 2019, arXiv 1908.09453). Rewards are chips won, the ante being 1.

A deal is forced through the state: `state = env.state(); state["game/deal"][:] = deals; env.restore(state)`.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from workbench.envs.core import ActionSpec, EnvSpec, Field, Head, game_seed
from workbench.envs.mixing import MixingPlayer, Preference
from workbench.envs.players import register_scripted
from workbench.envs.vectorised import Played, VectorisedEnv

_SEAT = Field((2,), names=("moves first", "moves second"))


class KuhnEnv(VectorisedEnv):
    """Kuhn poker: three cards, one each, one bet.

    Both seats ante 1; seat 0 moves first; a bet is 1. A pass after a bet folds; otherwise the higher card wins.
    `state()["game/deal"]` is `[B, 2]`, each seat's card: 0 jack, 1 queen, 2 king.

    Source: Kuhn 1950, "A simplified two-person poker".
    """

    cards = ("jack", "queen", "king")
    deals = np.array(list(permutations(range(3), 2)))
    """`[6, 2]`: every deal, all equally likely."""

    def __init__(self, batch_size: int = 64):
        moves = tuple(f"move {turn} {move}" for turn in range(3) for move in ("pass", "bet"))
        spec = EnvSpec(
            name="kuhn",
            version=1,
            observation={"seat": _SEAT, "private": Field((3,), names=self.cards), "betting": Field((6,), names=moves)},
            action=ActionSpec((Head("move", ("pass", "bet")),)),
            stakes=True,
        )
        game = {
            "deal": np.zeros((batch_size, 2), np.int64),
            "moves": np.full((batch_size, 3), -1, np.int64),
            "count": np.zeros(batch_size, np.int64),
        }
        super().__init__(spec, batch_size, game)
        self._observation["seat"][:] = np.eye(2, dtype=np.float32)

    def infostates(self) -> list[tuple[str, str]]:
        """What each seat knows of each game, in OpenSpiel's words: its card and the moves so far, e.g. `"2pb"`."""
        words = ["".join("pb"[move] for move in moves if move >= 0) for moves in self._game["moves"]]
        return [
            (f"{first}{text}", f"{second}{text}")
            for (first, second), text in zip(self._game["deal"], words, strict=True)
        ]

    def _begin(self, rows, seeds):
        self._game["deal"][rows] = _draw(self.deals, seeds)
        self._game["moves"][rows] = -1
        self._game["count"][rows] = 0

    def _play(self, actions):
        deal, moves, count = self._game["deal"], self._game["moves"], self._game["count"]
        seat = count % 2
        bet = actions[self._all, seat, 0] == 1
        called_upon = (count > 0) & (moves[self._all, count - 1] == 1)
        moves[self._all, count] = bet
        count += 1
        over = called_upon | ((count == 2) & ~bet)
        folded = called_upon & ~bet
        first_wins = np.where(folded, seat == 1, deal[:, 0] > deal[:, 1])
        stake = np.where(called_upon & bet, 2, 1)
        gain = np.where(over, np.where(first_wins, stake, -stake), 0)
        return Played(np.stack([gain, -gain], axis=1), over, np.zeros_like(over), np.sign(gain))

    def _observe(self, rows):
        moves, count = self._game["moves"][rows], self._game["count"][rows]
        self._observation["private"][rows] = np.eye(3, dtype=np.float32)[self._game["deal"][rows]]
        self._observation["betting"][rows] = _TWO_MOVES[moves].reshape(-1, 1, 6)
        acting = (count % 2)[:, None] == np.arange(2)
        self._acting[rows] = acting
        self._legal[0][rows] = acting[:, :, None]


class LeducEnv(VectorisedEnv):
    """Leduc poker: six cards in two suits, one private card each and one public, two rounds of betting.

    Both seats ante 1; seat 0 moves first in both rounds; raises are 2 in the first round and 4 in the second, at
    most two a round. Folding is legal only in the face of a raise. A pair with the public card wins, then the higher
    rank; equal ranks draw. `state()["game/deal"]` is `[B, 3]`: seat 0's card, seat 1's, and the public one, which
    neither seat sees before the second round. Card c has rank c // 2.

    Source: Southey et al. 2005, "Bayes' bluff: opponent modelling in poker".
    """

    cards = ("jack 0", "jack 1", "queen 0", "queen 1", "king 0", "king 1")
    deals = np.array(list(permutations(range(6), 3)))
    """`[120, 3]`: every deal, all equally likely."""

    def __init__(self, batch_size: int = 64):
        moves = tuple(
            f"round {r} move {turn} {move}" for r in (1, 2) for turn in range(4) for move in ("call", "raise")
        )
        spec = EnvSpec(
            name="leduc",
            version=1,
            observation={
                "seat": _SEAT,
                "private": Field((6,), names=self.cards),
                "public": Field((6,), names=self.cards),
                "betting": Field((16,), names=moves),
            },
            action=ActionSpec((Head("move", ("fold", "call", "raise")),)),
            stakes=True,
        )
        game = {
            "deal": np.zeros((batch_size, 3), np.int64),
            "moves": np.full((batch_size, 2, 4), -1, np.int64),
            "round": np.zeros(batch_size, np.int64),
            "count": np.zeros(batch_size, np.int64),
            "raises": np.zeros(batch_size, np.int64),
            "chips": np.ones((batch_size, 2), np.int64),
        }
        super().__init__(spec, batch_size, game)
        self._observation["seat"][:] = np.eye(2, dtype=np.float32)

    def infostates(self) -> list[tuple[str, str]]:
        """What each seat knows of each game, in OpenSpiel's words."""
        game = self._game
        texts = []
        for row in range(self.batch_size):
            chips = game["chips"][row]
            public = f"[Public: {game['deal'][row, 2]}]" if game["round"][row] else ""
            shown = (
                f"[Round {game['round'][row] + 1}][Player: {game['count'][row] % 2}][Pot: {chips.sum()}]"
                f"[Money: {100 - chips[0]} {100 - chips[1]}]{public}"
            )
            for index, moves in enumerate(game["moves"][row], start=1):
                shown += f"[Round{index}: {' '.join(str(move) for move in moves if move >= 0)}]"
            texts.append(tuple(f"[Observer: {s}][Private: {game['deal'][row, s]}]{shown}" for s in (0, 1)))
        return texts

    def _begin(self, rows, seeds):
        self._game["deal"][rows] = _draw(self.deals, seeds)
        self._game["moves"][rows] = -1
        self._game["chips"][rows] = 1
        for name in ("round", "count", "raises"):
            self._game[name][rows] = 0

    def _play(self, actions):
        game, rows = self._game, self._all
        count, betting_round, chips = game["count"], game["round"], game["chips"]
        seat = count % 2
        move = actions[rows, seat, 0]
        fold, call, raised = move == 0, move == 1, move == 2
        stake = chips.max(axis=1)
        chips[rows, seat] = np.where(fold, chips[rows, seat], stake + raised * np.where(betting_round == 0, 2, 4))
        game["moves"][rows[~fold], betting_round[~fold], count[~fold]] = move[~fold]
        game["raises"] += raised
        closed = call & (count > 0)
        over = fold | (closed & (betting_round == 1))
        gain = np.where(over, self._gain(fold, seat), 0)
        next_round = closed & (betting_round == 0)
        count += 1
        count[next_round] = 0
        game["raises"][next_round] = 0
        betting_round[next_round] = 1
        return Played(np.stack([gain, -gain], axis=1), over, np.zeros_like(over), np.sign(gain))

    def _gain(self, fold, seat) -> np.ndarray:
        """Chips `[B]` that seat 0 wins if the game is over now."""
        rank = self._game["deal"] // 2
        strength = rank[:, :2] + 3 * (rank[:, :2] == rank[:, 2:])
        better = np.where(fold, 2 * seat - 1, np.sign(strength[:, 0] - strength[:, 1]))
        return better * self._game["chips"].min(axis=1)

    def _observe(self, rows):
        game, eye = self._game, np.eye(6, dtype=np.float32)
        deal, betting_round, count, chips = (game[name][rows] for name in ("deal", "round", "count", "chips"))
        self._observation["private"][rows] = eye[deal[:, :2]]
        self._observation["public"][rows] = (eye[deal[:, 2]] * (betting_round == 1)[:, None])[:, None]
        self._observation["betting"][rows] = _THREE_MOVES[game["moves"][rows]].reshape(-1, 1, 16)
        acting = (count % 2)[:, None] == np.arange(2)
        self._acting[rows] = acting
        options = np.stack([chips[:, 0] != chips[:, 1], np.ones_like(count, bool), game["raises"][rows] < 2], axis=1)
        self._legal[0][rows] = acting[:, :, None] & options[:, None]


# one-hot rows of moves, the last row (index -1) for a move not yet made
_TWO_MOVES = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
# Leduc's options are fold, call, raise; a fold ends the game and is never part of a history
_THREE_MOVES = np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.float32)


def _draw(deals: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    return deals[(game_seed(0, 0, seeds) % np.uint64(len(deals))).astype(np.int64)]


class KuhnNash(MixingPlayer):
    """One of the equilibria of Kuhn poker; seat 0 earns -1/18 a game against any best reply.

    Args:
        id: the player's name.
        alpha: in [0, 1/3], how often seat 0 bets a jack; with a king it bets 3 alpha, and with a queen it calls a bet
            alpha + 1/3 of the time. Seat 1's part is the same in all equilibria.

    Source: Kuhn 1950, "A simplified two-person poker", Contributions to the Theory of Games 1.
    """

    def __init__(self, id: str = "kuhn/nash", alpha: float = 1 / 3):
        super().__init__(id)
        if not 0 <= alpha <= 1 / 3:
            raise ValueError(f"{id}: alpha is {alpha}, expected a number in [0, 1/3]")
        self.alpha = alpha
        # chance of a bet, by card, at: opening, facing a bet as seat 0, after a pass, facing a bet as seat 1
        self._bet = np.array(
            [[alpha, 0, 3 * alpha], [0, alpha + 1 / 3, 1], [1 / 3, 0, 1], [0, 1 / 3, 1]],
        )

    def probabilities(self, observation, legal):
        second = observation["seat"][:, 1] > 0
        betting = observation["betting"]
        facing = np.where(second, betting[:, 1], betting[:, 3]) > 0
        bet = self._bet[2 * second + facing, observation["private"].argmax(axis=1)]
        return np.stack([1 - bet, bet], axis=1)


register_scripted("kuhn/nash", KuhnNash)
register_scripted("kuhn/bet", lambda name: Preference(name, (1, 0)))
register_scripted("kuhn/pass", lambda name: Preference(name, (0, 1)))
register_scripted("leduc/call", lambda name: Preference(name, (1, 2, 0)))
register_scripted("leduc/raise", lambda name: Preference(name, (2, 1, 0)))
register_scripted("leduc/fold", lambda name: Preference(name, (0, 1, 2)))
