"""What a player may know of a battle, as one row of int16: the layout that Node writes and Python reads.

`VIEW` is a numpy structured type whose fields are all int16, so a row is at once `int16[VIEW_SIZE]` for pipes and
files and a record with names:

    rows = np.zeros((64, 2, VIEW_SIZE), np.int16)
    named(rows)["own"]["hp"]          # [64, 2, 6]

The same declaration, as offsets, is handed to Node when it starts (`layout`), so the two cannot disagree. Tokens are
those of `dex`. A view contains the seat's own side in full and of the other side only what the rules have shown.
"""

from __future__ import annotations

import numpy as np

TEAM = 6
MOVES_EACH = 4
ACTIONS = 9

# `request`: what the seat is asked for.
REQUEST_NONE, REQUEST_MOVE, REQUEST_SWITCH, REQUEST_WAIT = range(4)
# `menu`: what the move part of a `REQUEST_MOVE` offers.
MENU_NONE, MENU_MOVES, MENU_FIGHT, MENU_RECHARGE, MENU_STRUGGLE, MENU_LOCKED = range(6)
# `result`, from the seat's point of view.
RUNNING, WON, LOST, TIED = range(4)

BOOSTS = ("atk", "def", "spa", "spd", "spe", "accuracy", "evasion")
STATS = ("atk", "def", "spc", "spe")
# Conditions of an active Pokémon that both players see (or can always work out) from the battle's messages.
EFFECTS = (
    "confusion",
    "substitute",
    "reflect",
    "lightscreen",
    "leechseed",
    "mist",
    "focusenergy",
    "mustrecharge",
    "bide",
    "rage",
    "lockedmove",  # in the middle of Thrash or Petal Dance
    "twoturnmove",  # charging
    "invulnerability",  # under ground or in the air
    "disable",
    "trapped",  # hit by Wrap and its like, and perhaps still in it
    "trapping",  # using Wrap and its like, and perhaps still doing so
    "transform",
    "typechange",
    "toxic",  # damage of poison, burn and Leech Seed grows each turn
)

OWN = np.dtype(
    [
        ("species", "i2"),  # token; 0: a team of fewer than six
        ("level", "i2"),
        ("hp", "i2"),
        ("max_hp", "i2"),
        ("status", "i2"),  # token; "fnt" where fainted
        ("status_turns", "i2"),  # turns seen asleep, frozen or fully paralysed since the status began
        ("types", "i2", 2),  # current types: Transform and Conversion change them
        ("stats", "i2", 4),  # as in `STATS`, before boosts and status
        ("moves", "i2", MOVES_EACH),  # tokens, current moves in alphabetical order of their ids, 0 after the last
        ("pp", "i2", MOVES_EACH),
        ("max_pp", "i2", MOVES_EACH),
        ("disabled", "i2", MOVES_EACH),  # 1: cannot be chosen (Disable or no PP)
    ]
)
FOE = np.dtype(
    [
        ("species", "i2"),  # token, in the order in which they appeared; 0: not seen yet
        ("level", "i2"),
        ("hp", "i2"),  # per cent as shown: rounded up, 100 only when full, 0 when fainted
        ("status", "i2"),
        ("status_turns", "i2"),
        ("types", "i2", 2),  # current types
        ("moves", "i2", MOVES_EACH),  # tokens of moves seen, alphabetical, 0 after the last
        ("uses", "i2", MOVES_EACH),  # PP it has been seen to spend
    ]
)
ACTIVE = np.dtype(
    [
        ("slot", "i2"),  # index into `own` or `foe`; -1 before the first Pokémon is out
        ("species", "i2"),  # as it looks: the target's after Transform
        ("boosts", "i2", len(BOOSTS)),
        ("effects", "i2", len(EFFECTS)),  # 0, or 1 + turns since it began
        ("toxic_counter", "i2"),
        ("disabled_move", "i2"),  # token of the move Disable has announced
        ("prev_move", "i2"),  # last move it was seen to use since it came in
        ("step_move", "i2"),  # move the side was seen to use in the last step, whoever used it
    ]
)
VIEW = np.dtype(
    [
        ("request", "i2"),
        ("menu", "i2"),
        ("locked_move", "i2"),  # token of the only move of a `MENU_LOCKED`
        ("trapped", "i2"),  # switching is not allowed
        ("maybe_locked", "i2"),  # the choice of a move may turn out not to matter
        ("turn", "i2"),
        ("result", "i2"),
        ("own_left", "i2"),
        ("foe_left", "i2"),
        ("legal", "i2", ACTIONS),  # 0 or 1, of the nine actions
        ("choice", "i2", ACTIONS),  # what an action means to Showdown: n > 0 "move n", n < 0 "switch -n", 0 nothing
        ("own_active", ACTIVE),
        ("foe_active", ACTIVE),
        ("own", OWN, TEAM),  # alphabetical by species id, the same slots for the whole battle
        ("foe", FOE, TEAM),
    ]
)
VIEW_SIZE = VIEW.itemsize // 2


def named(rows: np.ndarray) -> np.ndarray:
    """The same memory with names: int16 `[..., VIEW_SIZE]` as `VIEW [...]`."""
    if rows.dtype != np.int16 or rows.shape[-1] != VIEW_SIZE:
        raise ValueError(f"views must be int16 [..., {VIEW_SIZE}], got {rows.dtype} {list(rows.shape)}")
    return rows.view(VIEW)[..., 0]


def layout(dtype: np.dtype = VIEW) -> dict:
    """Offsets in int16 units by name, nested as the type is, with `size`; what Node writes by."""
    described: dict = {"size": dtype.itemsize // 2}
    for name, (kind, offset, *_) in dtype.fields.items():
        inner = kind.subdtype[0] if kind.subdtype else kind
        described[name] = {"at": offset // 2, **layout(inner)} if inner.fields else offset // 2
    return described
