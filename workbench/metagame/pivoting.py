"""Zero-sum matrix games by the simplex method on a condensed tableau: milliseconds where a general solver takes tens.

Resampling a game's payoffs a thousand times solves a thousand small programmes, and a general solver spends most of its
time on setting them up. The answer is checked by its gap; whoever gets none asks a general solver.

Source: Dantzig 1951; Chvatal 1983, "Linear Programming", chapter 15.
"""

from __future__ import annotations

import numba
import numpy as np

_ENTERS, _PIVOT = 1e-12, 1e-11  # below these a price or a pivot counts as 0
_GAP = 1e-10  # of the payoffs' range: what an answer may leave to gain
_TURNS = 20  # pivots for each policy, after which the tableau is taken to go in circles


def optimal_mixtures(payoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """An optimal mixture of each side.

    The column player's programme is `max sum y, payoffs @ y <= 1, y >= 0` with payoffs moved above 0; its prices are the
    row player's mixture.

    Args:
        payoffs: float64 `[N, M]`, what the row player earns, between 0 and 1.

    Returns:
        Float64 `[N]`, `[M]`, each summing to 1; None where rounding or degeneracy left more than 1e-10 to gain.
    """
    rows, columns = payoffs.shape
    tableau = np.zeros((rows + 1, columns + 1))
    tableau[:rows, :columns] = payoffs + 1.0
    tableau[:rows, columns] = 1.0
    tableau[rows, :columns] = -1.0
    basic, free = np.arange(columns, columns + rows), np.arange(columns)
    if not _solve(tableau, basic, free, _TURNS * (rows + columns)):
        return None
    shares = np.zeros(columns + rows)
    shares[basic] = tableau[:rows, columns]
    prices = np.zeros(columns + rows)
    prices[free] = tableau[rows, :columns]
    reply, mixture = np.maximum(shares[:columns], 0), np.maximum(prices[columns:], 0)
    reply, mixture = reply / reply.sum(), mixture / mixture.sum()
    return (mixture, reply) if (payoffs @ reply).max() - (mixture @ payoffs).min() <= _GAP else None


@numba.njit(cache=True)
def _solve(tableau, basic, free, turns):
    """Exchange variables until none improves; the last row holds prices, the last column values. Whether it got there."""
    rows, columns = tableau.shape[0] - 1, tableau.shape[1] - 1
    for _ in range(turns):
        enters, best = -1, -_ENTERS
        for column in range(columns):
            if tableau[rows, column] < best:
                enters, best = column, tableau[rows, column]
        if enters < 0:
            return True
        leaves, closest = -1, np.inf
        for row in range(rows):
            size = tableau[row, enters]
            # among ties the largest pivot, which loses the fewest digits
            if size > _PIVOT:
                ratio = tableau[row, columns] / size
                if ratio < closest - 1e-13 or (ratio <= closest + 1e-13 and size > tableau[leaves, enters]):
                    leaves, closest = row, ratio
        if leaves < 0:
            return False
        _exchange(tableau, leaves, enters)
        basic[leaves], free[enters] = free[enters], basic[leaves]
    return False


@numba.njit(cache=True)
def _exchange(tableau, leaves, enters):
    """One pivot: the variable of row `leaves` changes places with that of column `enters`."""
    pivot = tableau[leaves, enters]
    tableau[leaves] /= pivot
    tableau[leaves, enters] = 1 / pivot
    for row in range(len(tableau)):
        factor = tableau[row, enters]
        if row != leaves and factor != 0.0:
            tableau[row, enters] = 0.0
            for column in range(tableau.shape[1]):
                tableau[row, column] -= factor * tableau[leaves, column]
