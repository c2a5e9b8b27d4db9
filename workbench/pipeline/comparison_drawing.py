"""Figures of a comparison as SVG inside a page: a colour a setting, intervals as bands and whiskers, numbers on hover."""

from __future__ import annotations

from html import escape

from workbench.pipeline.comparison import Estimate
from workbench.pipeline.text import figure

# Okabe and Ito's colours, as in all figures of the workbench: jfly.uni-koeln.de/color
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7A5195")
DASHES = ("", "5 3", "2 2", "8 3 2 3")
_MOST_BANDS = 4
_GREY, _GRID = "#66717d", "#eceff2"
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 300, 52, 10, 10, 22, 160


def colour(index: int) -> str:
    """The colour of a setting."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """How its line is broken: colours come round, dashes tell them apart."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def swatch(index: int) -> str:
    """A short piece of a setting's line."""
    return (
        f'<svg width="22" height="10" style="vertical-align: middle"><line x1="1" x2="21" y1="5" y2="5" '
        f'stroke="{colour(index)}" stroke-width="3" stroke-dasharray="{dash(index)}"/></svg>'
    )


def said(found: Estimate) -> str:
    """`0.62 [0.56, 0.68], n = 5`."""
    interval = "" if found.low is None else f" [{figure(found.low, 3)}, {figure(found.high, 3)}]"
    return f"{figure(found.mean, 3)}{interval}, n = {found.count}"


def curves(lines: list[tuple[str, dict[int, Estimate]]]) -> str:
    """A figure over generations, a line a setting, with its intervals: bands, or whiskers side by side where bands were too many."""
    ends = [edge for _, line in lines for found in line.values() for edge in _edges(found)]
    low, high, down = _scale(ends, _TOP, _HEIGHT - _BOTTOM)
    generations = sorted({number for _, line in lines for number in line})
    first, last = generations[0], generations[-1]

    def across(number: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (
            0.5 if first == last else 0.03 + 0.94 * (number - first) / (last - first)
        )

    parts = [_levels(low, high, down)]
    every = max(1, -(-len(generations) // 10))
    parts += [
        f'<text x="{across(number):.1f}" y="{_HEIGHT - 8}" text-anchor="middle" font-size="10.5" fill="{_GREY}">{number}</text>'
        for number in generations[::every]
    ]
    for index, (name, line) in enumerate(lines):
        if not line:
            continue
        aside = 0.0 if len(lines) <= _MOST_BANDS else min(3.0, 24 / len(lines)) * (index - (len(lines) - 1) / 2)

        def place(number: int, aside: float = aside) -> float:
            return across(number) + aside

        spread = _band if len(lines) <= _MOST_BANDS else _whiskers
        parts.append(
            spread(index, sorted(line.items()), place, down) + _curve(index, name, sorted(line.items()), place, down)
        )
    return _svg(_HEIGHT, "".join(parts))


def _band(index: int, line: list[tuple[int, Estimate]], across, down) -> str:
    upper = [f"{across(number):.1f},{down(_edges(found)[1]):.1f}" for number, found in line]
    lower = [f"{across(number):.1f},{down(_edges(found)[0]):.1f}" for number, found in reversed(line)]
    return f'<polygon points="{" ".join(upper + lower)}" fill="{colour(index)}" fill-opacity="0.13"/>'


def _whiskers(index: int, line: list[tuple[int, Estimate]], across, down) -> str:
    return "".join(
        f'<line x1="{across(number):.1f}" x2="{across(number):.1f}" y1="{down(_edges(found)[0]):.1f}" '
        f'y2="{down(_edges(found)[1]):.1f}" stroke="{colour(index)}" stroke-opacity="0.45" stroke-width="1.5"/>'
        for number, found in line
    )


def _curve(index: int, name: str, line: list[tuple[int, Estimate]], across, down) -> str:
    middle = " ".join(f"{across(number):.1f},{down(found.mean):.1f}" for number, found in line)
    dots = "".join(
        f'<circle cx="{across(number):.1f}" cy="{down(found.mean):.1f}" r="3" fill="{colour(index)}">'
        f"<title>{escape(name)}, generation {number}: {escape(said(found))}</title></circle>"
        for number, found in line
    )
    return (
        f'<polyline points="{middle}" fill="none" stroke="{colour(index)}" stroke-width="1.8" '
        f'stroke-dasharray="{dash(index)}"/>{dots}'
    )


def forest(rows: list[tuple[str, Estimate | None]]) -> str:
    """A figure of each setting as a dot with a whisker, below each other in the order of the settings."""
    ends = [edge for _, found in rows if found for edge in _edges(found)]
    low, high, across = _scale(ends, _WIDTH - _RIGHT, _LEFT)
    height = 18 * len(rows) + 30
    parts = []
    for value in (low, high) if high > low else (low,):
        parts.append(
            f'<line x1="{across(value):.1f}" x2="{across(value):.1f}" y1="4" y2="{height - 22}" stroke="{_GRID}"/>'
            f'<text x="{across(value):.1f}" y="{height - 8}" text-anchor="middle" font-size="10.5" fill="{_GREY}">{escape(figure(value, 3))}</text>'
        )
    for index, (name, found) in enumerate(rows):
        y = 14 + 18 * index
        if found is None:
            continue
        start, end = _edges(found)
        parts.append(
            f"<g><title>{escape(name)}: {escape(said(found))}</title>"
            f'<line x1="{across(start):.1f}" x2="{across(end):.1f}" y1="{y}" y2="{y}" stroke="{colour(index)}" stroke-width="3" stroke-opacity="0.5"/>'
            f'<circle cx="{across(found.mean):.1f}" cy="{y}" r="4.2" fill="{colour(index)}"/></g>'
        )
    return _svg(height, "".join(parts))


def _edges(found: Estimate) -> tuple[float, float]:
    return (found.mean, found.mean) if found.low is None else (found.low, found.high)


def _scale(ends: list[float], start: float, end: float):
    """The lowest and highest value, and a function from values to places: the highest at `start`."""
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or 0.05 * abs(low) or 1.0
    return low, high, lambda value: end + (start - end) * (value - low + room) / (high - low + 2 * room)


def _levels(low: float, high: float, down) -> str:
    return "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(value):.1f}" y2="{down(value):.1f}" stroke="{_GRID}"/>'
        f'<text x="{_LEFT - 6}" y="{down(value) + 3.5:.1f}" text-anchor="end" font-size="10.5" fill="{_GREY}">{escape(figure(value, 3))}</text>'
        for value in dict.fromkeys((low, high))
    )


def _svg(height: float, inside: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img">{inside}</svg>'
