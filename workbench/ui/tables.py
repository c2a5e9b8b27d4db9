"""Tables for notebooks and reports: HTML with inline style only, so that they survive untrusted notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from workbench.arena import Matches, Ratings
from workbench.arena import ratings as rate
from workbench.arena.matches import PairCounts, matchup_html
from workbench.markup import Cell, table_html
from workbench.ui.style import short_names


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
    counts = ratings.matches.counts
    order = [counts.policies.index(policy) for policy in policies]
    wins, draws = (array[np.ix_(order, order)] for array in (counts.wins, counts.draws))
    return Html(matchup_html(PairCounts(policies, wins, draws), short_names(policies, 24), caption))


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
