"""Text for people: durations, counts, and terminal colours taken off."""

from __future__ import annotations

import re
from pathlib import Path

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)\s*d)?\s*(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s?)?"
)


def strip_colours(text: str) -> str:
    """Text without terminal escape sequences."""
    return _COLOURS.sub("", text)


def without_home(text: str) -> str:
    """Text in which the path of the user's home folder is `~`, so that it may be shown to others."""
    home = str(Path.home())
    return re.sub(re.escape(home) + r"(?=/|\b)", "~", text) if len(home) > 1 else text


def duration(seconds: float | None) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`; an em dash for None."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def parse_duration(value: str | float) -> float:
    """Seconds of `90`, `90s`, `30m`, `1h30m`, `2d`.

    Raises:
        ValueError: not of that form, or not positive.
    """
    found = _DURATION.fullmatch(str(value).strip().lower())
    parts = [float(part or 0) for part in found.groups()] if found else []
    seconds = sum(part * unit for part, unit in zip(parts, (86400, 3600, 60, 1), strict=True)) if parts else 0.0
    if seconds <= 0:
        raise ValueError(f"expected a duration such as 90s, 30m or 1h30m, got {value!r}")
    return seconds


def figure(value, digits: int = 4) -> str:
    """A number as a reader wants it: so many digits that count, thousands apart."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return (
        f"{value:,.{max(0, digits + 1 - len(str(int(abs(value)))))}f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    )
