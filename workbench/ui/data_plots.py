"""Figures of datasets: what a filter left out and why, how long trajectories are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from workbench.ui.style import COLOURS, INK, MUTED, NEUTRAL, Figure, new_figure, short_names, styled

# words for the reasons of `filtering_stats.json`
REASONS = {
    "load_error": "could not be read",
    "too_short": "too short",
    "too_long": "too long",
    "invalid_actions": "too many illegal actions",
    "not_won": "not won",
    "unbalanced": "left out for balance",
}


@styled
def filter_summary(stats: Mapping, title: str = "") -> Figure:
    """What a filter kept, what it left out for which reason, and the outcomes before and after.

    Args:
        stats: the content of `filtering_stats.json`.
        title: of the whole figure; by default says how much was kept.
    """
    total, kept = stats["input_count"], stats["output_count"]
    share = kept / total if total else 0.0
    outcomes = stats.get("outcomes")
    reasons = stats["failed_reasons"]
    figure = new_figure(
        10,
        1.9 + 0.34 * max(len(reasons) + 1, 4),
        title or f"Filter kept {kept:,} of {total:,} trajectories ({share:.1%})",
    )
    left, right = figure.subplots(1, 2, width_ratios=(3, 2)) if outcomes else (figure.add_subplot(), None)
    bars = [("kept", kept, COLOURS[2])]
    bars += [(REASONS.get(reason, reason.replace("_", " ")), count, COLOURS[1]) for reason, count in reasons.items()]
    for place, (_, count, colour) in enumerate(bars):
        left.barh(place, count, height=0.62, color=colour)
        part = f"{count:,}  ({count / total:.1%})" if total else "0"
        left.annotate(part, (count, place), (5, 0), textcoords="offset points", va="center", fontsize=9)
    left.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    left.set_ylim(max(len(bars), 4) - 0.4, -0.6)
    left.grid(axis="y", visible=False)
    left.margins(x=0.28)
    left.set_xlim(left=0)
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    left.set_xlabel("trajectories; each counts under the first reason that applies")
    left.set_title("What happened to them", pad=22 if right is not None else None)
    if right is not None:
        _draw_outcomes(right, outcomes)
    return figure


def _draw_outcomes(axes: Axes, outcomes: Mapping[str, Mapping[str, int]]) -> None:
    kinds = {"won": "#4393c3", "drawn": "#c9c9c9", "lost": "#d6604d"}
    for place, side in enumerate(("input", "output")):
        counts = outcomes[side]
        total = max(1, sum(counts.values()))
        left = 0.0
        for kind, colour in kinds.items():
            width = counts.get(kind, 0) / total
            axes.barh(place, width, left=left, height=0.55, color=colour, label=kind if place == 0 else None)
            if width > 0.08:
                dark = INK if kind == "drawn" else "white"
                axes.text(left + width / 2, place, f"{width:.0%}", ha="center", va="center", color=dark, fontsize=9)
            left += width
    axes.set_yticks([0, 1], ["before", "after"])
    axes.set_ylim(1.6, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel("share of trajectories")
    axes.set_title("Outcomes", pad=22)
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1, borderpad=0.2, handlelength=1)


@styled
def length_distributions(
    lengths: Mapping[str, Sequence[int]],
    *,
    unit: str = "decisions a trajectory",
    limits: tuple[float | None, float | None] = (None, None),
    title: str = "How long trajectories are",
) -> Figure:
    """Distributions of lengths, one a row, as densities over shared bins, with median and middle half.

    Args:
        lengths: by name (before and after a filter, policies, datasets).
        unit: of the lengths.
        limits: a filter's least and greatest length, drawn dashed.
        title: of the figure.
    """
    arrays = {name: np.asarray(values, float) for name, values in lengths.items() if len(values)}
    labels = short_names(list(arrays), 28)
    figure = new_figure(8.5, 1.5 + 0.85 * max(len(arrays), 2))
    axes = figure.add_subplot()
    everything = np.concatenate(list(arrays.values())) if arrays else np.array([0.0, 1.0])
    top = np.percentile(everything, 99.5)
    # bins as wide as a whole number, or counts of whole numbers would rise and fall with the bins
    width = max(1, np.ceil((top - everything.min()) / 45))
    edges = np.arange(everything.min(), max(top, everything.min()) + 1.5 * width, width) - 0.5
    for place, (values, colour) in enumerate(zip(arrays.values(), COLOURS * 9, strict=False)):
        density = np.histogram(np.minimum(values, edges[-1]), edges)[0]
        height = 0.78 * density / max(density.max(), 1)
        base = len(arrays) - 1 - place
        axes.stairs(base + height, edges, baseline=base, fill=True, color=colour, alpha=0.45)
        axes.stairs(base + height, edges, baseline=base, color=colour, linewidth=1)
        quarter, median, three = np.percentile(values, [25, 50, 75])
        axes.plot([quarter, three], [base - 0.06] * 2, color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot(median, base - 0.06, marker="o", color=colour, markersize=5, markeredgecolor="white")
        note = f"{len(values):,} in all\nmedian {median:g}"
        axes.annotate(
            note, (1.01, base + 0.25), xycoords=axes.get_yaxis_transform(), fontsize=8.5, color=MUTED, va="center"
        )
    for limit in limits:
        if limit is not None and edges[0] <= limit <= edges[-1]:
            axes.axvline(limit, color=NEUTRAL, linestyle="--", linewidth=1)
    axes.set_yticks([len(arrays) - 1 - i + 0.25 for i in range(len(arrays))], [labels[name] for name in arrays])
    axes.set_ylim(-0.25, len(arrays))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    cut = ", longest 0.5% in the last bin" if everything.max() > edges[-1] else ""
    axes.set_xlabel(f"{unit} (dot: median, bar: middle half{cut})")
    axes.set_title(title)
    return figure
