"""Standings: every player's rating, both ways, with intervals, and the files users look for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from workbench.arena.bradley_terry import BradleyTerry, bradley_terry
from workbench.arena.elo import Elo, Schedule, elo
from workbench.arena.files import write_csv, write_json
from workbench.arena.matches import Matches, score_of
from workbench.markup import Cell, table_html


@dataclass(frozen=True)
class Ratings:
    """Ratings of all who played in some matches; shows itself as a leaderboard.

    Args:
        matches: what was rated.
        elo: the running ratings, by default means over many orders of the games.
        bradley_terry: the ratings from all games at once, by which the standings are ordered.
    """

    matches: Matches
    elo: Elo
    bradley_terry: BradleyTerry

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a policy, best first.

        Columns: rank, policy, elo, bradley_terry, low, high (95%, bootstrap), games, wins, draws, losses, win_rate,
        win_rate_low, win_rate_high (95%, Wilson), average_length (env steps).
        """
        length = average_length(self.matches)
        rows = []
        for rank, (policy, rated) in enumerate(self.bradley_terry.table.iterrows(), start=1):
            score = self.matches.score(policy)
            rows.append((rank, policy, self.elo.ratings[policy], *rated, *score, length[policy]))
        return pd.DataFrame(rows, columns=_COLUMNS)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the rating files into `folder`; returns their paths.

        `elo_results_ratings.json`, `elo_results_progression.csv`, `elo_results_matchup_matrix.csv`,
        `elo_results_statistics.csv` and `tournament_summary.csv` have the fields that Metamon's scripts write, a win
        rate counting draws as halves; `ratings.csv` is `table`, with the intervals.
        """
        folder = Path(folder)
        ranked = list(self.elo.ratings.items())
        return [
            write_json(
                folder / "elo_results_ratings.json",
                {
                    "k_factor": self.elo.k,
                    "initial_rating": self.elo.initial,
                    "ratings": {policy: {"elo": elo, "rank": i} for i, (policy, elo) in enumerate(ranked, start=1)},
                },
            ),
            write_csv(folder / "elo_results_progression.csv", self.elo.progression),
            write_csv(folder / "elo_results_matchup_matrix.csv", matchup_matrix(self.matches).reset_index(names="")),
            write_csv(folder / "elo_results_statistics.csv", statistics(self.matches)),
            write_csv(folder / "tournament_summary.csv", self.summary()),
            write_csv(folder / "ratings.csv", self.table),
        ]

    def summary(self) -> pd.DataFrame:
        """The standings by Elo: Model, Rank, ELO, ELO Change, Win Rate, W-L, Avg Turns; numbers as text."""
        length = average_length(self.matches)
        rows = []
        for rank, (policy, rating) in enumerate(self.elo.ratings.items(), start=1):
            score = self.matches.score(policy)
            change = f"{rating - self.elo.initial:+.0f}"
            won = f"{score.wins}-{score.losses}"
            rows.append((policy, rank, f"{rating:.0f}", change, f"{score.rate:.1%}", won, f"{length[policy]:.1f}"))
        return pd.DataFrame(rows, columns=["Model", "Rank", "ELO", "ELO Change", "Win Rate", "W-L", "Avg Turns"])

    def __repr__(self) -> str:
        if self.table.empty:
            return "Ratings: nobody played against anybody else"
        shown = self.table.drop(columns=["win_rate_low", "win_rate_high"])
        formats = {"win_rate": "{:.3f}".format}
        return shown.to_string(index=False, float_format="{:.1f}".format, formatters=formats)

    def _repr_html_(self) -> str:
        rows = [
            (
                f"{row.rank}",
                Cell(row.policy, row.policy),
                f"{row.elo:.0f}",
                Cell(f"{row.bradley_terry:.0f}", f"95% interval {row.low:.1f} to {row.high:.1f}", "font-weight:600"),
                f"{row.low:.0f} – {row.high:.0f}",
                f"{row.games}",
                f"{row.wins} / {row.draws} / {row.losses}",
                Cell(f"{row.win_rate:.1%}", f"95% interval {row.win_rate_low:.1%} to {row.win_rate_high:.1%}"),
                f"{row.average_length:.1f}",
            )
            for row in self.table.itertuples()
        ]
        names = ("", "policy", "Elo", "Bradley–Terry", "95%", "games", "won / drawn / lost", "win rate", "steps a game")
        prior = f", {self.bradley_terry.prior:g} virtual draw each" if self.bradley_terry.prior else ""
        orders = f"Elo: mean over {self.elo.shuffles} random orders of the games. " if self.elo.shuffles else ""
        note = f"{orders}Draws count half. Intervals: bootstrap over games for ratings{prior}; Wilson for win rates (on hover)."
        return table_html(names, rows, left=(1,), note=note)


_COLUMNS = ["rank", "policy", "elo", "bradley_terry", "low", "high", "games", "wins", "draws", "losses"]
_COLUMNS += ["win_rate", "win_rate_low", "win_rate_high", "average_length"]


def ratings(
    matches: Matches,
    *,
    k: float | Schedule = 32.0,
    initial: float = 1500.0,
    order: str = "shuffled",
    shuffles: int = 100,
    prior: float = 1.0,
    anchor: str | None = None,
    bootstraps: int = 1000,
    seed: int = 0,
) -> Ratings:
    """Elo and Bradley–Terry ratings of all who played somebody else, each game counted once.

    Elo depends on the order of the games: whoever won the last ones stands too high. A tournament's order means nothing,
    so the Elo ratings are means over many random orders, while the progression shows a single one. Bradley–Terry knows
    no order and is the standing.

    Args:
        matches: the games.
        k, initial: see `elo`.
        order: of the progression, see `elo`.
        shuffles: over how many random orders the Elo ratings are means; 0: they are where the progression ends.
        prior, anchor, bootstraps: see `bradley_terry`; the anchor, or the mean of all, stands at `initial`.
        seed: of shuffles and bootstrap.
    """
    table = matches.table
    against_others = Matches(table[table["policy_0"] != table["policy_1"]])
    return Ratings(
        against_others,
        elo(against_others, k=k, initial=initial, order=order, shuffles=shuffles, seed=seed),
        bradley_terry(against_others, prior=prior, anchor=anchor, at=initial, bootstraps=bootstraps, seed=seed),
    )


def average_length(matches: Matches) -> pd.Series:
    """Mean length of a policy's games in env steps, by policy."""
    return matches.sides().groupby("policy")["length"].mean()


def matchup_matrix(matches: Matches) -> pd.DataFrame:
    """Text `W-L` of the row's policy against the column's, `-` on the diagonal; policies sorted by name."""
    wins = pd.DataFrame(matches.counts.wins, matches.policies, matches.policies)
    policies = sorted(matches.policies)
    rows = [["-" if p == q else f"{wins.loc[p, q]}-{wins.loc[q, p]}" for q in policies] for p in policies]
    return pd.DataFrame(rows, index=policies, columns=policies)


def statistics(matches: Matches) -> pd.DataFrame:
    """Model, Wins, Losses, Total Battles (draws included), Win Rate, Avg Turn Count, most wins first."""
    length = average_length(matches)
    wins, draws = matches.counts.wins, matches.counts.draws
    rows = []
    for i, policy in enumerate(matches.policies):
        score = score_of(wins[i].sum(), draws[i].sum(), wins[:, i].sum())
        rows.append(
            (policy, score.wins, score.losses, score.games, f"{score.rate:.1%}", f"{length.get(policy, 0.0):.1f}")
        )
    names = ["Model", "Wins", "Losses", "Total Battles", "Win Rate", "Avg Turn Count"]
    return pd.DataFrame(rows, columns=names).sort_values("Wins", ascending=False, kind="stable")
