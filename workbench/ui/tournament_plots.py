"""Figures of a tournament: who stands where, how ratings moved, who beats whom, what the games were like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator, PercentFormatter

from workbench.arena import Matches, Ratings, wilson_interval
from workbench.arena import ratings as rate
from workbench.ui.style import (
    COLOURS,
    DIVERGING,
    INK,
    MUTED,
    NEUTRAL,
    Figure,
    Palette,
    ink_on,
    moved_apart,
    new_figure,
    save_figure,
    short_names,
    styled,
)

_ROOM = 22  # points above a panel, for a legend between it and its title
_ABOVE = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.1, "borderpad": 0.2, "handlelength": 1}
_MANY = 24  # beyond so many policies labels of lines and cells would cover each other


@styled
def elo_rankings(ratings: Ratings, palette: Palette | None = None, title: str = "") -> Figure:
    """The leaderboard: Bradley–Terry ratings with 95% intervals, Elo beside them, the initial rating dashed."""
    table = ratings.table
    palette = palette or Palette(ratings.matches.policies)
    figure = new_figure(8.5, 1.7 + 0.36 * max(len(table), 2))
    axes = figure.add_subplot()
    labels = short_names(table["policy"].tolist(), 36)
    for place, row in enumerate(table.itertuples()):
        look = palette[row.policy]
        low, high = (row.bradley_terry, row.bradley_terry) if np.isnan(row.low) else (row.low, row.high)
        axes.plot([low, high], [place, place], color=look.colour, linewidth=3, alpha=0.45, solid_capstyle="round")
        axes.plot(row.bradley_terry, place, marker=look.marker, color=look.colour, markersize=8)
        axes.plot(row.elo, place, marker="|", color=INK, markersize=11, markeredgewidth=1.3)
        axes.annotate(
            f"{row.bradley_terry:.0f}",
            (max(high, row.elo), place),
            (8, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=9,
        )
    axes.axvline(ratings.elo.initial, color=MUTED, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(table)), [labels[policy] for policy in table["policy"]])
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)
    axes.set_xlabel("rating (Elo points; 100 more are expected to win 64% of games)")
    axes.set_title(title or f"{_games(ratings.matches)}: ratings after {len(ratings.matches)} games")
    handles = [
        axes.plot([], [], marker="o", color=NEUTRAL, linewidth=3, alpha=0.7)[0],
        axes.plot([], [], marker="|", color=INK, linestyle="", markersize=11, markeredgewidth=1.3)[0],
        axes.plot([], [], color=MUTED, linestyle="--", linewidth=1)[0],
    ]
    elo = f"Elo, mean of {ratings.elo.shuffles} orders" if ratings.elo.shuffles else "Elo, game by game"
    names = ["Bradley–Terry, 95% interval", elo, f"initial rating {ratings.elo.initial:.0f}"]
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


@styled
def elo_progression(ratings: Ratings, palette: Palette | None = None, title: str = "") -> Figure:
    """Each policy's Elo rating after each of its games, in one order of the tournament's games.

    Another order ends elsewhere; the figure says so where the final ratings are means over many, and refers to
    Bradley–Terry, which knows no order.
    """
    palette = palette or Palette(ratings.matches.policies)
    progression, initial = ratings.elo.progression, ratings.elo.initial
    policies = ratings.elo.ratings.index.tolist()
    figure = new_figure(9, max(4.2, 0.24 * min(len(policies), _MANY) + 1))
    axes = figure.add_subplot()
    ends = []
    for policy in policies:
        games, values = _rating_path(progression, policy, initial)
        look = palette[policy]
        thin = 1.5 if len(policies) <= 8 else 1.1
        axes.plot(games, values, color=look.colour, dashes=look.dashes, linewidth=thin, drawstyle="steps-post")
        ends.append((values[-1], policy))
    axes.axhline(initial, color=MUTED, linestyle="--", linewidth=1, zorder=0)
    axes.set_xlim(0, max(len(progression), 1))
    one = "\none order of many: where it ends is chance in part; the standing is Bradley–Terry's"
    axes.set_xlabel("games of the tournament, in the order rated" + (one if ratings.elo.shuffles else ""))
    axes.set_ylabel("Elo rating")
    k = f" (K = {ratings.elo.k:g})" if ratings.elo.k is not None else ""
    axes.set_title(title or f"{_games(ratings.matches)}: Elo game by game{k}")
    _label_ends(axes, ends, palette)
    return figure


def _rating_path(progression, policy: str, initial: float) -> tuple[np.ndarray, np.ndarray]:
    first = (progression["player"] == policy).to_numpy()
    second = (progression["opponent"] == policy).to_numpy()
    after = np.where(first, progression["player_rating_after"], progression["opponent_rating_after"])
    took_part = np.flatnonzero(first | second)
    last = after[took_part[-1]] if len(took_part) else initial
    games = np.concatenate([[0], took_part + 1, [len(progression)]])
    return games, np.concatenate([[initial], after[took_part], [last]])


def _label_ends(axes: Axes, ends: list[tuple[float, str]], palette: Palette) -> None:
    """Write names at the right, moved apart where lines end close together, each tied to its line's end."""
    ends = sorted(ends)[-_MANY:]
    labels = short_names([policy for _, policy in ends], 30)
    low, high = axes.get_ylim()
    height = axes.figure.get_size_inches()[1] * 72 * 0.72
    gap = (high - low) * 12.5 / height
    places = moved_apart([value for value, _ in ends], gap)
    axes.set_ylim(min(low, places.min() - gap), max(high, places.max() + gap))
    for place, (value, policy) in zip(places, ends, strict=True):
        axes.annotate(
            f"{labels[policy]}  {value:.0f}",
            xy=(1, value),
            xytext=(1.03, place),
            xycoords=axes.get_yaxis_transform(),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
            color=palette[policy].colour,
            arrowprops={
                "arrowstyle": "-",
                "color": palette[policy].colour,
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


@styled
def winrate_heatmap(matches: Matches, ratings: Ratings | None = None, title: str = "") -> Figure:
    """How often the row's policy beats the column's, strongest first; blue wins, red loses, white is even.

    Each cell holds the win rate (draws as halves), and where there is room its 95% interval and the games. A bold rate
    is one whose interval excludes a half.
    """
    ratings = ratings or rate(matches, bootstraps=0)
    policies = ratings.table["policy"].tolist()
    counts = ratings.matches.counts
    order = [counts.policies.index(policy) for policy in policies]
    points = (counts.wins + counts.draws / 2)[np.ix_(order, order)]
    games = counts.games[np.ix_(order, order)]
    with np.errstate(invalid="ignore"):
        rates = points / games
    low, high = wilson_interval(points, games)
    count = len(policies)
    cell = 0.95 if count <= 8 else 0.62 if count <= 14 else 0.4
    figure = new_figure(max(6.0, 3.4 + cell * count), max(3.6, 2.0 + cell * 0.72 * count))
    axes = figure.add_subplot()
    image = axes.imshow(rates, cmap=DIVERGING, norm=Normalize(0, 1), aspect="auto")
    axes.set_facecolor("#f0f0f0")
    for i, j in np.ndindex(count, count):
        if games[i, j]:
            _write_cell(axes, (i, j), rates[i, j], low[i, j], high[i, j], games[i, j], count)
    labels = short_names(policies, 28)
    names = [labels[policy] for policy in policies]
    axes.set_yticks(range(count), names)
    slanted = max(map(len, names), default=0) > 9 or count > 8
    axes.set_xticks(range(count), names, rotation=35 if slanted else 0, ha="right" if slanted else "center")
    if slanted:
        for label in axes.get_xticklabels():
            label.set_rotation_mode("anchor")
    axes.grid(visible=False)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("opponent")
    axes.set_ylabel("policy")
    axes.set_title(title or f"{_games(matches)}: win rates head to head")
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1), shrink=0.8, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("win rate, draws as halves")
    return figure


def _write_cell(axes: Axes, place, rate: float, low: float, high: float, games: int, count: int) -> None:
    i, j = place
    colour = ink_on(colormaps[DIVERGING](rate))
    weight = "bold" if low > 0.5 or high < 0.5 else "normal"
    if count <= 8:
        axes.text(j, i - 0.14, f"{rate:.0%}", ha="center", va="center", color=colour, fontsize=11, fontweight=weight)
        note = f"{low:.0%}–{high:.0%}\n{games} games"
        axes.text(j, i + 0.22, note, ha="center", va="center", color=colour, fontsize=7, linespacing=1.05)
    elif count <= _MANY:
        size = 9 if count <= 14 else 7
        axes.text(j, i, f"{100 * rate:.0f}", ha="center", va="center", color=colour, fontsize=size, fontweight=weight)


@styled
def statistics_comparison(matches: Matches, palette: Palette | None = None, title: str = "") -> Figure:
    """Per policy: win rate with its 95% interval, games won, drawn and lost, lengths of games, ways they ended."""
    palette = palette or Palette(matches.policies)
    policies = sorted(matches.policies, key=lambda policy: -np.nan_to_num(matches.score(policy).rate, nan=-1.0))
    height = 1.2 + 0.3 * max(len(policies), 3)
    figure = new_figure(11, 2 * height, title or f"{_games(matches)}: {len(matches)} games compared")
    (top, results), (lengths, ends) = figure.subplots(2, 2, sharey=True)
    labels = short_names(policies, 26)
    places = np.arange(len(policies))
    _draw_win_rates(top, matches, policies, palette)
    _draw_results(results, matches, policies)
    _draw_lengths(lengths, matches, policies, palette)
    _draw_ends(ends, matches, policies)
    for axes in (top, results, lengths, ends):
        axes.set_yticks(places, [labels[policy] for policy in policies])
        axes.set_ylim(len(policies) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
    return figure


def _draw_win_rates(axes: Axes, matches: Matches, policies, palette: Palette) -> None:
    for place, policy in enumerate(policies):
        score, look = matches.score(policy), palette[policy]
        axes.plot([score.low, score.high], [place, place], color=look.colour, linewidth=3, alpha=0.45)
        axes.plot(score.rate, place, marker=look.marker, color=look.colour, markersize=7)
    axes.axvline(0.5, color=MUTED, linestyle="--", linewidth=1)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("win rate, draws as halves, 95% interval")
    axes.set_title("Win rate against all others", pad=_ROOM)


def _draw_results(axes: Axes, matches: Matches, policies) -> None:
    left = np.zeros(len(policies))
    scores = [matches.score(policy) for policy in policies]
    for name, colour in (("wins", "#4393c3"), ("draws", "#c9c9c9"), ("losses", "#d6604d")):
        counts = np.array([getattr(score, name) for score in scores])
        axes.barh(range(len(policies)), counts, left=left, height=0.62, color=colour, label=name)
        left += counts
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_xlabel("games")
    axes.set_title("Won, drawn, lost", pad=_ROOM)
    axes.legend(ncols=3, **_ABOVE)


def _draw_lengths(axes: Axes, matches: Matches, policies, palette: Palette) -> None:
    sides = matches.sides()
    by_policy = [sides["length"][sides["policy"] == policy].to_numpy() for policy in policies]
    boxes = axes.boxplot(
        by_policy,
        positions=range(len(policies)),
        orientation="horizontal",
        widths=0.55,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        medianprops={"color": INK, "linewidth": 1.4},
        manage_ticks=False,
    )
    for box, policy in zip(boxes["boxes"], policies, strict=True):
        box.set(facecolor=palette[policy].colour, alpha=0.5, edgecolor=palette[policy].colour)
    axes.set_xlim(left=0)
    axes.set_xlabel("env steps a game (box: middle half, whiskers: 5% to 95%)")
    axes.set_title("Length of games", pad=_ROOM)


def _draw_ends(axes: Axes, matches: Matches, policies) -> None:
    sides = matches.sides()
    shares = sides.groupby("policy")["end_reason"].value_counts(normalize=True).unstack(fill_value=0.0)
    left = np.zeros(len(policies))
    reasons = shares.sum().sort_values(ascending=False).index
    for reason, colour in zip(reasons, ["#bdbdbd", *COLOURS[1:], *COLOURS], strict=False):
        width = shares[reason].reindex(policies, fill_value=0.0).to_numpy()
        axes.barh(range(len(policies)), width, left=left, height=0.62, color=colour, label=reason)
        left += width
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of games")
    axes.set_title("How games ended", pad=_ROOM)
    axes.legend(ncols=min(4, len(reasons)), **_ABOVE)


def save_tournament_figures(
    matches: Matches, folder: str | Path, ratings: Ratings | None = None, palette: Palette | None = None
) -> dict[str, Path]:
    """Write `elo_rankings.png`, `elo_progression.png`, `winrate_heatmap.png` and `statistics_comparison.png`.

    Args:
        matches: the games.
        folder: made where missing.
        ratings: of these matches, if already computed.
        palette: the run's, so that policies keep their colours.

    Returns:
        the files' paths by figure name.
    """
    ratings = ratings or rate(matches)
    palette = palette or Palette(matches.policies)
    figures = {
        "elo_rankings": elo_rankings(ratings, palette),
        "elo_progression": elo_progression(ratings, palette),
        "winrate_heatmap": winrate_heatmap(matches, ratings),
        "statistics_comparison": statistics_comparison(ratings.matches, palette),
    }
    return {name: save_figure(figure, Path(folder) / f"{name}.png") for name, figure in figures.items()}


def _games(matches: Matches) -> str:
    return ", ".join(matches.table["env"].unique()) or "no games"
