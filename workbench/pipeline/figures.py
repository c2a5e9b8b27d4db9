"""Metrics of a result as people read them: numbers, numbers with intervals, and tables of those."""

from __future__ import annotations

from html import escape

from workbench.pipeline.page import fold, table
from workbench.pipeline.text import figure

_BOUNDLESS = 1e300
_MOST_TILES, _MOST_HIDDEN = 48, 500
_MOST_ROWS = 12  # of a drawn table; a night of many generations rates many policies


def gathered(metrics: dict) -> dict:
    """Metrics with what belongs together brought together.

    Intervals become `(value, low, high)`, whether written as a list of the three, as a dict with `low` and `high`, or as
    three metrics in a row of which the last two are called so. Intervals of one prefix (`rating/a`, `rating/b`) become
    one dict of intervals, as do dicts of intervals.
    """
    found: dict = {}
    names = list(metrics)
    index = 0
    while index < len(names):
        name = names[index]
        value = metrics[name]
        if names[index + 1 : index + 3] == ["low", "high"]:
            value = interval([value, metrics["low"], metrics["high"]]) or value
            index += 2 if isinstance(value, tuple) else 0
        index += 1
        value = _read(value)
        prefix, slash, rest = name.partition("/")
        if slash and isinstance(value, tuple):
            found.setdefault(prefix, {})[rest] = value
        else:
            found[name] = value
    return found


def _read(value):
    if interval(value):
        return interval(value)
    if isinstance(value, dict) and value and all(interval(item) for item in value.values()):
        return {key: interval(item) for key, item in value.items()}
    return value


def interval(value) -> tuple[float, float, float] | None:
    """`(value, low, high)` of a metric that says all three; None of any other."""
    if isinstance(value, dict) and {"low", "high"} <= value.keys():
        centre = next((item for key, item in value.items() if key not in ("low", "high") and is_number(item)), None)
        value = [centre, value["low"], value["high"]]
    if not isinstance(value, (list, tuple)) or len(value) != 3 or not all(is_number(item) for item in value):
        return None
    centre, low, high = value
    return (centre, low, high) if low <= centre <= high else None


def is_number(value) -> bool:
    """Whether a metric is one number that can be drawn: neither infinite nor beyond what floats hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _BOUNDLESS


def is_interval_table(value) -> bool:
    """Whether a gathered metric is several intervals by name."""
    return isinstance(value, dict) and bool(value) and all(isinstance(item, tuple) for item in value.values())


def words(value) -> str:
    """A gathered metric in a word or two; with its interval where it has one."""
    if isinstance(value, tuple):
        centre, low, high = value
        return f"{figure(centre, 3)} [{figure(low, 3)}, {figure(high, 3)}]"
    if isinstance(value, (dict, list)):
        return f"{len(value)} entries"
    return "–" if value is None else figure(value)


def tiles(metrics: dict) -> str:
    """A result's metrics: numbers as tiles, tables of intervals drawn."""
    small, large = [], []
    for name, value in gathered(metrics).items():
        if is_interval_table(value):
            large.append(f"<h3>{escape(name)}</h3>" + interval_table(value))
        elif not isinstance(value, (dict, list)):
            small.append(f'<div class="metric"><b>{escape(words(value))}</b><span>{escape(name)}</span></div>')
    more = f'<p class="small faint">and {len(small) - _MOST_TILES} more; result.json has them</p>'
    shown = "".join(small[:_MOST_TILES])
    return (
        (f'<div class="metrics">{shown}</div>' if small else "")
        + (more if len(small) > _MOST_TILES else "")
        + "".join(large[:_MOST_TILES])
    )


def interval_table(values: dict[str, tuple[float, float, float]]) -> str:
    """Numbers with intervals, the highest first, drawn as dots with whiskers on one scale."""
    low = min(item[1] for item in values.values())
    span = (max(item[2] for item in values.values()) - low) or 1.0
    rows: list[list[str]] = []
    for name, (centre, start, end) in sorted(values.items(), key=lambda item: -item[1][0]):
        left, middle, right = (6 + 248 * (place - low) / span for place in (start, centre, end))
        drawn = (
            f'<svg width="260" height="16" style="vertical-align: middle"><line x1="{left:.1f}" x2="{right:.1f}" y1="8" y2="8" '
            f'stroke="#8fb3d9" stroke-width="3"/><circle cx="{middle:.1f}" cy="8" r="4.5" fill="#0b57a4"/></svg>'
        )
        rows.append(
            [
                escape(name),
                figure(centre, 3),
                f'<span class="faint">[{figure(start, 3)}, {figure(end, 3)}]</span>',
                drawn,
            ]
        )
    head = ["", "", "interval", ""]
    rest = fold(f"{len(rows) - _MOST_ROWS} more", table(head, rows[_MOST_ROWS:_MOST_HIDDEN], numbers=(1,)))
    return table(head, rows[:_MOST_ROWS], numbers=(1,)) + (rest if len(rows) > _MOST_ROWS else "")
