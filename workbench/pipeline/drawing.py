"""Small figures as SVG inside a page: they need no scripts, no files and no fonts of their own."""

from __future__ import annotations

from html import escape

from workbench.pipeline.text import figure

LINE, BAND, GREY, INK = "#0b57a4", "#cfe0f2", "#8a949e", "#1d2329"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 300, 150, 58, 10, 8, 20


def bounds(value) -> tuple[float, float, float]:
    """`(centre, low, high)` of a number or of a number with its interval."""
    return value if isinstance(value, tuple) else (value, value, value)


def trend(points: dict[int, float | tuple], references: dict[str, float] | None = None) -> str:
    """A figure's values over generations: a line with dots, whiskers where there are intervals, hover for the numbers.

    Args:
        points: by generation, a number or `(value, low, high)`.
        references: numbers that do not change with the generation, drawn as dashed lines with their names.
    """
    references = references or {}
    drawn = {generation: bounds(value) for generation, value in sorted(points.items())}
    said = [*(edge for item in drawn.values() for edge in item), *references.values()]
    low, high = _range(said)
    first, last = min(drawn), max(drawn)

    def across(generation: float) -> float:
        place = 0.5 if first == last else 0.04 + 0.92 * (generation - first) / (last - first)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * place

    def down(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = [_frame((min(said), max(said)), down, sorted(drawn), across)]
    for name, value in references.items():
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(value):.1f}" y2="{down(value):.1f}" stroke="{GREY}" '
            f'stroke-dasharray="3 3"/><text x="{_WIDTH - _RIGHT}" y="{down(value) - 3:.1f}" text-anchor="end" font-size="9.5" '
            f'fill="{GREY}">{escape(name)}</text>'
        )
    path = " ".join(f"{across(generation):.1f},{down(item[0]):.1f}" for generation, item in drawn.items())
    parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.6"/>')
    for generation, (centre, start, end) in drawn.items():
        x = across(generation)
        hover = f"generation {generation}: {figure(centre)}" + (
            f" [{figure(start)}, {figure(end)}]" if start != end else ""
        )
        whisker = (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{down(start):.1f}" y2="{down(end):.1f}" stroke="{LINE}" stroke-width="1.6"/>'
            if start != end
            else ""
        )
        parts.append(
            f"<g><title>{escape(hover)}</title>{whisker}"
            f'<circle cx="{x:.1f}" cy="{down(centre):.1f}" r="3" fill="{LINE}"/>'
            f'<circle cx="{x:.1f}" cy="{down(centre):.1f}" r="9" fill="#fff" fill-opacity="0"/></g>'
        )
    return _svg(_WIDTH, _HEIGHT, "".join(parts))


def _frame(labelled: tuple[float, float], down, generations: list[int], across) -> str:
    ends = "".join(
        f'<text x="{_LEFT - 6}" y="{down(value) + 3.5:.1f}" text-anchor="end" font-size="10" fill="{GREY}">{escape(figure(value))}</text>'
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(value):.1f}" y2="{down(value):.1f}" stroke="#eceff2"/>'
        for value in dict.fromkeys(labelled)
    )
    every = max(1, -(-len(generations) // 8))
    ticks = "".join(
        f'<text x="{across(generation):.1f}" y="{_HEIGHT - 5}" text-anchor="middle" font-size="10" fill="{GREY}">{generation}</text>'
        for generation in generations[::every]
    )
    return ends + ticks


def sparkline(points: dict[int, float | tuple], generations: list[int]) -> str:
    """A line without numbers, as wide as a word; nothing where there are fewer than two values."""
    if len(points) < 2:
        return ""
    low, high = _range([bounds(value)[0] for value in points.values()])
    step = 84 / max(1, len(generations) - 1)
    placed = [
        (3 + step * index, 17 - 14 * (bounds(points[generation])[0] - low) / (high - low))
        for index, generation in enumerate(generations)
        if generation in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    x, y = placed[-1]
    return _svg(
        90,
        20,
        f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.4"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{LINE}"/>',
    )


def _range(values: list[float]) -> tuple[float, float]:
    """A little more than the values span, never nothing."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(low) or 1.0
    return low - room, high + room


def _svg(width: float, height: float, inside: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">{inside}</svg>'
