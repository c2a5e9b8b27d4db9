"""Nash equilibria of zero-sum matrix games by linear programme, and among many the one of maximum entropy."""

from __future__ import annotations

import numpy as np

from workbench.metagame.pivoting import optimal_mixtures

_TIGHT = 1e-9  # of the payoffs' range: closer to its bound than this, a constraint holds with equality
_MULTIPLE = 1e5  # how far a mixture is multiplied: shares below a hundred-thousandth count as none


def maximum_entropy_equilibrium(payoffs: np.ndarray) -> np.ndarray:
    """The row player's equilibrium mixture of maximum entropy.

    The value comes from a linear programme, by pivoting, or by HiGHS where that fails. Where its solution is the only one it is the answer; otherwise
    entropy is maximised over all optimal mixtures `{x: x >= 0, sum x = 1, payoffs.T x >= value}` by its convex dual, on
    the largest support that an optimal mixture has.

    Args:
        payoffs: float64 `[N, M]`, finite, what the row player earns.

    Returns:
        float64 `[N]`, summing to 1. It does not depend on the order of the policies, and copies of a policy share
        its weight equally.

    Raises:
        RuntimeError: the programme could not be solved.
    """
    spread = float(np.ptp(payoffs))
    rows = len(payoffs)
    if spread == 0 or rows == 1:
        return np.full(rows, 1 / rows)
    scaled = (payoffs - payoffs.min()) / spread
    mixture, value, reply = _optimal(scaled)
    if not _is_unique(scaled, mixture, value, reply):
        support, tight = _face(scaled, value)
        mixture = _spread_out(scaled, value, support, tight)
    return mixture


def _optimal(payoffs: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """An optimal mixture of each side `[N]`, `[M]`, and the game's value."""
    found = optimal_mixtures(payoffs)
    return _by_highs(payoffs) if found is None else (found[0], float((found[0] @ payoffs).min()), found[1])


def _by_highs(payoffs: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    rows, columns = payoffs.shape
    programme = {
        "c": np.append(np.zeros(rows), -1.0),
        "A_ub": np.column_stack([-payoffs.T, np.ones(columns)]),
        "b_ub": np.zeros(columns),
        "A_eq": np.append(np.ones(rows), 0.0)[None],
        "b_eq": [1.0],
        "bounds": [(0, None)] * rows + [(None, None)],
    }
    found = _linprog(**programme)
    mixture, reply = np.maximum(found.x[:rows], 0), np.maximum(-found.ineqlin.marginals, 0)
    return mixture / mixture.sum(), float(found.x[rows]), reply / reply.sum()


def _linprog(**programme):
    from scipy.optimize import linprog  # a second to import, which only those wait who solve

    for method in ("highs", "highs-ipm"):  # where the simplex method gives up, which happens, inner points answer
        found = linprog(method=method, **programme)
        if found.status == 0:
            return found
    raise RuntimeError(f"the linear programme of an equilibrium was not solved: {found.message}")


def _is_unique(payoffs: np.ndarray, mixture: np.ndarray, value: float, reply: np.ndarray) -> bool:
    """Whether nobody else is optimal: the columns in reply pin the mixture down, and no bound is touched by chance."""
    support, tight = mixture > _TIGHT, reply > _TIGHT
    slack_by_column, loss_by_row = mixture @ payoffs - value, value - payoffs @ reply
    if (slack_by_column[~tight] <= _TIGHT).any() or (loss_by_row[~support] <= _TIGHT).any():
        return False
    pinned = np.vstack([payoffs[np.ix_(support, tight)].T - value, np.ones(support.sum())])
    return bool(np.linalg.matrix_rank(pinned, tol=1e-9 * max(pinned.shape)) == support.sum())


def _face(payoffs: np.ndarray, value: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows that some optimal mixture plays, and columns that hold every optimal mixture to the value; bools `[N]`, `[M]`.

    One programme finds both: a multiple of an optimal mixture is as good as itself, so every row that can be played can
    reach 1, and so can the slack of every column that need not be tight (the largest support of a cone).
    """
    rows, columns = payoffs.shape
    margin = payoffs.T - (value - _TIGHT)  # a multiple y of an optimal mixture has margin @ y >= 0
    found = _linprog(  # over y >= 0 and t in [0, 1]: the sum of t, with t <= (y, margin @ y)
        c=np.append(np.zeros(rows), -np.ones(rows + columns)),
        A_ub=np.block(
            [
                [-np.eye(rows), np.eye(rows), np.zeros((rows, columns))],
                [-margin, np.zeros((columns, rows)), np.eye(columns)],
            ]
        ),
        b_ub=np.zeros(rows + columns),
        bounds=[(0, _MULTIPLE)] * rows + [(0, 1)] * (rows + columns),
    )
    reached = found.x[rows:] > 0.5
    return reached[:rows], ~reached[rows:]


def _spread_out(payoffs: np.ndarray, value: float, support: np.ndarray, tight: np.ndarray) -> np.ndarray:
    """The mixture of maximum entropy over `support` that earns at least the value, and exactly it against `tight`.

    Its dual: `x` is proportional to `exp(margin @ weights)`, where weights minimise the logarithm of the sum; those of
    columns that are not tight are at least 0.
    """
    from scipy.optimize import minimize

    margin = payoffs[support] - value

    def mixture_of(weights: np.ndarray) -> tuple[np.ndarray, float]:
        exponents = margin @ weights
        top = exponents.max()
        shares = np.exp(exponents - top)
        return shares / shares.sum(), top + np.log(shares.sum())

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        shares, log_sum = mixture_of(weights)
        return log_sum, shares @ margin

    bounds = [(None, None) if held else (0, None) for held in tight]
    options = {"maxiter": 2000, "maxfun": 20_000, "ftol": 1e-16, "gtol": 1e-12}
    weights = minimize(objective, np.zeros(len(tight)), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    free = tight | (weights > 0)
    shares, log_sum = mixture_of(weights)
    for _ in range(50):  # Newton's steps where no bound holds: the last digits
        slope = shares @ margin[:, free]
        if np.abs(slope).max(initial=0.0) < 1e-14:
            break
        centred = margin[:, free] - slope
        step = np.linalg.lstsq((centred * shares[:, None]).T @ centred, slope, rcond=1e-13)[0]
        trial = weights.copy()
        trial[free] -= step
        trial_shares, trial_sum = mixture_of(trial)
        if not trial_sum <= log_sum or (trial[~tight] < 0).any():
            break
        weights, shares, log_sum = trial, trial_shares, trial_sum
    mixture = np.zeros(len(support))
    mixture[support] = shares
    return mixture
