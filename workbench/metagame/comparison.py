"""Two ways of playing, such as a mixture and the one policy it was distilled into, against the same opponents."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workbench.arena.entrants import Source
from workbench.arena.matches import Matches
from workbench.arena.tournament import play_pairs
from workbench.metagame.iteration import Gain, verdict
from workbench.metagame.payoffs import EmpiricalGame, MissingPairs


def play_sides(
    env_name: str,
    sides: Mapping[str, Source],
    opponents: Mapping[str, Source],
    *,
    games: int,
    folder: str | Path | None = None,
    **options,
) -> Matches:
    """Each side plays every opponent, and the sides each other; opponents do not meet among themselves.

    Args:
        games: of each pair, half in either seat.
        options: for `workbench.arena.play_pairs`.

    Raises:
        ValueError: somebody is a side and an opponent.
    """
    both = sorted(sides.keys() & opponents.keys())
    if both:
        raise ValueError(f"{', '.join(both)}: a side and an opponent at once; expected ids that differ")
    pairs = [*itertools.product(sides, opponents), *itertools.combinations(sides, 2)]
    return play_pairs(env_name, {**sides, **opponents}, dict.fromkeys(pairs, games), folder=folder, **options)


def side_by_side(matches: Matches, sides: Sequence[str], opponents: Sequence[str]) -> pd.DataFrame:
    """What each side earned against each opponent, with 95% intervals, and the difference of two sides.

    Returns:
        A row an opponent: `opponent`, `games` (of each side), for each side `<side>`, `<side> low`, `<side> high`; of
        exactly two sides also `difference` (first less second) with its `low` and `high`.

    Raises:
        MissingPairs: a side and an opponent that did not meet.
    """
    game = EmpiricalGame.of(matches, [*sides, *opponents])
    place = {id: index for index, id in enumerate(game.rows)}
    holes = [pair for pair in itertools.product(sides, opponents) if not game.games[place[pair[0]], place[pair[1]]]]
    if holes:
        raise MissingPairs.of(holes)
    means, bounds = game.payoffs(missing=0.0), game.intervals()
    rows = []
    for opponent in opponents:
        column = place[opponent]
        known = {side: tuple(float(part[place[side], column]) for part in (means, *bounds)) for side in sides}
        row = {"opponent": opponent, "games": int(game.games[place[sides[0]], column])}
        for side, (mean, low, high) in known.items():
            row |= {side: mean, f"{side} low": low, f"{side} high": high}
        if len(sides) == 2:
            row |= dict(zip(("difference", "low", "high"), difference(*known.values()), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def in_words(compared: pd.DataFrame, sides: Sequence[str]) -> pd.DataFrame:
    """`side_by_side` to be read: each payoff with its interval in one column."""
    found = compared[["opponent", "games"]].copy()
    columns = {side: (side, f"{side} low", f"{side} high") for side in sides}
    if len(sides) == 2:
        columns["difference"] = ("difference", "low", "high")
    for name, parts in columns.items():
        figures = compared[list(parts)].itertuples(index=False, name=None)
        found[name] = [f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" for mean, low, high in figures]
    return found


def difference(one: tuple[float, float, float], other: tuple[float, float, float]) -> tuple[float, float, float]:
    """Difference of two independent means, each given with its interval, and the interval of the difference.

    Source: the two intervals, which need not be symmetric, joined as in Newcombe 1998, Statistics in Medicine 17 (method
    10), and Zou and Donner 2008, Statistics in Medicine 27.
    """
    (mean, low, high), (mean_2, low_2, high_2) = one, other
    gap = mean - mean_2
    below = ((mean - low) ** 2 + (high_2 - mean_2) ** 2) ** 0.5
    above = ((high - mean) ** 2 + (mean_2 - low_2) ** 2) ** 0.5
    return gap, gap - below, gap + above


def comparison_verdict(
    gains: Mapping[str, Gain], exploiter: str, together: Gain, exact: Mapping[str, float], compared: pd.DataFrame
) -> str:
    """In plain words: how far each side can be exploited, whether they are told apart, and by whom.

    Args:
        gains: what the exploiter earned against each side, the first of which it was trained against.
        exploiter: its id.
        together: what the second side earned against the first.
        exact: exploitability of each side, where it is known.
        compared: of `side_by_side`.
    """
    first, second = gains
    said = [verdict(exploiter, id, gain) for id, gain in gains.items()]
    said[1] += f" ({exploiter} was trained against {first}: of {second} it may show less than could be had.)"
    apart = "apart" if together.low > 0 or together.high < 0 else "not told apart from even play"
    said.append(
        f"{second} earns {together.mean:+.3f} [{together.low:+.3f}, {together.high:+.3f}] a game against {first}: {apart}."
    )
    differ = compared[(compared["low"] > 0) | (compared["high"] < 0)]["opponent"]
    who = f" ({', '.join(differ)})" if len(differ) else ""
    said.append(f"Of {len(compared)} opponents {len(differ)} tell the two apart{who}; one in twenty would by chance.")
    if exact:
        values = ", ".join(f"{id} by {value:.4f}" for id, value in exact.items())
        said.append(f"Exactly, over the whole game, a best response exploits {values} a game.")
    return "\n".join(said)
