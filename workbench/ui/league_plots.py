"""Figures of a league: who met whom and who won, how it grew, and what it gained over other ways to spend its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from workbench.metagame.statistics import mean_interval
from workbench.ui.style import (
    COLOURS,
    DIVERGING,
    INK,
    MUTED,
    NEUTRAL,
    Figure,
    ink_on,
    new_figure,
    short_names,
    styled,
)

ROLES = {"main": COLOURS[0], "main_exploiter": COLOURS[1], "league_exploiter": COLOURS[2]}
_WRITTEN = 22  # beyond so many opponents cells are too narrow for numbers
_SHOWN = 60  # opponents at most


@styled
def league_matches(met: pd.DataFrame, order: Sequence[str], title: str = "") -> Figure:
    """Who met whom over the whole training: shares of an agent's games, and its win rates.

    Args:
        met: of `League.met`.
        order: ids in which opponents stand, as they joined; who was met most stays where there are too many.
    """
    agents = list(dict.fromkeys(met["agent"]))
    shares = met.pivot_table(index="agent", columns="opponent", values="share", aggfunc="sum").reindex(index=agents)
    shown = shares.max().nlargest(_SHOWN).index
    columns = [id for id in ("current", *order) if id in shown]
    games = (met["wins"] + met["draws"] + met["losses"]).groupby([met["agent"], met["opponent"]]).sum().unstack()
    rates = met.pivot_table(index="agent", columns="opponent", values="win_rate", aggfunc="first")
    figure = new_figure(min(15, 3.2 + 0.52 * max(len(columns), 8)), 2.6 + 0.8 * len(agents))
    above, below = figure.subplots(2, 1, sharex=True)
    most = float(np.nanmax(shares.to_numpy(), initial=0.01))
    _cells(above, shares[columns], "Blues", Normalize(0, most))
    above.set_title(title or "Share of an agent's games by opponent, in the order in which opponents joined")
    _cells(
        below, rates.reindex(index=agents, columns=columns), DIVERGING, Normalize(0, 1), games.reindex(columns=columns)
    )
    below.set_title("Its win rate in them (blue wins, red loses; bold: 95% excludes a half)")
    names = short_names(columns, 22)
    labels = ["itself" if id == "current" else names[id] for id in columns]
    below.set_xticks(range(len(columns)), labels, rotation=45, ha="right", rotation_mode="anchor",
                     fontsize=9 if len(columns) <= _WRITTEN else 7)  # fmt: skip
    return figure


def _cells(axes: Axes, table: pd.DataFrame, colours: str, norm: Normalize, games: pd.DataFrame | None = None) -> None:
    values, colour_map = table.to_numpy(), colormaps[colours]
    axes.imshow(values, cmap=colour_map, norm=norm, aspect="auto")
    axes.set_facecolor("#f0f0f0")
    axes.set_yticks(range(len(table)), short_names(table.index.tolist(), 24).values())
    axes.grid(visible=False)
    if table.shape[1] > _WRITTEN:
        return
    for i, j in np.argwhere(np.isfinite(values)):
        sure = games is not None and _excludes_half(values[i, j], games.iloc[i, j])
        axes.text(j, i, f"{values[i, j]:.0%}", ha="center", va="center", fontsize=8,
                  fontweight="bold" if sure else "normal", color=ink_on(colour_map(norm(values[i, j]))))  # fmt: skip


def _excludes_half(rate: float, games: float) -> bool:
    from workbench.arena import wilson_interval

    low, high = wilson_interval(rate * games, games)
    return bool(low > 0.5 or high < 0.5)


@styled
def league_growth(joined: Sequence[Mapping], history: Sequence[Mapping], title: str = "") -> Figure:
    """How a league grew: its frozen copies by role, and the Elo of agents, with a dot where a copy was made.

    Args:
        joined: of `Roster.joined`.
        history: rows with `step` and `league/<agent>/elo`, as `run_trial` returns them.
    """
    frame = pd.DataFrame(list(history))
    end = int(frame["step"].max())
    agents = {one["id"]: one["role"] for one in joined if one["kind"] == "agent"}
    copies = pd.DataFrame([one for one in joined if one["kind"] == "copy"])
    figure = new_figure(9, 5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    times = np.unique([0, *copies["frames"], *copies["left"].dropna(), end])
    bottom = np.zeros(len(times))
    for role, colour in ROLES.items():
        mine = copies[copies["role"] == role]
        left = mine["left"].astype(float).fillna(np.inf)
        count = [((mine["frames"] <= time) & (left > time)).sum() for time in times]
        if any(count):
            label = f"{role.replace('_', ' ')}s' copies"
            above.fill_between(
                times, bottom, bottom + count, step="post", color=colour, alpha=0.55, linewidth=0, label=label
            )
            bottom += count
    above.set_ylim(0)
    above.yaxis.set_major_locator(MaxNLocator(integer=True))
    above.set_ylabel("frozen copies")
    above.set_title(title or f"The league: {len(agents)} agents, {len(copies)} copies made, {int(bottom[-1])} kept")
    above.legend(loc="upper left")
    seen: dict[str, int] = {}
    for agent, role in agents.items():
        dashes = ((None, None), (5, 2), (1.5, 1.5))[seen.setdefault(role, 0) % 3]
        seen[role] += 1
        curve = frame[["step", f"league/{agent}/elo"]].dropna()
        below.plot(*curve.to_numpy().T, color=ROLES[role], dashes=dashes, linewidth=1.5, label=agent)
        mine = copies[copies["parent"] == agent]
        below.plot(mine["frames"], mine["elo"], linestyle="", marker="o", markersize=5, color=ROLES[role])
    below.set_ylabel("Elo within the league\n(dot: a copy joins)")
    below.set_xlabel("frames (env steps of all agents, summed over games)")
    below.xaxis.set_major_formatter(EngFormatter(sep=""))
    below.set_xlim(0, end)
    below.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@styled
def arms_over_frames(
    runs: Mapping[tuple[str, int], Sequence[Mapping]],
    metric: str,
    axis: str,
    *,
    mixtures: Mapping[str, Sequence[float]] | None = None,
    title: str = "",
) -> Figure:
    """A metric of several arms over the same frames, and where they ended with 95% intervals over seeds.

    Args:
        runs: by arm and seed, rows with `step` and, in some, the metric.
        metric: its name.
        axis: what it is called, with its unit.
        mixtures: by arm, for each seed the metric of the Nash mixture of what it had frozen at the end.
    """
    arms = list(dict.fromkeys(arm for arm, _ in runs))
    figure = new_figure(9.5 if mixtures is None else 11, 4.2)
    widths = (3, 1.4) if mixtures is None else (3, 1.4, 1.4)
    left, *ends = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
    for place, (arm, colour) in enumerate(zip(arms, COLOURS, strict=False)):
        curves = [
            pd.DataFrame(list(rows)).set_index("step")[metric].dropna()
            for (name, _), rows in runs.items()
            if name == arm
        ]
        for curve in curves:
            left.plot(curve.index, curve, color=colour, alpha=0.3, linewidth=1)
        mean = pd.concat(curves, axis=1).sort_index().interpolate(method="index", limit_area="inside").mean(axis=1)
        left.plot(mean.index, mean, color=colour, linewidth=2, label=arm)
        values = [[curve.iloc[-1] for curve in curves], *([] if mixtures is None else [mixtures[arm]])]
        for axes, some in zip(ends, values, strict=True):
            _interval(axes, place, some, colour)
    left.set_ylim(0)
    left.set_ylabel(axis)
    left.set_xlabel("frames (env steps of all learners, summed over games)")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    left.legend()
    left.set_title(title or "The last policy, each seed and the mean")
    for axes, name in zip(ends, ("At the end", "Nash mixture\nof its copies"), strict=False):
        axes.set_xticks(range(len(arms)), arms, rotation=20, ha="right")
        axes.set_xlim(-0.9, len(arms) - 0.5)
        axes.grid(axis="x", visible=False)
        axes.set_title(name)
    return figure


@styled
def arms_against(scores: pd.DataFrame, title: str = "") -> Figure:
    """Win rates of the arms' last policies against the other arms and against some players, with 95% intervals over seeds.

    Args:
        scores: of `workbench.arena.league_arms.scores`.
    """
    arms = list(dict.fromkeys(scores["arm"]))
    met = set(scores["against"])
    against = [arm for arm in arms if arm in met] + [id for id in dict.fromkeys(scores["against"]) if id not in arms]
    figure = new_figure(8.5, 1.9 + 0.5 * max(len(against), 2))
    axes = figure.add_subplot()
    shift = np.linspace(-0.22, 0.22, len(arms)) if len(arms) > 1 else [0.0]
    for arm, colour, offset in zip(arms, COLOURS, shift, strict=False):
        for place, opponent in enumerate(against):
            chosen = scores[(scores["arm"] == arm) & (scores["against"] == opponent)]["win_rate"]
            if len(chosen):
                _interval(axes, place + offset, chosen.tolist(), colour, upright=False)
        axes.plot([], [], marker="o", color=colour, linewidth=3, alpha=0.6, label=arm)
    axes.axvline(0.5, color=NEUTRAL, linestyle="--", linewidth=1, zorder=0)
    labels = short_names(against, 28)
    axes.set_yticks(range(len(against)), [f"against {labels[name]}" for name in against])
    axes.set_ylim(len(against) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("win rate, draws as halves (mean and 95% interval over seeds; small dots: each seed)")
    axes.grid(axis="y", visible=False)
    axes.set_title(title or "The last policies of each arm", color=INK)
    figure.legend(loc="outside lower center", ncols=len(arms))
    return figure


def _interval(axes: Axes, place: float, values: Sequence[float], colour: str, upright: bool = True) -> None:
    """A mean with its interval, and each value, across the axis: exploitabilities upright, win rates along it."""
    mean, low, high = mean_interval(values, (0, np.inf) if upright else (0, 1))
    draw = axes.vlines if upright else axes.hlines
    if np.isfinite(low):
        draw(place, low, high, color=colour, linewidth=3, alpha=0.45)
    places = np.full(len(values), place + (0.12 if upright else 0.08))
    for x, size in ((([place], [mean]), 7), ((places, values), 3)):
        axes.plot(*(x if upright else x[::-1]), linestyle="", marker="o", markersize=size, color=colour)
    if upright:
        axes.annotate(f"{mean:.3f}", (place, mean), (-9, 0), textcoords="offset points", fontsize=9, ha="right", va="center",
                      color=MUTED)  # fmt: skip
