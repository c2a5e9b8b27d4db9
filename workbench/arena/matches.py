"""The table of games: one row a game, whoever played it, and what is read off it directly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from workbench.arena.files import write_csv
from workbench.files import replace_file
from workbench.markup import Cell, share_cell, table_html

TEXT = "text"
COLUMNS = {
    "match_id": TEXT,
    "seed": "uint64",
    "env": TEXT,
    "policy_0": TEXT,
    "policy_1": TEXT,
    "outcome": "int8",
    "payoff": "float64",
    "length": "int32",
    "end_reason": TEXT,
    "started": "datetime64[ns, UTC]",
    "seconds": "float64",
}
_SHOWN = 45  # pairs in a notebook: those of ten players
_NORMAL_95 = 1.959963984540054


class Score(NamedTuple):
    """A player's result over some games: `rate` counts a draw as half a win; `low` and `high` bound it at 95%."""

    games: int
    wins: int
    draws: int
    losses: int
    rate: float
    low: float
    high: float


class PairCounts(NamedTuple):
    """Results between players: `wins[i, j]` games that i won against j, `draws` symmetric, diagonals 0."""

    policies: list[str]
    wins: np.ndarray
    draws: np.ndarray

    @property
    def games(self) -> np.ndarray:
        return self.wins + self.wins.T + self.draws

    def _repr_html_(self) -> str:
        return matchup_html(self)


def matchup_html(counts: PairCounts, labels: Mapping[str, str] | None = None, caption: str = "") -> str:
    """Win rates head to head as a coloured table; a pointer resting on a cell reads its games and its interval.

    Args:
        counts: in the order in which rows and columns stand.
        labels: what policies are called in the table, by policy; by default their ids.
    """
    labels = labels or {policy: policy for policy in counts.policies}
    games = counts.games
    rows: list[list[Cell]] = []
    for i, policy in enumerate(counts.policies):
        row = [Cell(labels[policy], policy)]
        for j, opponent in enumerate(counts.policies):
            if not games[i, j]:
                row.append(Cell("", "the same policy" if i == j else f"{policy} and {opponent} did not meet"))
                continue
            score = score_of(int(counts.wins[i, j]), int(counts.draws[i, j]), int(counts.wins[j, i]))
            title = (
                f"{policy} against {opponent}: {score.wins} won, {score.draws} drawn, {score.losses} lost of "
                f"{score.games}; {score.rate:.1%}, 95% interval {score.low:.1%} to {score.high:.1%}"
            )
            row.append(share_cell(score.rate, title, sure=score.low > 0.5 or score.high < 0.5))
        rows.append(row)
    return table_html(
        ("", *(labels[policy] for policy in counts.policies)),
        rows,
        caption=caption or "Win rate of the row against the column",
        note="Draws count half. Bold: the 95% interval excludes a half. Rest the pointer on a cell for its games.",
    )


def wilson_interval(successes, games, z: float = _NORMAL_95):
    """Interval of a proportion that behaves at 0, at 1 and with few games; nan where there are no games.

    Args:
        successes: array or number, wins + draws / 2. With draws the score varies less than a coin's, so the interval
            covers at least what it says.
        games: array or number.
        z: normal quantile; 1.96 for 95%.

    Returns:
        low, high.

    Source: Wilson 1927, JASA 22; recommended by Brown, Cai, DasGupta 2001, Statistical Science 16.
    """
    successes, games = np.asarray(successes, float), np.asarray(games, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = successes / games
        centre = (rate + z**2 / (2 * games)) / (1 + z**2 / games)
        half = z * np.sqrt(rate * (1 - rate) / games + z**2 / (4 * games**2)) / (1 + z**2 / games)
        return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def score_of(wins: int, draws: int, losses: int) -> Score:
    """The `Score` of these counts, draws as halves, with Wilson's 95% interval."""
    games = wins + draws + losses
    points = wins + draws / 2
    low, high = wilson_interval(points, games)
    return Score(
        int(games), int(wins), int(draws), int(losses), points / games if games else np.nan, float(low), float(high)
    )


class Matches:
    """Games that were played, one row each; ratings and payoffs are computed from this table and nothing else.

    Args:
        table: a DataFrame with exactly the columns of `COLUMNS`, any order; rows keep their order. `policy_0` sat in
            seat 0; `outcome` is +1 where it won, -1 where it lost, 0 where drawn; `payoff` is what it won, and the other
            lost: chips where the game has stakes, else the outcome, which is put in where the column is missing; `length`
            in env steps; `started` in UTC; `seconds` the wall time the game lasted.

    Raises:
        ValueError: a column is missing, unknown, holds something else than its type, or a match id occurs twice.
    """

    def __init__(self, table: pd.DataFrame):
        self.table = _typed(table)

    @classmethod
    def empty(cls) -> Matches:
        return cls(pd.DataFrame({name: [] for name in COLUMNS}))

    @classmethod
    def concat(cls, parts: Iterable[Matches]) -> Matches:
        """All games of several tables, in order; a game that stands in several of them counts once.

        Raises:
            ValueError: two games of one match id that differ in more than their times: the same players and seed led to
                different games, so one of the players is not who it was.
        """
        tables = [part.table for part in parts if len(part)]
        if not tables:
            return cls.empty()
        table = pd.concat(tables, ignore_index=True)
        once = table.drop_duplicates([name for name in COLUMNS if name not in ("started", "seconds")])
        differ = once["match_id"].duplicated(keep=False)
        if differ.any():
            one, other = (once[once["match_id"] == once["match_id"][differ].iloc[0]].iloc[i] for i in (0, 1))
            what = [name for name in COLUMNS if name not in ("started", "seconds") and one[name] != other[name]]
            raise ValueError(
                f"match {one['match_id']!r} ({one['policy_0']} against {one['policy_1']}) was played twice with different "
                f"{', '.join(what)}: give policies that differ ids that differ, or play with another seed"
            )
        return cls(once)

    @classmethod
    def load(cls, path: str | Path) -> Matches:
        """Read what `save` wrote: a folder with `matches.parquet`, or the Parquet file itself.

        Raises:
            FileNotFoundError: nothing is there.
            ValueError: the file is damaged or holds something else.
        """
        path = Path(path)
        file = path / "matches.parquet" if path.is_dir() else path
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no table of matches; expected what Matches.save(folder) writes")
        try:
            table = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise ValueError(f"{file}: not a readable Parquet table ({error})") from error
        return cls(table)

    def save(self, folder: str | Path) -> Path:
        """Write `matches.parquet` (exact) and `matches.csv` (to look at) into `folder`; returns the Parquet file."""
        folder = Path(folder)
        write_csv(folder / "matches.csv", self.table)
        return replace_file(folder / "matches.parquet", lambda path: self.table.to_parquet(path, index=False))

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def policies(self) -> list[str]:
        """Ids of all who played, in order of first appearance."""
        both = self.table[["policy_0", "policy_1"]].to_numpy().ravel()
        return list(pd.unique(both))

    @cached_property
    def counts(self) -> PairCounts:
        """Wins and draws between all `policies`; games of a policy with itself are left out."""
        policies = self.policies
        index = {policy: i for i, policy in enumerate(policies)}
        first = self.table["policy_0"].map(index).to_numpy(np.int64)
        second = self.table["policy_1"].map(index).to_numpy(np.int64)
        outcome = self.table["outcome"].to_numpy()
        wins = np.zeros((len(policies), len(policies)), np.int64)
        draws = np.zeros_like(wins)
        np.add.at(wins, (first[outcome == 1], second[outcome == 1]), 1)
        np.add.at(wins, (second[outcome == -1], first[outcome == -1]), 1)
        drawn = outcome == 0
        np.add.at(draws, (first[drawn], second[drawn]), 1)
        np.add.at(draws, (second[drawn], first[drawn]), 1)
        np.fill_diagonal(wins, 0)
        np.fill_diagonal(draws, 0)
        return PairCounts(policies, wins, draws)

    def score(self, policy: str, opponent: str | None = None) -> Score:
        """What `policy` scored against `opponent`, or against everybody else.

        Draws count half; the interval is Wilson's at 95% (see `wilson_interval`).

        Raises:
            KeyError: one of them did not play.
        """
        counts = self.counts
        row = self._index(policy)
        columns = slice(None) if opponent is None else [self._index(opponent)]
        return score_of(
            counts.wins[row, columns].sum(), counts.draws[row, columns].sum(), counts.wins[columns, row].sum()
        )

    def win_rates(self) -> pd.DataFrame:
        """One row an ordered pair that met: policy, opponent, games, wins, draws, losses, win_rate, low, high."""
        wins, draws, games = self.counts.wins, self.counts.draws, self.counts.games
        rows = [
            (self.policies[i], self.policies[j], *score_of(wins[i, j], draws[i, j], wins[j, i]))
            for i, j in zip(*np.nonzero(games), strict=True)
        ]
        names = ["policy", "opponent", "games", "wins", "draws", "losses", "win_rate", "low", "high"]
        return pd.DataFrame(rows, columns=names)

    def sides(self) -> pd.DataFrame:
        """Each game as its two players saw it: match_id, policy, opponent, seat, score (1, .5, 0), length, end_reason."""
        table = self.table
        seats = [
            pd.DataFrame(
                {
                    "match_id": table["match_id"],
                    "policy": table[f"policy_{seat}"],
                    "opponent": table[f"policy_{1 - seat}"],
                    "seat": seat,
                    "score": (1 + (1 - 2 * seat) * table["outcome"].astype(float)) / 2,
                    "length": table["length"],
                    "end_reason": table["end_reason"],
                }
            )
            for seat in (0, 1)
        ]
        return pd.concat(seats).sort_index(kind="stable").reset_index(drop=True)

    def _index(self, policy: str) -> int:
        if policy not in self.policies:
            raise KeyError(f"{policy!r} did not play in these matches; who did: {', '.join(self.policies) or 'nobody'}")
        return self.policies.index(policy)

    def __repr__(self) -> str:
        if not len(self):
            return "Matches: no games"
        return f"{self._summary()}\n{self._once().to_string(index=False, float_format='{:.3f}'.format)}"

    def _repr_html_(self) -> str:
        pairs = self._once()
        rows = [
            (
                row.policy,
                row.opponent,
                f"{row.games}",
                f"{row.wins} / {row.draws} / {row.losses}",
                Cell(f"{row.win_rate:.1%}", f"{row.win_rate:.4f}, 95% interval {row.low:.4f} to {row.high:.4f}"),
                f"{row.low:.1%} – {row.high:.1%}",
            )
            for row in pairs.head(_SHOWN).itertuples()
        ]
        more = f" {len(pairs) - _SHOWN} more pairs are in win_rates()." if len(pairs) > _SHOWN else ""
        return table_html(
            ("policy", "opponent", "games", "won / drawn / lost", "win rate", "95% interval"),
            rows,
            left=(0, 1),
            caption=self._summary(),
            note="Draws count half; Wilson intervals." + more,
        )

    def _once(self) -> pd.DataFrame:
        """`win_rates` with each pair only from the side of whom appears first."""
        rates = self.win_rates()
        rank = {policy: i for i, policy in enumerate(self.policies)}
        return rates[rates["policy"].map(rank) < rates["opponent"].map(rank)]

    def _summary(self) -> str:
        table = self.table
        length = f", {table['length'].mean():.1f} steps on average" if len(self) else ""
        games = ", ".join(table["env"].unique())
        return f"{len(self)} games of {games or 'nothing'} between {len(self.policies)} players{length}"


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    if "payoff" not in table.columns and "outcome" in table.columns:
        table = table.assign(payoff=table["outcome"].astype("float64"))
    missing = [name for name in COLUMNS if name not in table.columns]
    unknown = [name for name in table.columns if name not in COLUMNS]
    if missing or unknown:
        raise ValueError(f"matches: missing columns {missing}, unknown columns {unknown}; expected {list(COLUMNS)}")
    table = table[list(COLUMNS)].reset_index(drop=True)
    typed = {name: _column(name, kind, table[name]) for name, kind in COLUMNS.items()}
    table = pd.DataFrame(typed)
    bad = ~table["outcome"].isin((-1, 0, 1))
    if bad.any():
        raise ValueError(f"matches: outcome {table['outcome'][bad].iloc[0]} in row {bad.idxmax()}; expected -1, 0 or 1")
    twice = table["match_id"].duplicated()
    if twice.any():
        raise ValueError(
            f"matches: {int(twice.sum())} match ids occur twice, first {table['match_id'][twice].iloc[0]!r}: "
            "the same games would count twice; put tables together with Matches.concat"
        )
    return table


def _column(name: str, kind: str, values: pd.Series) -> pd.Series:
    if values.isna().any():
        raise ValueError(f"matches: column {name!r} lacks a value in row {int(values.isna().to_numpy().argmax())}")
    if kind == TEXT:
        wrong = [value for value in values if not isinstance(value, str)]
        if wrong:
            raise ValueError(f"matches: column {name!r} holds {wrong[0]!r}; expected text")
        return values.astype(object)
    if name == "started":
        return pd.to_datetime(values, utc=True).astype(kind)
    try:
        converted = values.astype(kind)
        exact = bool((converted == values).all())
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"matches: column {name!r} cannot be read as {kind}: {error}") from error
    if not exact:
        raise ValueError(f"matches: column {name!r} holds values that {kind} cannot")
    return converted
