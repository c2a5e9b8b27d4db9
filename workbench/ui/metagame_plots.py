"""Figures of a meta-game: who is played how often, how that moved, how far it can be exploited, how it circles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from workbench.metagame.analysis import Equilibrium, structure
from workbench.ui.style import (
    COLOURS,
    INK,
    MUTED,
    NEUTRAL,
    Figure,
    Palette,
    moved_apart,
    new_figure,
    short_names,
    styled,
)

_ROWS = 16  # policies shown by name


@styled
def mixture_shares(found: Equilibrium, palette: Palette | None = None, title: str = "") -> Figure:
    """How often each policy is played in the mixture, with its 95% interval, beside what it earns against the mixture."""
    game = found.game
    palette = palette or Palette(game.rows)
    order = np.lexsort((-found.expected, -found.profile.row))[:_ROWS]
    low, high = found.intervals()
    figure = new_figure(9.5, 1.7 + 0.34 * max(len(order), 3))
    shares, earned = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    labels = short_names(list(game.rows), 30)
    for place, index in enumerate(order):
        colour = palette[game.rows[index]].colour
        shares.barh(place, found.profile.row[index], color=colour, alpha=0.75, height=0.6)
        shares.plot([low[index], high[index]], [place, place], color=INK, linewidth=1.4, solid_capstyle="butt")
        earned.plot(found.expected[index], place, marker="o", color=colour, markersize=7)
    shares.set_yticks(range(len(order)), [labels[game.rows[index]] for index in order])
    shares.set_ylim(len(order) - 0.4, -0.6)
    shares.set_xlim(0, 1.02)
    shares.xaxis.set_major_formatter(PercentFormatter(1))
    shares.set_xlabel("share of the mixture (line: 95% over resampled games)")
    earned.axvline(found.value, color=MUTED, linestyle="--", linewidth=1)
    earned.xaxis.set_major_locator(MaxNLocator(5))
    earned.set_xlabel("payoff against the mixture")
    for axes in (shares, earned):
        axes.grid(axis="y", visible=False)
    hidden = len(game.rows) - len(order)
    more = f"; {hidden} more not shown" if hidden else ""
    shares.set_title(title or f"The mixture over {len(game.rows)} policies{more}")
    return figure


@styled
def mixture_history(shares: Sequence[Mapping[str, float]], palette: Palette | None = None, title: str = "") -> Figure:
    """The mixture over iterations, stacked.

    Args:
        shares: by iteration from 0, each policy's share; policies may join.
    """
    policies = list(dict.fromkeys(policy for mixture in shares for policy in mixture))
    palette = palette or Palette(policies)
    heights = np.array([[mixture.get(policy, 0.0) for mixture in shares] for policy in policies])
    figure = new_figure(9, 4.2)
    axes = figure.add_subplot()
    # an iteration alone is drawn as wide as the step to the next one
    iterations = np.arange(len(shares)) if len(shares) > 1 else np.array([-0.5, 0.5])
    heights = heights if len(shares) > 1 else np.repeat(heights, 2, axis=1)
    labels = short_names(policies, 28)
    shown = [index for index in range(len(policies)) if heights[index].max(initial=0) >= 0.02]
    rest = 1 - heights[shown].sum(axis=0)
    areas = axes.stackplot(
        iterations, *heights[shown], rest, labels=[labels[policies[index]] for index in shown],
        colors=[*(palette[policies[index]].colour for index in shown), NEUTRAL], alpha=0.8, edgecolor="white", linewidth=0.8,
    )  # fmt: skip
    for area, index in zip(areas, shown, strict=False):  # the last is the rest
        area.set_hatch(palette[policies[index]].hatch)
    axes.set_xlim(iterations[0], iterations[-1])
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("iteration")
    axes.set_ylabel("share of the mixture")
    axes.set_title(title or "Who is played how often, iteration by iteration")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=1, reverse=True)
    return figure


@styled
def exploitability_history(table: pd.DataFrame, title: str = "") -> Figure:
    """Two numbers that are never one: the gap inside the meta-game, and what a trained best response gains outside it.

    Args:
        table: a row an iteration: `iteration`, `gap`, and `exploitability`, `low`, `high`: the best response's held-out
            payoff against the mixture; nan where none was trained; `by`, `largest`, `largest low`, `largest high`: the
            largest bound known. And, where it is known, `exact`.
    """
    figure = new_figure(8.5, 4.2)
    axes = figure.add_subplot()
    axes.plot(table["iteration"], table["gap"], color=NEUTRAL, marker="s", linestyle="--", label="meta-game gap")
    known = table.dropna(subset=["exploitability"])
    colour = COLOURS[1]
    axes.plot(known["iteration"], known["exploitability"], color=colour, marker="o",
              label="approximate exploitability (a lower bound), 95% interval")  # fmt: skip
    axes.vlines(known["iteration"], known["low"], known["high"], color=colour, linewidth=2.5, alpha=0.5)
    raised = table[(table["by"] != "its response") & (table["largest low"] > 0)]
    if len(raised):
        colour = COLOURS[0]
        axes.plot(raised["iteration"], raised["largest"], color=colour, marker="^", linestyle="none",
                  label="largest bound, by anybody in today's population")  # fmt: skip
        axes.vlines(
            raised["iteration"], raised["largest low"], raised["largest high"], color=colour, linewidth=2.5, alpha=0.5
        )
    if "exact" in table and table["exact"].notna().any():
        axes.plot(table["iteration"], table["exact"], color=INK, marker="D", markersize=5, linewidth=1,
                  label="exploitability, exact")  # fmt: skip
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("iteration")
    axes.set_ylabel("payoff gained a game")
    axes.set_title(title or "How far the mixture can be exploited")
    axes.legend(loc="upper right")
    return figure


@styled
def cycles(found: Equilibrium, palette: Palette | None = None, title: str = "") -> Figure:
    """Who circles with whom, and at what strength: a spinning top seen from above, and from its side.

    Left, policies in the plane of most circling: who is ahead, counter-clockwise, beats who is behind; near the middle, few
    circles. Right, their strength, the ranking's part, over one side of that plane.

    Source: Balduzzi et al. 2019, arXiv 1901.08106 (the plane); Czarnecki et al. 2020, arXiv 2004.09468 (the top).
    """
    game = found.game
    palette = palette or Palette(game.rows)
    described = structure(game.payoffs())
    split = f"{described.transitive:.0%} of the payoffs is a ranking, {described.cyclic:.0%} circles"
    split = split if game.payoffs().any() else "All payoffs are even: no ranking, no circles"
    figure = new_figure(10, 4.9, title or split)
    above, beside = figure.subplots(1, 2)
    labels = short_names(list(game.rows), 24)
    size = max(np.abs(described.plane).max(initial=0), 1e-9) * 1.35
    heights = described.plane[:, 1], described.ratings
    for axes, height in zip((above, beside), heights, strict=True):
        for index, policy in enumerate(game.rows):
            look = {"color": palette[policy].colour, "marker": palette[policy].marker, "alpha": 0.6, "linewidth": 0}
            axes.scatter(described.plane[index, 0], height[index], s=40 + 700 * found.profile.row[index], **look)
        axes.axhline(0, color=MUTED, linewidth=0.7)
        axes.axvline(0, color=MUTED, linewidth=0.7)
        axes.set_xlim(-size, size)
        axes.set_xticks([])
        axes.grid(visible=False)
    above.set_ylim(-size, size)
    above.set_aspect("equal")
    above.set_yticks([])
    above.set_xlabel("from above: counter-clockwise, ahead beats behind")
    beside.margins(y=0.15)
    for axes, height in zip((above, beside), heights, strict=True):
        _name(axes, described.plane[:, 0], height, [labels[policy] for policy in game.rows])
    beside.set_ylabel("strength: mean payoff against all")
    beside.set_xlabel("from the side (area: share of the mixture)")
    return figure


def _name(axes: Axes, across: np.ndarray, heights: np.ndarray, names: Sequence[str]) -> None:
    """Write names beside points, moved apart where they are as high, each tied to its point."""
    low, high = axes.get_ylim()
    gap = (high - low) * 11 / (axes.figure.get_size_inches()[1] * 72 * 0.8)
    shift = 0.03 * np.ptp(axes.get_xlim())
    places = moved_apart(heights, gap)
    axes.set_ylim(min(low, places.min() - gap), max(high, places.max() + gap))
    for x, y, place, name in zip(across, heights, places, names, strict=True):
        tie = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)}
        axes.annotate(name, (x, y), (x + shift, place), va="center", fontsize=8.5, arrowprops=tie)


@styled
def side_by_side(table: pd.DataFrame, sides: Sequence[str], palette: Palette | None = None, title: str = "") -> Figure:
    """What two ways of playing earned against the same opponents, with 95% intervals.

    Args:
        table: of `workbench.metagame.side_by_side`.
        sides: their names in it.
    """
    palette = palette or Palette(sides)
    figure = new_figure(8.5, 1.8 + 0.42 * max(len(table), 3))
    axes = figure.add_subplot()
    shift = np.linspace(-0.14, 0.14, len(sides)) if len(sides) > 1 else [0.0]
    for side, offset in zip(sides, shift, strict=True):
        look, places = palette[side], np.arange(len(table)) + offset
        axes.hlines(places, table[f"{side} low"], table[f"{side} high"], color=look.colour, linewidth=2.5, alpha=0.5)
        axes.plot(table[side], places, linestyle="", marker=look.marker, color=look.colour, label=side)
    labels = short_names(table["opponent"].tolist(), 30)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(table)), [labels[opponent] for opponent in table["opponent"]])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("payoff a game (line: 95% interval)")
    axes.set_title(title or f"{' and '.join(sides)} against the same opponents")
    figure.legend(loc="outside lower center", ncols=len(sides))
    return figure
