"""What an empirical game says: its equilibrium and how sure that is, its structure, and where to play next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.metagame.payoffs import EmpiricalGame
from workbench.metagame.solvers import Profile, gap, solve


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """The solution of an empirical game, with what the number of games leaves open.

    Args:
        game: the game.
        profile: the mixtures; equal where the game is symmetric.
        gap: what best replies within the game gain against them; 0 for an exact Nash equilibrium. It says nothing about
            policies that are not in the game.
        value: what the row mixture earns; 0 in a symmetric game.
        expected: float64 `[R]`, what each row policy earns against the column mixture.
        samples: float64 `[B, R]`, the row mixtures of resampled games.
        regrets: float64 `[B, R]`, what each row policy would gain over the row mixture of `profile` in the resampled games.
    """

    game: EmpiricalGame
    profile: Profile
    gap: float
    value: float
    expected: np.ndarray
    samples: np.ndarray
    regrets: np.ndarray

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds `[R]` of each row policy's share at 95%, over the resampled games; nan without any."""
        if not len(self.samples):
            return tuple(np.full((2, len(self.game.rows)), np.nan))
        return tuple(np.quantile(self.samples, (0.025, 0.975), axis=0))

    @property
    def support(self) -> float:
        """The exponential of the mixture's entropy: how many policies share it, were they equal."""
        shares = self.profile.row[self.profile.row > 0]
        return float(np.exp(-(shares * np.log(shares)).sum()))


def equilibrium(
    game: EmpiricalGame,
    *,
    method: str = "nash",
    bootstraps: int = 200,
    seed: int = 0,
    averaged: bool = False,
    **options,
) -> Equilibrium:
    """Solve a game, and again with payoffs as they may as well have been.

    Args:
        game: every pair must have met.
        method, options: for `solve`.
        bootstraps: how many resampled games are solved.
        seed: of the resampling.
        averaged: the profile is the mean of theirs instead of the solution of the mean payoffs. An opponent knows by
            play what the sample leaves open; whom chance alone put ahead then does not get everything. Its gap within
            the mean payoffs is above 0.

    Raises:
        MissingPairs: some pairs never met.
        ValueError: an average over no resampled games.
    """
    if averaged and bootstraps < 1:
        raise ValueError(f"bootstraps={bootstraps}: expected at least 1 resampled game to average over")
    payoffs = game.payoffs()
    drawn = game.resampled(bootstraps, np.random.default_rng(seed))
    solved = [solve(one, method, **options) for one in drawn]
    profile = mean_profile(solved) if averaged else solve(payoffs, method, **options)
    samples = np.array([one.row for one in solved]).reshape(bootstraps, len(game.rows))
    earned = drawn @ profile.column
    regrets = earned - (earned @ profile.row)[:, None] if bootstraps else earned.reshape(0, len(game.rows))
    return Equilibrium(
        game,
        profile,
        gap(payoffs, profile),
        float(profile.row @ payoffs @ profile.column),
        payoffs @ profile.column,
        samples,
        regrets,
    )


def mean_profile(profiles: Sequence[Profile]) -> Profile:
    """Each side's mixtures in equal parts."""
    return Profile(np.mean([one.row for one in profiles], axis=0), np.mean([one.column for one in profiles], axis=0))


def next_games(found: Equilibrium, budget: int) -> np.ndarray:
    """How to spread `budget` games over the pairs of a game so that its equilibrium becomes surer: int `[R, C]`.

    A pair counts as far as it decides who is in the mixture: how often, over the resampled games, one of the two is
    played, and the other is played or comes within reach of it; times how unsure its payoff is after the games it has
    (Neyman's allocation, one game at a time in effect). A symmetric game's pairs stand above the diagonal.

    Raises:
        ValueError: no resampled games to tell by.
    """
    game, samples = found.game, found.samples
    if not len(samples):
        raise ValueError("where to play next follows from resampled games: expected an equilibrium with bootstraps > 0")
    if not game.symmetric:
        raise ValueError("expected a symmetric game")
    played = samples.mean(axis=0)
    within_reach = (found.regrets > -1e-9).mean(axis=0)
    contends = np.maximum(played, within_reach)
    weight = np.maximum(np.outer(played, contends), np.outer(contends, played))
    weight = np.triu(np.maximum(weight, 1e-6), 1)
    games = game.games.astype(np.float64)
    mean = game.counts @ game.values / np.maximum(games, 1)
    spread = (game.counts @ game.values**2 + game.values[-1] ** 2) / (games + 1) - (mean * games / (games + 1)) ** 2
    pull = weight * np.sqrt(np.maximum(spread, 0))
    if budget <= 0 or not pull.any():
        return np.zeros(game.games.shape, np.int64)
    return _water_filling(pull, games, budget)


def _water_filling(pull: np.ndarray, games: np.ndarray, budget: int) -> np.ndarray:
    """Games so that what pairs have in all stands in proportion to their pull, none taken away."""
    low, high = 0.0, (games.sum() + budget) / pull[pull > 0].min()
    for _ in range(200):
        level = (low + high) / 2
        if np.maximum(level * pull - games, 0)[pull > 0].sum() > budget:
            high = level
        else:
            low = level
    exact = np.where(pull > 0, np.maximum(low * pull - games, 0), 0)
    whole = np.floor(exact).astype(np.int64)
    short = budget - int(whole.sum())
    for index in np.argsort(-(exact - whole), axis=None, kind="stable")[:short]:
        whole.flat[index] += 1
    return whole


@dataclass(frozen=True, eq=False)
class Structure:
    """How much of a symmetric game is a ranking, and how much goes in circles.

    Args:
        ratings: float64 `[N]`, each policy's mean payoff: the ranking that explains most.
        transitive: share of the payoffs' squares that the ranking explains, 0 to 1.
        cyclic: the rest: 1 - transitive; both are 0 where all payoffs are.
        plane: float64 `[N, 2]`, policies in the plane in which most of the circling happens: who is ahead,
            counter-clockwise, beats who is behind, by about the parallelogram the two span with the origin
            (`plane[j] x plane[i]`), so circles are seen as circles.
    """

    ratings: np.ndarray
    transitive: float
    cyclic: float
    plane: np.ndarray


def structure(payoffs: np.ndarray) -> Structure:
    """Split a skew-symmetric matrix into a ranking and circles.

    The ranking is the gradient part of the Hodge decomposition, `ratings[i] - ratings[j]`; the plane belongs to the
    largest pair of imaginary eigenvalues of what remains (its first Schur block).

    Source: Balduzzi et al. 2018, "Re-evaluating evaluation", arXiv 1806.02643; 2019, "Open-ended learning in symmetric
    zero-sum games", arXiv 1901.08106.

    Raises:
        ValueError: not skew-symmetric.
    """
    payoffs = np.asarray(payoffs, np.float64)
    if payoffs.ndim != 2 or payoffs.shape[0] != payoffs.shape[1] or np.abs(payoffs + payoffs.T).max() > 1e-9:
        raise ValueError("expected the payoffs of a symmetric game: payoffs == -payoffs.T")
    ratings = payoffs.mean(axis=1)
    circles = payoffs - (ratings[:, None] - ratings[None, :])
    total = float((payoffs**2).sum())
    cyclic = float((circles**2).sum()) / total if total else 0.0
    left, sizes, _ = np.linalg.svd(circles)
    plane = left[:, :2] * np.sqrt(sizes[:2]) if len(payoffs) > 1 else np.zeros((len(payoffs), 2))
    if len(payoffs) > 1:  # of a skew-symmetric matrix, equal singular values pair up: the second follows from the first
        first = left[:, 0]
        second = circles @ first
        length = np.linalg.norm(second)
        plane = np.stack([first, second / length if length > 1e-12 else np.zeros_like(first)], axis=1) * np.sqrt(
            sizes[0]
        )
    return Structure(ratings, 1 - cyclic if total else 0.0, cyclic, plane)
