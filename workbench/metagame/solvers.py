"""Who should be played how often, given what everybody earns against everybody: solvers of zero-sum matrix games.

All have one signature: `payoffs` float `[N, M]` (what the row player earns, and the column player loses) to a
`Profile` of two distributions. A symmetric game (`payoffs == -payoffs.T`) gets the same distribution twice.

>>> solve(np.array([[0, -1, 3], [1, 0, -3], [-3, 3, 0]]), "nash").row     # biased rock-paper-scissors
array([0.42857143, 0.42857143, 0.14285714])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from workbench.metagame.equilibrium import maximum_entropy_equilibrium

_SYMMETRIC = 1e-12


class Profile(NamedTuple):
    """Both players' mixtures: `row` float64 `[N]`, `column` float64 `[M]`, each summing to 1."""

    row: np.ndarray
    column: np.ndarray


def solve(payoffs: np.ndarray, method: str = "nash", **options) -> Profile:
    """The mixtures that a solver gives.

    Args:
        payoffs: float `[N, M]`, the row player's; the game is zero-sum.
        method: a name of `solver_names()`.
        options: the solver's own.

    Raises:
        ValueError: an unknown method; payoffs that are no matrix, are empty, or hold nan or infinity.
    """
    if method not in _SOLVERS:
        raise ValueError(f"method={method!r}: expected one of {', '.join(solver_names())}")
    payoffs = checked(payoffs)
    row, column = _SOLVERS[method](payoffs, **options)
    return Profile(row, row) if is_symmetric(payoffs) else Profile(row, column)


def solver_names() -> list[str]:
    """Methods that `solve` knows."""
    return list(_SOLVERS)


def checked(payoffs: np.ndarray) -> np.ndarray:
    """`payoffs` as float64.

    Raises:
        ValueError: no matrix, empty, or with entries that are not finite; the first one is named.
    """
    payoffs = np.asarray(payoffs, np.float64)
    if payoffs.ndim != 2 or 0 in payoffs.shape:
        raise ValueError(
            f"payoffs have shape {payoffs.shape}: expected a matrix [N, M] with at least one policy a side"
        )
    if not np.isfinite(payoffs).all():
        row, column = np.argwhere(~np.isfinite(payoffs))[0]
        raise ValueError(
            f"payoffs[{row}, {column}] is {payoffs[row, column]}: expected a number; play that pair, or leave it out"
        )
    return payoffs


def is_symmetric(payoffs: np.ndarray) -> bool:
    """Whether both players have the same policies and the same chances: `payoffs == -payoffs.T`."""
    scale = max(1.0, np.abs(payoffs).max())
    return payoffs.shape[0] == payoffs.shape[1] and bool(np.abs(payoffs + payoffs.T).max() <= _SYMMETRIC * scale)


def gap(payoffs: np.ndarray, profile: Profile) -> float:
    """What both players together could gain by their best pure reply; 0 at a Nash equilibrium of this matrix.

    It says nothing about policies that are not in the matrix (see approximate exploitability).
    """
    return float((payoffs @ profile.column).max() - (profile.row @ payoffs).min())


def nash(payoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Nash equilibrium of maximum entropy: where many exist, the answer depends on no vertex of a programme."""
    row = maximum_entropy_equilibrium(payoffs)
    return row, row if is_symmetric(payoffs) else maximum_entropy_equilibrium(-payoffs.T)


def uniform(payoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Everybody equally often: PSRO with it is fictitious self-play over snapshots."""
    return tuple(np.full(size, 1 / size) for size in payoffs.shape)


def softmax(payoffs: np.ndarray, *, temperature: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """By what each earns on average against everybody, `exp(mean / temperature)`.

    Raises:
        ValueError: the temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature={temperature}: expected above 0")
    return _softmax(payoffs.mean(axis=1) / temperature), _softmax(-payoffs.mean(axis=0) / temperature)


def fictitious_play(payoffs: np.ndarray, *, iterations: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """Average of best replies to the other's average so far, from a uniform start; replies that tie share a round.

    Source: Brown 1951; its averages converge in zero-sum games (Robinson 1951, Annals of Mathematics 54).
    """
    row, column = uniform(payoffs)
    against_column, against_row = payoffs @ column, row @ payoffs  # sums over the rounds so far
    tie = 1e-9 * max(float(np.ptp(payoffs)), 1e-300)
    for played in range(1, iterations + 1):
        best_row = against_column >= against_column.max() - tie * played
        best_column = against_row <= against_row.min() + tie * played
        row = row + best_row / best_row.sum()
        column = column + best_column / best_column.sum()
        against_column += payoffs @ (best_column / best_column.sum())
        against_row += (best_row / best_row.sum()) @ payoffs
    return row / row.sum(), column / column.sum()


def regret_matching(payoffs: np.ndarray, *, iterations: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """Average play of regret matching plus with linear weights, in expectation (no sampling).

    Source: Hart and Mas-Colell 2000, Econometrica 68; Tammelin 2014, arXiv 1407.5042.
    """
    regrets = [np.zeros(size) for size in payoffs.shape]
    sums = [np.zeros(size) for size in payoffs.shape]
    for iteration in range(1, iterations + 1):
        row, column = (_matching(regret) for regret in regrets)
        for side, (values, play) in enumerate(((payoffs @ column, row), (-(row @ payoffs), column))):
            regrets[side] = np.maximum(regrets[side] + values - play @ values, 0.0)
            sums[side] += iteration * play
    return tuple(total / total.sum() for total in sums)


def replicator(
    payoffs: np.ndarray, *, floor: float = 1e-9, step: float = 1.0, iterations: int = 20_000, tolerance: float = 1e-6
) -> tuple[np.ndarray, np.ndarray]:
    """Projected replicator dynamics: nobody's share falls below `floor`; the time average of the path.

    Each step multiplies shares by `exp(step * advantage)`, which keeps the dynamics on the simplex at any step size, and
    evaluates the other side half a step ahead (optimism), so that the path itself closes in instead of circling.

    Args:
        floor: exploration; what a share is raised to, at most 1 / N.
        step: in units of the payoffs' range.
        iterations: at most; fewer where the gap falls below `tolerance` times the range (an interior path never meets 0).

    Source: Lanctot et al. 2017, arXiv 1711.00832, appendix; optimism: Rakhlin and Sridharan 2013, arXiv 1311.1869.
    """
    spread = float(np.ptp(payoffs))
    row, column = uniform(payoffs)
    if spread == 0:
        return row, column
    scaled = payoffs / spread
    gain_row, gain_column = scaled @ column, -(row @ scaled)
    for _ in range(iterations):
        now_row, now_column = scaled @ column, -(row @ scaled)
        if now_row.max() + now_column.max() < tolerance:
            break
        row = _floored(row * np.exp(step * (2 * now_row - gain_row)), floor)
        column = _floored(column * np.exp(step * (2 * now_column - gain_column)), floor)
        gain_row, gain_column = now_row, now_column
    return row, column


def alpha_rank(payoffs: np.ndarray, *, alpha: float = 100.0, population: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """How long evolution stays at each policy: the stationary distribution of mutants taking populations over.

    One population where the game is symmetric, two otherwise, whose marginals are given.

    Args:
        alpha: intensity of selection.
        population: how many individuals each population has.

    Raises:
        ValueError: two populations with more than 4,096 pairs of policies.

    Source: Omidshafiei et al. 2019, arXiv 1903.01373, section 3.
    """
    rows, columns = payoffs.shape
    if is_symmetric(payoffs):
        chances = _fixation(payoffs.T - payoffs, alpha, population) / max(rows - 1, 1)  # [i, j]: j takes over from i
        stationary = _stationary(chances)
        return stationary, stationary
    if rows * columns > 4096:
        raise ValueError(f"alpha_rank of {rows} x {columns} policies: expected at most 4,096 pairs; use another method")
    chances = np.zeros((rows, columns, rows, columns))
    moves = max(rows + columns - 2, 1)
    each = np.arange(columns)
    row_gain = payoffs[None, :, :] - payoffs[:, None, :]  # [i, k, j]: the row player's, from i to k, against j
    chances[:, each, :, each] = np.moveaxis(_fixation(row_gain, alpha, population), 2, 0) / moves
    each = np.arange(rows)
    column_gain = payoffs[:, :, None] - payoffs[:, None, :]  # [i, j, l]: the column player's, from j to l, against i
    chances[each, :, each, :] += _fixation(column_gain, alpha, population) / moves
    stationary = _stationary(chances.reshape(rows * columns, rows * columns)).reshape(rows, columns)
    return stationary.sum(axis=1), stationary.sum(axis=0)


def _fixation(gain: np.ndarray, alpha: float, population: int) -> np.ndarray:
    """Chance that one mutant who earns `gain` more takes a population over."""
    exponent = np.clip(alpha * gain, -700 / population, 700)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        chance = np.expm1(-exponent) / np.expm1(-population * exponent)
    return np.where(np.abs(exponent) < 1e-12, 1 / population, chance)


def _stationary(chances: np.ndarray) -> np.ndarray:
    """Stationary distribution of a Markov chain, from the chances `[S, S]` of leaving for another state.

    By the elimination of Grassmann, Taksar and Heyman 1985, Operations Research 33, which subtracts nothing: chances of
    very different size lose no digits.
    """
    matrix = chances.copy()
    np.fill_diagonal(matrix, 0.0)
    size = len(matrix)
    for last in range(size - 1, 0, -1):
        matrix[:last, last] /= matrix[last, :last].sum()
        matrix[:last, :last] += np.outer(matrix[:last, last], matrix[last, :last])
    found = np.ones(size)
    for state in range(1, size):
        found[state] = found[:state] @ matrix[:state, state]
    return found / found.sum()


def _softmax(values: np.ndarray) -> np.ndarray:
    shares = np.exp(values - values.max())
    return shares / shares.sum()


def _matching(regrets: np.ndarray) -> np.ndarray:
    total = regrets.sum()
    return regrets / total if total > 0 else np.full(len(regrets), 1 / len(regrets))


def _floored(shares: np.ndarray, floor: float) -> np.ndarray:
    """The shares, summing to 1, none below `floor`."""
    size = len(shares)
    floor = min(floor, 1 / size)
    return floor + (1 - size * floor) * shares / shares.sum()


_SOLVERS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "nash": nash,
    "uniform": uniform,
    "replicator": replicator,
    "regret_matching": regret_matching,
    "fictitious_play": fictitious_play,
    "alpha_rank": alpha_rank,
    "softmax": softmax,
}
