"""Bradley–Terry ratings: all games at once, by maximum likelihood, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.arena.matches import Matches, PairCounts

ELO_PER_NAT = 400.0 / np.log(10.0)
_TOLERANCE = 1e-6  # nats; Newton squares the error, so the last step leaves far less
_STEPS = 200


@dataclass(frozen=True)
class BradleyTerry:
    """Bradley–Terry ratings on the Elo scale.

    Args:
        table: indexed by policy, best first: `rating`, and `low`, `high` of its 95% interval (nan without bootstrap).
        samples: float64 `[bootstraps, players]`, the ratings of resampled matches, columns as `table.index`.
        prior: virtual games each player drew with and is counted against an average player (see `bradley_terry`).
    """

    table: pd.DataFrame
    samples: np.ndarray
    prior: float


def bradley_terry(
    matches: Matches,
    *,
    prior: float = 0.0,
    anchor: str | None = None,
    at: float = 0.0,
    bootstraps: int = 0,
    seed: int = 0,
) -> BradleyTerry:
    """Ratings under which the games are most likely: P(i beats j) = 1 / (1 + 10^((r_j - r_i) / 400)), a draw half of each.

    Args:
        matches: the games; a policy's games with itself are left out.
        prior: drawn games with a player of average strength that everybody is given, so that whoever never lost keeps a
            finite rating. 0 is plain maximum likelihood; 1 is a mild choice.
        anchor: the policy that stands at `at`; None puts the mean of all there.
        at: rating of the anchor.
        bootstraps: how many resampled tournaments give the intervals (percentiles 2.5 and 97.5). Games are drawn anew
            within each pair, so that the number of games a pair played stays; the outcome frequencies drawn from are
            smoothed by half a win for either side (Jeffreys), lest ten wins of ten seem certain; and at least one
            prior draw keeps every sample finite.
        seed: of the bootstrap.

    Raises:
        ValueError: with `prior=0`, where no finite ratings are most likely: somebody never lost, or never won, against
            all the others, or groups never met.
        KeyError: the anchor did not play.

    Source: Bradley, Terry 1952, Biometrika 39; existence by Ford 1957, Am. Math. Monthly 64.
    """
    counts = matches.counts
    if anchor is not None and anchor not in counts.policies:
        raise KeyError(f"anchor {anchor!r} did not play; who did: {', '.join(counts.policies)}")
    points = counts.wins + counts.draws / 2
    if prior == 0:
        _require_finite(counts.policies, points)
    ratings = _anchored(fit(points[None], prior), counts.policies, anchor, at)[0]
    samples = np.zeros((0, len(ratings)))
    low = high = np.full(len(ratings), np.nan)
    if bootstraps and len(ratings):
        resampled = _resample(counts, bootstraps, np.random.default_rng(seed))
        samples = _anchored(fit(resampled, max(prior, 1.0)), counts.policies, anchor, at)
        low, high = np.percentile(samples, [2.5, 97.5], axis=0)
        # the estimate lies in its own interval, also where the samples' extra prior draw has pulled them inwards
        low, high = np.minimum(low, ratings), np.maximum(high, ratings)
    order = np.argsort(-ratings, kind="stable")
    index = pd.Index([counts.policies[i] for i in order], name="policy")
    table = pd.DataFrame({"rating": ratings[order], "low": low[order], "high": high[order]}, index=index)
    return BradleyTerry(table, samples[:, order], float(prior))


def fit(points: np.ndarray, prior: float = 0.0) -> np.ndarray:
    """Maximum-likelihood strengths by Newton's method, for many tables at once.

    Args:
        points: float `[N, P, P]`; `points[n, i, j]` is what i scored against j, draws as halves, diagonal 0.
        prior: drawn games with an average player (strength 0) added to everybody.

    Returns:
        float64 `[N, P]` in nats (log odds), mean 0.
    """
    points = np.asarray(points, float)
    games = points + points.transpose(0, 2, 1)
    total, players = points.shape[:2]
    strength = np.zeros((total, players))
    if players < 2:
        return strength
    diagonal = np.arange(players)
    reach = np.ones((total, 1))
    active = np.arange(total)
    for _ in range(_STEPS):
        s, p, n = strength[active], points[active], games[active]
        expected = 1 / (1 + np.exp(s[:, None, :] - s[:, :, None]))
        average = 1 / (1 + np.exp(-s))
        gradient = (p - n * expected).sum(axis=2) + prior * (0.5 - average)
        information = n * expected * (1 - expected)
        hessian = -information
        hessian[:, diagonal, diagonal] = information.sum(axis=2) + prior * average * (1 - average)
        # without a prior the likelihood does not change when all strengths shift; a constant fixes the shift at 0
        step = np.linalg.solve(hessian + (prior == 0) / players, gradient[..., None])[..., 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        # far from the maximum the curvature misleads: no step is longer than what has proved to climb
        moved = s + step * np.minimum(1.0, reach[active] / np.maximum(longest, _TOLERANCE))
        small = longest[:, 0] <= _TOLERANCE
        climbs = small | (_log_likelihood(moved, p, prior) >= _log_likelihood(s, p, prior) - 1e-12 * n.sum(axis=(1, 2)))
        strength[active[climbs]] = moved[climbs]
        reach[active] *= np.where(climbs, 2.0, 0.25)[:, None]
        active = active[~small]
        if not len(active):
            break
    else:
        raise RuntimeError(f"{len(active)} of {total} tables found no most likely strengths in {_STEPS} steps")
    return strength - strength.mean(axis=1, keepdims=True)


def _log_likelihood(strength: np.ndarray, points: np.ndarray, prior: float) -> np.ndarray:
    """Log-likelihood `[N]` of strengths `[N, P]`, the prior's drawn games included."""
    difference = strength[:, :, None] - strength[:, None, :]
    games = -(points * np.logaddexp(0, -difference)).sum(axis=(1, 2))
    return games - prior / 2 * (np.logaddexp(0, -strength) + np.logaddexp(0, strength)).sum(axis=1)


def _anchored(nats: np.ndarray, policies: list[str], anchor: str | None, at: float) -> np.ndarray:
    ratings = nats * ELO_PER_NAT
    return ratings + at if anchor is None else ratings - ratings[:, [policies.index(anchor)]] + at


def _resample(counts: PairCounts, samples: int, generator: np.random.Generator) -> np.ndarray:
    """Points float64 `[samples, P, P]` of tournaments with each pair's games drawn anew."""
    players = len(counts.policies)
    points = np.zeros((samples, players, players))
    games = counts.games
    for i, j in zip(*np.nonzero(np.triu(games)), strict=True):
        seen = np.array([counts.wins[i, j] + 0.5, counts.draws[i, j], counts.wins[j, i] + 0.5])
        drawn = generator.multinomial(games[i, j], seen / seen.sum(), size=samples)
        points[:, i, j] = drawn[:, 0] + drawn[:, 1] / 2
        points[:, j, i] = drawn[:, 2] + drawn[:, 1] / 2
    return points


def _require_finite(policies: list[str], points: np.ndarray) -> None:
    """Finite strengths exist where, following "scored against", everybody reaches everybody."""
    if len(policies) < 2:
        return
    from scipy.sparse import csr_matrix  # 0.35 s that only those wait who rate
    from scipy.sparse.csgraph import connected_components

    groups, member = connected_components(csr_matrix(points > 0), directed=True, connection="strong")
    if groups == 1:
        return
    unbeaten = [g for g in range(groups) if not points[np.ix_(member != g, member == g)].any()]
    who = "; ".join(", ".join(p for p, g in zip(policies, member, strict=True) if g == group) for group in unbeaten)
    raise ValueError(
        f"no finite Bradley–Terry ratings: nothing was scored from outside against {who}; "
        "play more games, or give everybody a virtual draw with prior=1"
    )
