"""Figures of training: how losses, speed and win rates went, and what the generations have learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from workbench.arena import PopulationSettings, Ratings, wilson_interval
from workbench.ui.style import COLOURS, INK, MUTED, Figure, Palette, new_figure, short_names, styled

# what each metric is called and measured in, in the order of the panels
PANELS = {
    "losses/policy_loss": "policy loss",
    "losses/value_loss": "value loss",
    "validation/loss": "held-out loss (nats)",
    "validation/objective": "held-out loss, weighted as in training (nats)",
    "validation/blind_loss": "held-out loss of a blind predictor (nats)",
    "validation/accuracy": "held-out accuracy (share)",
    "losses/entropy": "entropy (nats)",
    "losses/approx_kl": "KL from the policy that collected (nats)",
    "losses/clip_fraction": "decisions clipped (share)",
    "losses/explained_variance": "explained variance of returns",
    "losses/gradient_norm": "gradient norm",
    "average/loss": "average policy's loss (nats)",
    "average/entropy": "average policy's entropy (nats)",
    "damping/kl": "KL from the reference (nats)",
    "damping/kl_coefficient": "coefficient of that KL",
    "damping/entropy_coefficient": "coefficient of the entropy",
    "charts/episodic_return": "return a game",
    "charts/episodic_length": "length of games (env steps)",
    "charts/learning_rate": "learning rate",
    "charts/SPS": "steps per second",
    "population/elo": "learner's Elo in its population",
}

_WIN_RATES = ("population/win_rate/", "charts/win_rate/")

Metrics = pd.DataFrame | Sequence[Mapping]


@styled
def training_curves(
    metrics: Metrics | Mapping[str, Metrics],
    names: Sequence[str] | None = None,
    *,
    window: int | None = None,
    title: str = "Training",
) -> Figure:
    """Small panels of metrics over steps: every value faint, their running mean strong.

    Args:
        metrics: rows with `step` and metrics by name, as `metrics.jsonl` holds them; or several runs by name.
        names: which metrics, one a panel; by default those of `PANELS` that were logged.
        window: rows of the running mean; by default a twentieth of the run.
        title: of the whole figure.

    Raises:
        ValueError: none of the metrics was logged.
    """
    runs = metrics if isinstance(metrics, Mapping) else {"": metrics}
    frames = {name: _frame(rows) for name, rows in runs.items()}
    logged = [name for name in (names or PANELS) if any(name in frame for frame in frames.values())]
    if not logged:
        known = sorted({column for frame in frames.values() for column in frame.columns} - {"step", "time"})
        raise ValueError(f"none of {list(names or PANELS)} was logged; there is {', '.join(known) or 'nothing'}")
    columns = min(3, len(logged))
    rows = -(-len(logged) // columns)
    figure = new_figure(3.7 * columns, 2.35 * rows + 0.5, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, logged, strict=False):
        for (run, frame), colour in zip(frames.items(), COLOURS * 9, strict=False):
            if name in frame:
                _draw_curve(axes, frame[["step", name]].dropna(), colour, window, run)
        axes.set_title(PANELS.get(name, name), fontsize=10)
        axes.ticklabel_format(axis="y", scilimits=(-3, 5))
        _step_axis(axes)
    for axes in panels[len(logged) :]:
        axes.set_visible(False)
    if len(frames) == 1:
        figure.supxlabel("step", fontsize=10)
    else:  # a legend takes the place of the figure's own label
        for axes in panels[max(0, len(logged) - columns) : len(logged)]:
            axes.set_xlabel("step", fontsize=10)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(6, len(frames)))
    return figure


def _nothing_to_draw(title: str, why: str) -> Figure:
    figure = new_figure(9, 1.4)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_title(title)
    axes.text(0.0, 0.5, why, transform=axes.transAxes, color=MUTED, va="center")
    return figure


def _draw_curve(axes: Axes, curve: pd.DataFrame, colour: str, window: int | None, label: str) -> None:
    steps, values = curve.iloc[:, 0].to_numpy(), curve.iloc[:, 1]
    window = window or max(1, len(curve) // 20)
    if window > 1:
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.9)
    mean = values.rolling(window, min_periods=1, center=True).mean()
    marker = "o" if len(curve) <= 20 else None
    axes.plot(steps, mean, color=colour, linewidth=1.6, label=label, marker=marker, markersize=3.5)


@styled
def win_rate_curves(
    metrics: Metrics,
    palette: Palette | None = None,
    *,
    opponents: Sequence[str] | None = None,
    prefix: str | None = None,
    window: int | None = None,
    memory: int = PopulationSettings.memory,
    title: str = "The learner's win rate against each opponent",
) -> Figure:
    """Win rates over training, one line an opponent, with 95% intervals.

    Where the number of games behind a rate was logged, as a `Population` does, the rate is of about the last `memory`
    games, which the axis says, and the interval is Wilson's. Otherwise lines are running means over `window` rows, and
    the interval follows from how the rows of the window scatter.

    Args:
        metrics: rows with `step` and win rates by name.
        palette: the run's.
        prefix: what the names of win rates begin with; by default `population/win_rate/`, else `charts/win_rate/`.
        window: rows of a running mean; by default a fifteenth of the run.
        memory: the population's (see `PopulationSettings`), for the axis.
        title: of the figure.

    Raises:
        ValueError: no win rate was logged under the prefix that was given. Without one a run that met nobody else is no
            mistake, and the figure says so.
    """
    frame = _frame(metrics)
    if prefix is None:
        prefix = next((p for p in _WIN_RATES if any(c.startswith(p) for c in frame.columns)), None)
        if prefix is None:
            return _nothing_to_draw(title, "no games against others were logged: the policy played only itself")
    met = [column.removeprefix(prefix) for column in frame.columns if column.startswith(prefix)]
    opponents = [opponent for opponent in (opponents or met) if opponent in met]
    if not opponents:
        raise ValueError(f"no metric begins with {prefix!r}; there is {', '.join(frame.columns)}")
    palette = palette or Palette(opponents)
    labels = short_names(opponents, 30)
    figure = new_figure(9, 4.2)
    axes = figure.add_subplot()
    last = {}
    for opponent in opponents:
        steps, rate, low, high = _rates(frame, prefix, opponent, window)
        look = palette[opponent]
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.15, linewidth=0)
        axes.plot(steps, rate, color=look.colour, dashes=look.dashes, label=labels[opponent])
        last[opponent] = rate[-1]
    axes.axhline(0.5, color=MUTED, linestyle="--", linewidth=1, zorder=0)
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    running = f", running over the last ~{memory} games" if _games(prefix, opponents[0]) in frame else ""
    axes.set_ylabel(f"win rate{running}\n(draws as halves)")
    axes.set_xlabel("step")
    _step_axis(axes)
    axes.set_title(title)
    handles, names = axes.get_legend_handles_labels()
    order = sorted(range(len(handles)), key=lambda i: -last[opponents[i]])
    figure.legend(
        [handles[i] for i in order],
        [f"{names[i]}  {last[opponents[i]]:.0%}" for i in order],
        loc="outside right upper",
        title="opponent, last rate",
        alignment="left",
    )
    return figure


def _rates(frame: pd.DataFrame, prefix: str, opponent: str, window: int | None):
    """Steps, win rates, and bounds of their 95% intervals."""
    counts = _games(prefix, opponent)
    seen = frame[frame[prefix + opponent].notna()]
    steps, rates = seen["step"].to_numpy(), seen[prefix + opponent]
    if counts in frame:
        games = seen[counts].to_numpy()
        return steps, rates.to_numpy(), *wilson_interval(rates.to_numpy() * games, games)
    rolling = rates.rolling(window or max(5, len(rates) // 15), min_periods=1)
    mean, count = rolling.mean().to_numpy(), rolling.count().to_numpy()
    error = 1.96 * np.nan_to_num(rolling.std().to_numpy(), nan=0.5) / np.sqrt(count)
    return steps, mean, np.clip(mean - error, 0, 1), np.clip(mean + error, 0, 1)


def _games(prefix: str, opponent: str) -> str:
    """The metric that counts the games behind an opponent's win rate; of no column where the prefix has none."""
    return f"{prefix.replace('win_rate', 'games')}{opponent}" if "win_rate" in prefix else ""


@styled
def lines(table: pd.DataFrame, title: str, x: str, y: str, *, log: str = "") -> Figure:
    """Each column of a table over its index, from 0 up.

    Args:
        table: numbers; the index is the horizontal axis, column names are the legend where there are several.
        title: of the figure.
        x, y: what the axes show, with units.
        log: which axes are logarithmic, `"y"` or `"xy"`.
    """
    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    for (name, values), colour in zip(table.items(), COLOURS * 9, strict=False):
        known = values.dropna()
        axes.plot(known.index, known, color=colour, linewidth=1.6, label=str(name))
    axes.set(**{f"{axis}scale": "log" for axis in log})
    if "y" not in log:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, color=INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if table.shape[1] > 1:
        axes.legend()
    return figure


@styled
def learning_over_generations(
    ratings: Ratings, generations: Mapping[str, float], title: str = "", unit: str = "generation"
) -> Figure:
    """Ratings of a lineage's policies by generation, with 95% intervals, over lines for everybody else.

    Args:
        ratings: of all policies together, so that generations are measured by one scale.
        generations: the generation of each policy of the lineage, by id.
        title: by default says what the last generation gained over the first, with its interval.
        unit: what the horizontal axis counts.

    Raises:
        ValueError: nobody of the lineage was rated.
    """
    table = ratings.table.set_index("policy")
    lineage = sorted(
        (policy for policy in generations if policy in table.index), key=lambda policy: generations[policy]
    )
    if not lineage:
        raise ValueError(f"none of {list(generations)} was rated; who was: {', '.join(table.index)}")
    others = [policy for policy in table.index if policy not in generations]
    figure = new_figure(8, 4.4)
    axes = figure.add_subplot()
    when = np.array([generations[policy] for policy in lineage], float)
    rating, low, high = (table.loc[lineage, column].to_numpy() for column in ("bradley_terry", "low", "high"))
    axes.fill_between(when, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
    below, above = np.nan_to_num(rating - low), np.nan_to_num(high - rating)
    axes.errorbar(when, rating, (below, above), color=COLOURS[0], marker="o", capsize=3, linewidth=1.8)
    labels = short_names(others, 26)
    margin = max(np.ptp(when) * 0.05, 0.25)
    for policy in others:
        axes.axhspan(
            table.loc[policy, "low"], table.loc[policy, "high"], color=MUTED, alpha=0.07, linewidth=0, zorder=0
        )
        axes.axhline(table.loc[policy, "bradley_terry"], color=MUTED, linestyle="--", linewidth=1, zorder=0)
        place = (1.01, table.loc[policy, "bradley_terry"])
        axes.annotate(labels[policy], place, xycoords=axes.get_yaxis_transform(), va="center", color=MUTED, fontsize=9)
    axes.set_xlim(when.min() - margin, when.max() + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(unit)
    axes.set_ylabel("Bradley–Terry rating (Elo points), 95% interval")
    axes.set_title(title or _gain(ratings, lineage, unit), color=INK)
    return figure


def _gain(ratings: Ratings, lineage: list[str], unit: str) -> str:
    """What the last of the lineage gained over the first, in words."""
    first, last = lineage[0], lineage[-1]
    rated = ratings.bradley_terry
    gain = rated.table.loc[last, "rating"] - rated.table.loc[first, "rating"]
    if first == last or not len(rated.samples):
        return f"Rating by {unit}"
    places = [rated.table.index.get_loc(policy) for policy in (first, last)]
    low, high = np.percentile(rated.samples[:, places[1]] - rated.samples[:, places[0]], [2.5, 97.5])
    return f"Rating by {unit}: last over first {gain:+.0f} Elo (95%: {low:+.0f} to {high:+.0f})"


def _frame(metrics: Metrics) -> pd.DataFrame:
    frame = metrics if isinstance(metrics, pd.DataFrame) else pd.DataFrame(list(metrics))
    if "step" not in frame:
        raise ValueError(f"metrics need a column 'step'; got {', '.join(map(str, frame.columns)) or 'no rows'}")
    return frame.sort_values("step", kind="stable")


def _step_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
