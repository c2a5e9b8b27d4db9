"""The empirical game: what policies earn against each other, counted from the table of matches, with intervals.

>>> game = EmpiricalGame.of(matches)
>>> sigma = solve(game.payoffs()).row
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from workbench.arena.matches import Matches, wilson_interval
from workbench.markup import Cell, share_cell, table_html

_OUTCOMES = (-1.0, 0.0, 1.0)


class MissingPairs(ValueError):
    """Pairs of policies that never met, named."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> MissingPairs:
        shown = ", ".join(f"{row} against {column}" for row, column in pairs[:4])
        more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
        return cls(
            f"no games of {shown}{more}: play them, or say missing=0.0 to take them for even, which nobody has seen"
        )


@dataclass(frozen=True, eq=False)
class EmpiricalGame:
    """Counts of what each row policy earned against each column policy.

    A symmetric game has one set of policies that sit in either seat: `counts[i, j]` mirrors `counts[j, i]`. In a game of
    two populations rows sat in seat 0 and columns in seat 1.

    Args:
        rows, columns: policies' ids; the same where the game is symmetric.
        values: float64 `[V]`, all payoffs that occurred, ascending and mirrored about 0; (-1, 0, 1) where outcomes count.
        counts: int64 `[R, C, V]`, how often.
        symmetric: whether both sets are one.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    counts: np.ndarray
    symmetric: bool

    @classmethod
    def of(
        cls,
        matches: Matches,
        policies: Sequence[str] | None = None,
        *,
        columns: Sequence[str] | None = None,
    ) -> EmpiricalGame:
        """Count a table of matches.

        Args:
            matches: games of one env.
            policies: who belongs to the game, in this order; by default all who played. Others' games are left out.
            columns: makes it a game of two populations: `policies` in seat 0 against these in seat 1, and only
                games in which they sat so count.

        Raises:
            ValueError: nobody, games of several envs, or an id twice.
        """
        rows = tuple(matches.policies if policies is None else policies)
        symmetric = columns is None
        columns = rows if symmetric else tuple(columns)
        for side in (rows, columns):
            if not side or len(set(side)) < len(side):
                raise ValueError(f"policies {list(side)}: expected at least one, each once")
        envs = matches.table["env"].unique()
        if len(envs) > 1:
            raise ValueError(f"matches of {', '.join(envs)}: expected one game; payoffs of several do not add up")
        table = matches.table
        values = np.unique(np.concatenate([table["payoff"], -table["payoff"], _OUTCOMES]))
        counts = np.zeros((len(rows), len(columns), len(values)), np.int64)
        where = {id: i for i, id in enumerate(rows)}, {id: i for i, id in enumerate(columns)}
        first = table["policy_0"].map(where[0]).to_numpy(float)
        second = table["policy_1"].map(where[1]).to_numpy(float)
        payoff = np.searchsorted(values, table["payoff"].to_numpy())
        counted = ~np.isnan(first) & ~np.isnan(second)
        i, j, value = first[counted].astype(int), second[counted].astype(int), payoff[counted]
        if symmetric:
            others = i != j  # a policy against itself says nothing: it earns 0 by symmetry
            i, j, value = i[others], j[others], value[others]
            np.add.at(counts, (j, i, len(values) - 1 - value), 1)
        np.add.at(counts, (i, j, value), 1)
        return cls(rows, columns, values, counts, symmetric)

    @cached_property
    def games(self) -> np.ndarray:
        """Int64 `[R, C]`."""
        return self.counts.sum(axis=2)

    @property
    def wins(self) -> np.ndarray:
        """Int64 `[R, C]`: games the row policy won something in."""
        return self.counts[:, :, self.values > 0].sum(axis=2)

    @property
    def draws(self) -> np.ndarray:
        """Int64 `[R, C]`."""
        return self.counts[:, :, self.values == 0].sum(axis=2)

    @property
    def losses(self) -> np.ndarray:
        """Int64 `[R, C]`."""
        return self.counts[:, :, self.values < 0].sum(axis=2)

    @cached_property
    def missing(self) -> list[tuple[str, str]]:
        """Pairs that never met; a symmetric game's each once, and none of a policy with itself."""
        holes = np.argwhere(self._needed & (self.games == 0))
        return [(self.rows[i], self.columns[j]) for i, j in holes if not self.symmetric or i < j]

    @property
    def _needed(self) -> np.ndarray:
        return ~np.eye(len(self.rows), dtype=bool) if self.symmetric else np.ones(self.games.shape, bool)

    def payoffs(self, missing: float | None = None) -> np.ndarray:
        """Float64 `[R, C]`, the row policies' mean payoffs; a symmetric game's matrix is skew-symmetric to the bit.

        Args:
            missing: what to take for pairs that never met.

        Raises:
            MissingPairs: some never met, and nothing was said about them.
        """
        if self.missing and missing is None:
            raise MissingPairs.of(self.missing)
        total = self.counts @ self.values
        means = np.where(self.games > 0, total / np.maximum(self.games, 1), missing if missing is not None else 0.0)
        if self.symmetric:
            means = (means - means.T) / 2 if missing is None else np.where(self.games > 0, (means - means.T) / 2, means)
            np.fill_diagonal(means, 0.0)
        return means

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds `[R, C]` of each payoff at 95%; nan where no games were played, 0 for a policy against itself.

        Wilson's where outcomes count; else Student's t about the mean, with one game more at either end of what can be
        earned, so that a pair that always earned the same is not taken for certain.
        """
        from scipy.stats import t as student

        if len(self.values) == len(_OUTCOMES):
            low, high = wilson_interval(self.wins + self.draws / 2, self.games)
            low, high = 2 * low - 1, 2 * high - 1
        else:
            games = self.games
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = (self.counts @ self.values) / games
                squares = self.counts @ self.values**2 - games * mean**2
                spread = np.sqrt((squares + 2 * self.values[-1] ** 2) / (games + 1) / games)
                half = student.ppf(0.975, np.maximum(games - 1, 1)) * spread
            low, high = (np.clip(mean + side * half, self.values[0], self.values[-1]) for side in (-1, 1))
        for bound in (low, high):
            bound[self.games == 0] = np.nan
            if self.symmetric:
                np.fill_diagonal(bound, 0.0)
        return low, high

    def resampled(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Payoffs `[number, R, C]` as they may as well have been: draws from the posterior of each pair's distribution.

        The prior is half a game at either end of what can be earned (Jeffreys' for a coin), so that a pair of ten wins
        and no loss is not taken for certain. Pairs that never met are anything between the ends.

        Source: the Bayesian bootstrap, Rubin 1981, Annals of Statistics 9.
        """
        weights = self.counts.astype(np.float64)
        weights[:, :, [0, -1]] += 0.5
        shares = generator.standard_gamma(np.broadcast_to(weights, (number, *weights.shape)))
        drawn = (shares @ self.values) / shares.sum(axis=-1)
        if self.symmetric:
            upper = np.triu(drawn, 1)
            drawn = upper - upper.transpose(0, 2, 1)
        return drawn

    def _repr_html_(self) -> str:
        low, high = self.intervals()
        means = self.payoffs(missing=0.0)
        down = np.argsort(-means.mean(axis=1), kind="stable")
        across = down if self.symmetric else np.argsort(means.mean(axis=0), kind="stable")
        rows: list[list[Cell]] = []
        for i in down:
            row = self.rows[i]
            cells = [Cell(row, row)]
            for j in across:
                column = self.columns[j]
                if not self.games[i, j]:
                    same = self.symmetric and i == j
                    cells.append(Cell("", "the same policy" if same else f"{row} and {column} did not meet"))
                    continue
                title = (
                    f"{row} against {column}: {means[i, j]:+.3f} a game, 95% interval {low[i, j]:+.3f} to {high[i, j]:+.3f}, "
                    f"of {self.games[i, j]} games"
                )
                share = 0.5 + means[i, j] / (2 * self.values[-1])
                sure = bool(low[i, j] > 0 or high[i, j] < 0)
                cells.append(share_cell(share, title, sure=sure, text=f"{means[i, j]:+.2f}"))
            rows.append(cells)
        return table_html(
            ("", *(self.columns[j] for j in across)),
            rows,
            caption="What the row earns against the column, a game; strongest first",
            note="Bold: the 95% interval excludes 0. Rest the pointer on a cell for its games.",
        )

    def table(self) -> pd.DataFrame:
        """One row a pair that met (a symmetric game's in both orders): row, column, games, wins, draws, losses, payoff, low, high."""
        low, high = self.intervals()
        means = self.payoffs(missing=0.0)
        met = np.argwhere(self.games > 0)
        return pd.DataFrame(
            {
                "row": [self.rows[i] for i, _ in met],
                "column": [self.columns[j] for _, j in met],
                **{
                    name: array[met[:, 0], met[:, 1]]
                    for name, array in (
                        ("games", self.games),
                        ("wins", self.wins),
                        ("draws", self.draws),
                        ("losses", self.losses),
                        ("payoff", means),
                        ("low", low),
                        ("high", high),
                    )
                },
            }
        )
