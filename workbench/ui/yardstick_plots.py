"""Figures of the yardsticks: small games' curves beside published figures, and what PSRO's responses earned."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.ticker import EngFormatter, MaxNLocator

from workbench.ui.style import INK, MUTED, Figure, Palette, new_figure, styled

_EXACT = 1e-6  # below this a figure is 0 but for rounding, which no logarithm shows


@styled
def beside_references(
    curves: Mapping[str, pd.DataFrame],
    references: Mapping[str, pd.DataFrame],
    title: str,
    *,
    source: str = "reference",
    y: str = "NashConv (chips)",
) -> Figure:
    """A panel a game: each column of our curves over iterations, and the figures known of it in hollow diamonds.

    Args:
        curves: by game; rows are iterations, columns the ways that are compared.
        references: by game, columns of the same names, with figures where they are known; games may be missing.
        title: of the figure.
        source: whose those figures are.
        y: what the vertical axis shows, with its unit.
    """
    figure = new_figure(10, 4.2, title)
    palette = Palette(dict.fromkeys(column for table in curves.values() for column in table))
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (game, table) in zip(panels, curves.items(), strict=True):
        shown = table.loc[table.index >= 1]
        known = references.get(game, pd.DataFrame())
        for column, values in shown.items():
            axes.plot(values.index, values, color=palette[column].colour, linewidth=1.6, label=column)
        for column, values in known.items():
            dots = values.dropna()
            axes.plot(dots.index, dots, linestyle="", marker="D", markersize=7, markerfacecolor="none", zorder=3, clip_on=False,
                      markeredgewidth=1.6, markeredgecolor=palette[column].colour)  # fmt: skip
        axes.set_xscale("log")
        if min(part.min().min() for part in (shown, known) if part.size) < _EXACT:
            axes.set_yscale("symlog", linthresh=1e-3)
            axes.set_ylim(bottom=0)
        else:
            axes.set_yscale("log")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel("iteration")
        axes.set_title(game, fontsize=11)
    panels[0].set_ylabel(y)
    if any(len(table) for table in references.values()):
        panels[0].plot([], [], linestyle="", marker="D", markersize=7, markerfacecolor="none", markeredgewidth=1.6,
                       markeredgecolor=INK, label=source)  # fmt: skip
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def response_gains(experiments: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Of finished PSRO experiments, what each best response earned from the mixture before it, and how far mixtures spread.

    Args:
        experiments: by name, tables of `benchmarks.psro_runs.psro_table`.
        title: of the figure.
    """
    figure = new_figure(
        10, 4.2, title or "PSRO: what each response earns from its mixture, and how far mixtures spread"
    )
    palette = Palette(experiments)
    gains, spread = figure.subplots(1, 2)
    shift = 0.08
    for place, (name, table) in enumerate(experiments.items()):
        look, across = palette[name], table["iteration"] + shift * (place - (len(experiments) - 1) / 2)
        gains.vlines(across, table["low"], table["high"], color=look.colour, linewidth=2.5, alpha=0.5)
        for axes, values in ((gains, table["gain"]), (spread, table["support"])):
            axes.plot(across, values, color=look.colour, marker=look.marker, linewidth=1.2, label=name)
    gains.axhline(0, color=MUTED, linestyle="--", linewidth=1)
    gains.set_ylabel("payoff a game (0: even; line: 95%)")
    spread.set_ylim(bottom=0)
    spread.set_ylabel("policies in the next mixture (effective)")
    for axes in (gains, spread):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("iteration")
    figure.legend(*gains.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
