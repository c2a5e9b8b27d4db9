"""Figures of fictitious self-play: how far the average can be exploited as it learns, and what it earns from others."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter, FuncFormatter, PercentFormatter

from workbench.ui.style import COLOURS, INK, MUTED, NEUTRAL, Figure, Palette, new_figure, short_names, styled
from workbench.ui.training_plots import Metrics, win_rate_curves

_PREFIX = "nash_conv/"
_LOOKS = {"average": (COLOURS[0], "average policy"), "best_response": (COLOURS[1], "best response, as it stands")}


@styled
def average_and_response(metrics: Metrics, title: str = "") -> Figure:
    """How a run of fictitious self-play went: exact NashConv of both policies where it was logged; else how often the best
    response beat the average in training, which stays near a half once there is little left to exploit.

    Args:
        metrics: rows with `step`, and `nash_conv/average`, `nash_conv/best_response` or `charts/win_rate/average`.
    """
    frame = metrics if isinstance(metrics, pd.DataFrame) else pd.DataFrame(list(metrics))
    names = [f"{_PREFIX}{name}" for name in _LOOKS]
    if not set(names) <= set(frame.columns):
        return win_rate_curves(frame, title=title or "How often the best response beats the average, in training")
    curve = frame[["step", *names]].dropna().rename(columns=lambda name: name.removeprefix(_PREFIX))
    return nash_conv_curves(curve.rename(columns={"step": "frames"}), title=title)


@styled
def nash_conv_curves(curves: pd.DataFrame, target: float | None = None, title: str = "") -> Figure:
    """Exact NashConv of the average policy and of its best response, over frames.

    Args:
        curves: columns frames, average, best_response, as `benchmarks.fictitious_play.nfsp_curve` gives; and seed, where
            there are several: each is drawn faintly, their mean strongly.
        target: a line to come beneath.
        title: by default says where both ended, on average over the seeds.
    """
    curves = curves if "seed" in curves else curves.assign(seed=0)
    figure = new_figure(8, 4.2)
    axes = figure.add_subplot()
    last, seeds = {}, curves["seed"].nunique()
    for name, (colour, label) in _LOOKS.items():
        for _, run in curves.groupby("seed"):
            axes.plot(
                run["frames"],
                run[name],
                color=colour,
                alpha=0.35 if seeds > 1 else 1,
                linewidth=1 if seeds > 1 else None,
            )
        mean = curves.groupby("frames")[name].mean()
        if seeds > 1:
            axes.plot(mean.index, mean, color=colour)
        last[name] = mean.iloc[-1]
        axes.plot([], [], color=colour, label=f"{label}{f', mean of {seeds} seeds' if seeds > 1 else ''}")
    if target is not None:
        axes.axhline(target, color=MUTED, linestyle="--", linewidth=1, label=f"asked: below {target:g}")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("frames (env steps, summed over games)")
    axes.set_ylabel("NashConv (payoff a game, log scale)")
    axes.set_title(
        title
        or f"NashConv of the average comes to {last['average']:.3g}, of its best response to {last['best_response']:.3g}",
        color=INK,
    )
    axes.legend()
    return figure


@styled
def held_out_results(table: pd.DataFrame, player: str, palette: Palette | None = None, title: str = "") -> Figure:
    """What one policy got from each opponent in held-out games, with 95% intervals.

    Where games are for different amounts, payoffs are drawn, else win rates.

    Args:
        table: from `metagame.held_out.held_out`.
        player: whose results these are.
    """
    palette = palette or Palette(table["opponent"])
    stakes = not np.allclose(table["payoff"], 2 * table["win_rate"] - 1)
    value, low, high, even = (
        ("payoff", "payoff_low", "payoff_high", 0.0) if stakes else ("win_rate", "low", "high", 0.5)
    )
    figure = new_figure(8, 1.5 + 0.38 * max(len(table), 2))
    axes = figure.add_subplot()
    labels = short_names(list(table["opponent"]), 30)
    for place, row in enumerate(table.to_dict("records")):
        look = palette[row["opponent"]]
        axes.plot(
            [row[low], row[high]], [place, place], color=look.colour, linewidth=3, alpha=0.45, solid_capstyle="butt"
        )
        axes.plot(row[value], place, marker="o", color=look.colour, markersize=7)
        shown = f"{row[value]:+.2f}" if stakes else f"{row[value]:.0%}"
        axes.annotate(shown, (row[high], place), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.axvline(even, color=NEUTRAL, linestyle="--", linewidth=1, zorder=0)
    axes.set_yticks(range(len(table)), [labels[name] for name in table["opponent"]])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    if stakes:
        axes.margins(x=0.15)
        axes.set_xlabel("payoff a game, both seats (line: even), 95% interval")
    else:
        axes.set_xlim(0, 1.08)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("win rate, draws as halves (line: even), 95% interval")
    axes.set_title(title or f"{player}: {int(table['games'].min()):,} held-out games against each")
    return figure
