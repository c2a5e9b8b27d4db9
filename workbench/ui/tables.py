"""Tables for notebooks and reports: HTML with inline style only, so that they survive untrusted notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex

from workbench.arena import Matches, Ratings, wilson_interval
from workbench.arena import ratings as rate
from workbench.arena.markup import Cell, table_html
from workbench.ui.style import DIVERGING, ink_on, short_names


class Html(str):
    """Text that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        return str(self)


def table(
    frame: pd.DataFrame,
    formats: Mapping[str, str | Callable] | None = None,
    *,
    caption: str = "",
    note: str = "",
    names: Mapping[str, str] | None = None,
) -> Html:
    """A DataFrame, without its index.

    Args:
        frame: text columns are aligned left, numbers right.
        formats: by column, a format (`"{:.1%}"`) or a function from a value to text; by default whole numbers with
            separators and four significant digits.
        caption, note: above and under it.
        names: what columns are called, by column.
    """
    formats, names = formats or {}, names or {}
    left = [i for i, column in enumerate(frame.columns) if not pd.api.types.is_numeric_dtype(frame[column])]
    rows = [
        [_text(value, formats.get(column)) for column, value in zip(frame.columns, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    header = [names.get(column, str(column)) for column in frame.columns]
    return Html(table_html(header, rows, left=left, caption=caption, note=note))


def figures_table(figures: Mapping[str, object], caption: str = "") -> Html:
    """Names and figures in two columns: what a stage has measured, settings, counts."""
    return Html(table_html(("", ""), [(name, _text(value, None)) for name, value in figures.items()], caption=caption))


def leaderboard(ratings: Ratings) -> Html:
    """The standings with intervals (what `Ratings` shows by itself)."""
    return Html(ratings._repr_html_())


def winrate_table(matches: Matches, ratings: Ratings | None = None, caption: str = "") -> Html:
    """Win rates head to head as a coloured table, strongest first; a pointer resting on a cell reads its details.

    Colours are those of the `winrate_heatmap` figure; bold where the 95% interval excludes a half.
    """
    ratings = ratings or rate(matches, bootstraps=0)
    policies = ratings.table["policy"].tolist()
    labels = short_names(policies, 24)
    counts = ratings.matches.counts
    order = [counts.policies.index(policy) for policy in policies]
    wins, draws, games = (array[np.ix_(order, order)] for array in (counts.wins, counts.draws, counts.games))
    rows = []
    for i, policy in enumerate(policies):
        row: list[Cell] = [Cell(labels[policy], policy)]
        for j, opponent in enumerate(policies):
            if not games[i, j]:
                row.append(Cell("", "the same policy" if i == j else f"{policy} and {opponent} did not meet"))
                continue
            row.append(_rate_cell(policy, opponent, int(wins[i, j]), int(draws[i, j]), int(games[i, j])))
        rows.append(row)
    return Html(
        table_html(
            ("", *(labels[policy] for policy in policies)),
            rows,
            caption=caption or "Win rate of the row against the column",
            note="Draws count half. Bold: the 95% interval excludes a half. Rest the pointer on a cell for its games.",
        )
    )


def _rate_cell(policy: str, opponent: str, wins: int, draws: int, games: int) -> Cell:
    points = wins + draws / 2
    low, high = wilson_interval(points, games)
    share = points / games
    title = (
        f"{policy} against {opponent}: {wins} won, {draws} drawn, {games - wins - draws} lost of {games}; "
        f"{share:.1%}, 95% interval {low:.1%} to {high:.1%}"
    )
    colour = to_hex(colormaps[DIVERGING](share))
    weight = "700" if low > 0.5 or high < 0.5 else "400"
    style = f"background-color:{colour};color:{ink_on(colour)};font-weight:{weight};text-align:center;border:1px solid #ffffff"
    return Cell(f"{share:.0%}", title, style)


def _text(value, form: str | Callable | None) -> str | Cell:
    if isinstance(value, Cell):
        return value
    if callable(form):
        return str(form(value))
    if form is not None:
        return form.format(value)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)
