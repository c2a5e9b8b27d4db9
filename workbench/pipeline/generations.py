"""The generations of an experiment side by side: does it get better? As small figures, and as a table of all figures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape

from workbench.pipeline.drawing import bounds, sparkline, trend
from workbench.pipeline.figures import is_interval_table, is_number, words
from workbench.pipeline.page import fold, table
from workbench.pipeline.summary import AVERAGED, Summary

_TELLING = ("win_rate", "win rate", "elo", "loss", "accuracy", "exploitability", "return")
_TRAINING = ("losses/entropy", "losses/approx_kl", "losses/policy_loss", "losses/value_loss")
_FIRST_TRAINING = 3
_SHOWN_TRAINING = ("losses/", "validation/")
_SHOWN_BY_NAME = ("population/elo", "population/win_rate", "charts/episodic_return", "charts/win_rate")
_MOST_FIGURES, _MOST_ROWS, _MOST_COLUMNS, _MOST_REFERENCES = 8, 24, 8, 2


@dataclass(frozen=True)
class Series:
    """One figure of one stage over the generations.

    Args:
        values: by generation, a number or `(value, low, high)`.
        references: numbers beside it that belong to no generation, by name.
            rank: which are drawn first, lowest first; None: in the table only.
        comparable: generations were measured alike, the higher the better.
        note: in words, what to know when comparing.
    """

    stage: str
    name: str
    values: dict[int, float | tuple]
    references: dict[str, float] = field(default_factory=dict)
    rank: int | None = None
    comparable: bool = False
    note: str = ""


def series_of(entries: list[dict], summaries: dict[str, Summary]) -> list[Series]:
    """Every figure of one chain's stages that has a number in some generation, as the stages come."""
    found: dict[tuple[str, str], dict[int, float | tuple]] = {}
    for training in (False, True):
        for entry in entries:
            summary = summaries.get(entry["folder"], Summary())
            shown = summary.training if training else summary.metrics
            for name, value in shown.items():
                if (is_number(value) or isinstance(value, tuple)) and (not training or _telling(name)):
                    found.setdefault((entry["stage"], name), {})[entry["generation"]] = value
    order = list(dict.fromkeys(entry["stage"] for entry in entries))
    changed = changed_parameters(entries, summaries)
    notes = {stage: f"run with other {_enumerated(names)}" for stage, names in changed.items() if names}
    plain = [
        Series(stage, name, values, rank=_rank(name, values), note=notes.get(stage, ""))
        for (stage, name), values in found.items()
    ]
    return sorted(
        [*ratings_of_policies(entries, summaries), *plain], key=lambda series: order.index(series.stage)
    )  # stable: metrics before training figures


def _telling(name: str) -> bool:
    """Whether a training figure is about learning, not about bookkeeping: no clocks, no single opponents."""
    return (name.startswith(_SHOWN_TRAINING) and name.count("/") == 1) or name in _SHOWN_BY_NAME


def _enumerated(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _rank(name: str, values: dict) -> int | None:
    if any(isinstance(value, tuple) for value in values.values()):
        return 1
    if name in _TRAINING:
        return _FIRST_TRAINING + _TRAINING.index(name)
    return 2 if any(word in name.lower() for word in _TELLING) else None


def ratings_of_policies(entries: list[dict], summaries: dict[str, Summary]) -> list[Series]:
    """The rating of what each generation has trained, on the scale of the last ratings that know it.

    Other players of the last ratings stand beside as references.
    """
    rated = [
        (entry, name, value)
        for entry in entries
        for name, value in summaries.get(entry["folder"], Summary()).metrics.items()
        if is_interval_table(value)
    ]
    if not rated:
        return []
    owner = {
        policy["id"]: entry["generation"]
        for entry in entries
        for policy in summaries.get(entry["folder"], Summary()).trained.values()
    }
    last, name, newest = next((item for item in reversed(rated) if item[1] == "rating"), rated[-1])
    values = {owner[who]: value for who, value in newest.items() if who in owner}
    together = len(values) > 1
    if not together:  # every generation was rated on its own
        values = {
            owner[who]: value for _, other, by in rated if other == name for who, value in by.items() if who in owner
        }
    if not values:
        return []
    low, high = min(value[1] for value in values.values()), max(value[2] for value in values.values())
    others = {who: value[0] for who, value in newest.items() if who not in owner}
    near = {who: abs(value - values[max(values)][0]) for who, value in others.items() if _is_near(value, low, high)}
    nearest = {who: others[who] for who in sorted(near, key=near.get)[:_MOST_REFERENCES]}
    title = f"{name} of each generation's policy"
    note = "one scale for all generations" if together else "a scale of each generation's own"
    return [Series(last["stage"], title, values, nearest, rank=0, comparable=together, note=note)]


def _is_near(value: float, low: float, high: float) -> bool:
    """Whether a reference can be drawn beside values of that range without pressing them flat."""
    return low - 2 * (high - low) <= value <= high + 2 * (high - low)


def changed_parameters(entries: list[dict], summaries: dict[str, Summary]) -> dict[str, list[str]]:
    """Parameters by stage that are not the same in its first and last generation, beyond numbers in names and paths."""
    changed = {}
    for stage in dict.fromkeys(entry["stage"] for entry in entries):
        ran = [summaries[entry["folder"]].parameters for entry in entries if entry["stage"] == stage]
        ran = [parameters for parameters in ran if parameters]
        if len(ran) > 1:
            first, last = ran[0], ran[-1]
            changed[stage] = [
                name for name in last if _without_numbers(first.get(name)) != _without_numbers(last[name])
            ]
    return changed


def _without_numbers(value):
    """A parameter without what differs from generation to generation: digits in texts, how often a list says the same."""
    if isinstance(value, list):
        return sorted({repr(_without_numbers(item)) for item in value})
    return re.sub(r"\d+", "", value) if isinstance(value, str) else value


def verdict(series: Series) -> str:
    """In words, how the last generation compares with the first; "" where they cannot be compared."""
    generations = sorted(series.values)
    if len(generations) < 2 or not series.comparable:
        return ""
    (start, low_start, high_start), (end, low_end, high_end) = (
        bounds(series.values[generation]) for generation in (generations[0], generations[-1])
    )
    if low_end <= high_start and low_start <= high_end:
        return "not told apart: intervals overlap"
    return f"{'better' if end > start else 'worse'}: intervals apart"


def _telling_most(found: list[Series]) -> list[Series]:
    """Which figures are drawn: half the places for results, half for training figures, none twice under two names."""
    chosen: list[Series] = []
    for series in sorted((series for series in found if series.rank is not None), key=lambda series: series.rank):
        if len(series.values) > 1 and not any(series.values == other.values for other in chosen):
            chosen.append(series)
    results = [series for series in chosen if series.rank < _FIRST_TRAINING]
    training = [series for series in chosen if series.rank >= _FIRST_TRAINING]
    room = max(_MOST_FIGURES // 2, _MOST_FIGURES - len(training))
    results = results[:room]
    return results + training[: _MOST_FIGURES - len(results)]


def small_figures(found: list[Series]) -> str:
    """The figures that answer the question at a glance; "" with fewer than two generations to compare."""
    drawn = _telling_most(found)
    if not drawn:
        return ""
    blocks = []
    for series in drawn:
        last = series.values[max(series.values)]
        said = verdict(series)
        kind = "good" if said.startswith("better") else "bad" if said.startswith("worse") else "faint"
        blocks.append(
            f'<figure><figcaption><b>{escape(series.name)}</b> <span class="faint">{escape(series.stage)}</span><br>'
            f'{escape(words(last))} <span class="{kind}">{escape(said)}</span>'
            f'<div class="faint note" title="{escape(series.note)}">{escape(series.note)}</div></figcaption>'
            f"{trend(series.values, series.references)}</figure>"
        )
    return '<h3>Generation by generation</h3><div class="trends">' + "".join(blocks) + "</div>"


def side_by_side(found: list[Series], generations: list[int]) -> str:
    """All figures as a table, a column a generation; of many generations the first and the last ones."""
    if not found:
        return ""
    many = len(generations) > _MOST_COLUMNS
    chosen = [generations[0], *generations[-(_MOST_COLUMNS - 1) :]] if many else generations
    shown = _table(found[:_MOST_ROWS], chosen, generations)
    if len(found) > _MOST_ROWS:
        shown += fold(f"{len(found) - _MOST_ROWS} more figures", _table(found[_MOST_ROWS:], chosen, generations))
    if many:
        shown += fold(f"all {len(generations)} generations", _table(found, generations, generations))
    note = (
        f'<p class="small faint">losses/, entropy and KL: mean of the last {AVERAGED} updates that were logged</p>'
        if any(series.name.startswith("losses/") for series in found)
        else ""
    )
    return "<h3>Figures</h3>" + shown + note


def _table(found: list[Series], chosen: list[int], generations: list[int]) -> str:
    lined = len(generations) > 1
    head = ["stage", "figure", *([""] if lined else []), *(f"generation {generation}" for generation in chosen)]
    rows, before = [], None
    for series in found:
        name = f"<b>{escape(series.stage)}</b>" if series.stage != before else ""
        cells = [escape(words(series.values[one])) if one in series.values else "" for one in chosen]
        line = [f'<span class="sparkline">{sparkline(series.values, generations)}</span>'] if lined else []
        rows.append([name, escape(series.name), *line, *cells])
        before = series.stage
    return table(head, rows, numbers=tuple(range(2 + lined, len(head))))
