"""The nine actions of gen1ou: four moves and five switches, in the alphabetical order of the observation.

0-3 are the active Pokémon's moves, sorted by id; 4-8 the benched Pokémon that can still fight, sorted by species id.
Where a seat is offered one entry only (Fight, Recharge, Struggle, the next turn of Wrap), that entry is action 0.
The same numbering as Metamon's minimal action space.
"""

from __future__ import annotations

import numpy as np

from workbench.envs.core import ActionSpec, Head
from workbench.envs.pokemon.view import ACTIONS, MOVES_EACH, REQUEST_MOVE, REQUEST_SWITCH, named

NAMES = (*(f"move {n}" for n in range(1, MOVES_EACH + 1)), *(f"switch {n}" for n in range(1, 6)))
SPEC = ActionSpec((Head("choice", NAMES),))


def legal(views: np.ndarray) -> np.ndarray:
    """Bool `[..., 9]` of int16 views `[..., V]`; all False where the seat is not asked."""
    return named(views)["legal"] != 0


def acting(views: np.ndarray) -> np.ndarray:
    """Bool `[...]`: the seat is asked for a move or a switch."""
    request = named(views)["request"]
    return (request == REQUEST_MOVE) | (request == REQUEST_SWITCH)


def choices(views: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """What Showdown is told: int8 `[...]`, n > 0 for "move n", n < 0 for "switch -n", 0 where the seat waits.

    Args:
        views: int16 `[B, 2, V]`.
        actions: int `[B, 2]`; rows of waiting seats are not read.

    Raises:
        ValueError: an action out of range or not legal; names slot, seat and what is legal.
    """
    asked = acting(views)
    action = np.where(asked, actions, 0)
    inside = (action >= 0) & (action < ACTIONS)
    known = np.where(inside, action, 0)
    chosen = np.take_along_axis(named(views)["choice"], known[..., None], axis=-1)[..., 0]
    wrong = asked & (~inside | (chosen == 0))
    if wrong.any():
        slot, seat = np.argwhere(wrong)[0]
        allowed = np.flatnonzero(legal(views)[slot, seat]).tolist()
        raise ValueError(
            f"gen1ou: slot {slot}, seat {seat}: action {action[slot, seat]} is not legal; legal: {allowed}"
        )
    return np.where(asked, chosen, 0).astype(np.int8)


def command(choice: int) -> str:
    """A choice as Showdown's protocol writes it, e.g. `"move 2"`, `"switch 5"`, `"pass"`."""
    return f"move {choice}" if choice > 0 else f"switch {-choice}" if choice < 0 else "pass"
