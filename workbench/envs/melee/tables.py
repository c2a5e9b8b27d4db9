"""The package's CSV tables, read as text."""

from __future__ import annotations

import csv
from importlib.resources import files

CHARACTER_IDS = 33  # tokens: Slippi internal ids 0..32


def rows(table: str) -> list[dict[str, str]]:
    """All rows of one of the package's CSV tables, as strings by column."""
    with (files(__package__) / "data" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def number(text: str, default: float = 0.0) -> float:
    """A cell as a number; an empty cell is `default`."""
    return float(text) if text else default


def short_name(name: str) -> str:
    """`"Captain Falcon"` -> `"captain_falcon"`."""
    words = name.lower().split(" (")[0].replace(".", "").replace("&", "and").split()
    return "_".join(words)
