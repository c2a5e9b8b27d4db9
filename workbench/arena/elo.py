"""Elo ratings: a running estimate, updated game by game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.arena.matches import Matches

Schedule = Callable[[int], float]


def expected_score(rating, opponent):
    """What Elo expects `rating` to score against `opponent`, in (0, 1); arrays broadcast.

    Source: Elo 1978, The Rating of Chessplayers, with the logistic curve: 400 points are odds of 10 to 1.
    """
    return 1.0 / (1.0 + 10.0 ** ((np.asarray(opponent, float) - rating) / 400.0))


def settling_k(games: int) -> float:
    """K = 40 in a player's first 30 games, 32 up to his 100th, then 24: newcomers move fast, veterans little.

    Source: ExPhil's self-play matchmaker.
    """
    return 40.0 if games < 30 else 32.0 if games < 100 else 24.0


@dataclass(frozen=True)
class Elo:
    """Elo ratings of some matches.

    Args:
        ratings: rating by policy, best first.
        progression: one row a game in the order rated: battle_num, player, opponent, result (WIN, LOSS, DRAW, as
            `player` saw it), player_rating_before, player_rating_after, opponent_rating_before, opponent_rating_after.
        k: the K factor, or None where a schedule decided.
        initial: what everybody started from.
        shuffles: 0 where `ratings` stand at the end of `progression`; else over how many other orders they are means.
    """

    ratings: pd.Series
    progression: pd.DataFrame
    k: float | None
    initial: float
    shuffles: int = 0


def elo(
    matches: Matches,
    *,
    k: float | Schedule = 32.0,
    initial: float = 1500.0,
    order: str = "interleaved",
    shuffles: int = 0,
    seed: int = 0,
) -> Elo:
    """Rate everybody by Elo, each game once; games of a policy with itself say nothing and are left out.

    Args:
        matches: the games.
        k: points at stake in a game, or a function of the games a player has behind him (`settling_k`).
        initial: everybody's first rating.
        order: in which games are rated. `"interleaved"`: in rounds, the first game of every pair, then the second …,
            each round shuffled; `"shuffled"`: at random; `"table"`: as the rows stand; `"time"`: by when they began.
        shuffles: 0, or the number of random orders over whose final ratings to average, so that no order is preferred;
            the progression remains that of `order`.
        seed: of all shuffling.

    Raises:
        ValueError: unknown order.
    """
    table = _ordered(matches, order, seed)
    policies = matches.policies
    index = {policy: i for i, policy in enumerate(policies)}
    first = table["policy_0"].map(index).to_numpy(np.int64)
    second = table["policy_1"].map(index).to_numpy(np.int64)
    score = (1 + table["outcome"].to_numpy(float)) / 2
    schedule = k if callable(k) else (lambda games: k)

    before, after = _rate(first, second, score, len(policies), schedule, initial)
    final = np.full(len(policies), float(initial))
    for row in range(len(table)):
        final[first[row]], final[second[row]] = after[row]
    if shuffles:
        final = _shuffled(first, second, score, len(policies), schedule, initial, shuffles, seed).mean(axis=0)
    progression = pd.DataFrame(
        {
            "battle_num": np.arange(len(table)),
            "player": table["policy_0"].to_numpy(),
            "opponent": table["policy_1"].to_numpy(),
            "result": np.array(["LOSS", "DRAW", "WIN"], object)[(2 * score).astype(int)],
            "player_rating_before": before[:, 0],
            "player_rating_after": after[:, 0],
            "opponent_rating_before": before[:, 1],
            "opponent_rating_after": after[:, 1],
        }
    )
    ratings = pd.Series(final, index=pd.Index(policies, name="policy"), name="elo").sort_values(
        ascending=False, kind="stable"
    )
    return Elo(ratings, progression, None if callable(k) else float(k), float(initial), shuffles)


def _ordered(matches: Matches, order: str, seed: int) -> pd.DataFrame:
    table = matches.table
    table = table[table["policy_0"] != table["policy_1"]]
    if order == "table":
        return table
    if order == "time":
        return table.sort_values("started", kind="stable")
    if order == "shuffled":
        return table.iloc[np.random.default_rng(seed).permutation(len(table))]
    if order == "interleaved":
        pair = pd.Series([tuple(sorted(both)) for both in zip(table["policy_0"], table["policy_1"], strict=True)])
        turn = pair.groupby(pair, sort=False).cumcount().to_numpy() if len(pair) else np.zeros(0, int)
        return table.iloc[np.lexsort((np.random.default_rng(seed).random(len(pair)), turn))]
    raise ValueError(f"order={order!r}; expected 'interleaved', 'shuffled', 'table' or 'time'")


def _rate(first, second, score, players: int, schedule: Schedule, initial: float) -> tuple[np.ndarray, np.ndarray]:
    """Both players' ratings before and after each game, two float64 `[games, 2]`."""
    ratings = [float(initial)] * players
    played = [0] * players
    before, after = np.zeros((len(score), 2)), np.zeros((len(score), 2))
    for row, (a, b, points) in enumerate(zip(first.tolist(), second.tolist(), score.tolist(), strict=True)):
        surplus = points - 1.0 / (1.0 + 10.0 ** ((ratings[b] - ratings[a]) / 400.0))
        before[row] = ratings[a], ratings[b]
        ratings[a] += schedule(played[a]) * surplus
        ratings[b] -= schedule(played[b]) * surplus
        after[row] = ratings[a], ratings[b]
        played[a] += 1
        played[b] += 1
    return before, after


def _shuffled(first, second, score, players, schedule, initial, shuffles, seed) -> np.ndarray:
    """Final ratings float64 `[shuffles, players]`, each row after another order of the games."""
    generator = np.random.default_rng(seed)
    order = generator.permuted(np.tile(np.arange(len(score)), (shuffles, 1)), axis=1)
    stakes = np.array([schedule(games) for games in range(len(score) + 1)])
    ratings = np.full((shuffles, players), float(initial))
    played = np.zeros((shuffles, players), np.int64)
    rows = np.arange(shuffles)
    for game in order.T:
        a, b = first[game], second[game]
        surplus = score[game] - expected_score(ratings[rows, a], ratings[rows, b])
        ratings[rows, a] += stakes[played[rows, a]] * surplus
        ratings[rows, b] -= stakes[played[rows, b]] * surplus
        played[rows, a] += 1
        played[rows, b] += 1
    return ratings
