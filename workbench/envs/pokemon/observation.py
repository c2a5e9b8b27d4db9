"""What a network sees of a view: tokens and numbers a Pokémon, tokens and numbers of the battle.

>>> observed = encode(views)             # int16 [..., V] -> {"pokemon": int16 [..., 12, 8], ...}

A pure function of views, so recorded games can be encoded again. Pokémon come in the order 0 own active, 1-5 own
bench (those that can fight first, in the order of actions 4-8), 6 the other side's active, 7-11 its bench as far as
seen. All tokens share one vocabulary; numbers lie within [-1, 2].
"""

from __future__ import annotations

import numpy as np

from workbench.envs.core import Field
from workbench.envs.pokemon import dex
from workbench.envs.pokemon.view import (
    BOOSTS,
    EFFECTS,
    MOVES_EACH,
    REQUEST_SWITCH,
    STATS,
    TEAM,
    VIEW_SIZE,
    named,
)

# The vocabulary: 0 is "nothing", species follow, then moves, types, statuses, and what a forced move is.
_MENUS = ("", "moves", "fight", "recharge", "struggle", "locked")
MOVE_OFFSET = len(dex.SPECIES) - 1
TYPE_OFFSET = MOVE_OFFSET + len(dex.MOVES) - 1
STATUS_OFFSET = TYPE_OFFSET + len(dex.TYPES) - 1
MENU_OFFSET = STATUS_OFFSET + len(dex.STATUSES) - 1
VOCABULARY = (*dex.SPECIES, *dex.MOVES[1:], *dex.TYPES[1:], *dex.STATUSES[1:], *_MENUS[1:])

POKEMON_TOKENS = ("species", "status", "type 1", "type 2", "move 1", "move 2", "move 3", "move 4")
POKEMON_NUMBERS = ("hp", "level", "can fight", "status turns", "pp 1", "pp 2", "pp 3", "pp 4")
BATTLE_TOKENS = ("menu", "locked move", "own last move", "foe last move", "own step move", "foe step move",
                 "own disabled", "foe disabled")  # fmt: skip
_MOVE_NUMBERS = ("power", "accuracy", "effectiveness", "same type", "strength", "usable")
BATTLE_NUMBERS = (
    "turn", "own left", "foe left", "forced switch", "trapped", "maybe locked", "own max hp",
    *(f"own {stat}" for stat in STATS),
    *(f"foe base {stat}" for stat in STATS),
    *(f"{side} {boost} boost" for side in ("own", "foe") for boost in BOOSTS),
    *(f"{side} {effect}" for side in ("own", "foe") for effect in EFFECTS),
    "own toxic counter", "foe toxic counter",
    *(f"move {n} {what}" for what in _MOVE_NUMBERS for n in range(1, MOVES_EACH + 1)),
)  # fmt: skip

POKEMON = 2 * TEAM
OWN_ACTIVE, FOE_ACTIVE = 0, TEAM
SPEC: dict[str, Field] = {
    "pokemon": Field((POKEMON, len(POKEMON_TOKENS)), "int16", len(VOCABULARY), POKEMON_TOKENS),
    "pokemon_numbers": Field((POKEMON, len(POKEMON_NUMBERS)), "float32", 0, POKEMON_NUMBERS),
    "battle": Field((len(BATTLE_TOKENS),), "int16", len(VOCABULARY), BATTLE_TOKENS),
    "battle_numbers": Field((len(BATTLE_NUMBERS),), "float32", 0, BATTLE_NUMBERS),
}

_HIGHEST_STAT = 400.0
_HIGHEST_HP = 703.0  # Chansey's at level 100
_HIGHEST_BASE = 255.0
_STRONG = 200.0
_FAINTED = dex.STATUS_TOKEN["fnt"]


def allocate(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Zeroed arrays for `encode`, one a field, `[*shape, *field.shape]`."""
    return {name: np.zeros((*shape, *field.shape), field.dtype) for name, field in SPEC.items()}


def encode(views: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Observations of views.

    Args:
        views: int16 `[..., V]`.
        out: arrays as from `allocate(views.shape[:-1])`, written in place; new ones by default.

    Returns:
        `out`: "pokemon" int16 `[..., 12, 8]`, "pokemon_numbers" float32 `[..., 12, 8]`, "battle" int16 `[..., 8]`,
        "battle_numbers" float32 `[..., 93]`.
    """
    shape = views.shape[:-1]
    out = allocate(shape) if out is None else out
    rows = named(np.ascontiguousarray(views).reshape(-1, VIEW_SIZE))
    flat = {name: array.reshape(len(rows), *SPEC[name].shape) for name, array in out.items()}
    own, foe = rows["own"], rows["foe"]
    own_slot, foe_slot = rows["own_active"]["slot"], rows["foe_active"]["slot"]
    own_order = _active_first(own["species"], own["status"], own_slot)
    foe_order = _active_first(foe["species"], foe["status"], foe_slot)
    each = np.arange(len(rows))[:, None]
    own, foe = own[each, own_order], foe[each, foe_order]

    tokens, numbers = flat["pokemon"], flat["pokemon_numbers"]
    for side, at in ((own, slice(0, TEAM)), (foe, slice(TEAM, POKEMON))):
        tokens[:, at, 0] = side["species"]
        tokens[:, at, 1] = _shift(side["status"], STATUS_OFFSET)
        tokens[:, at, 2:4] = _shift(side["types"], TYPE_OFFSET)
        tokens[:, at, 4:8] = _shift(side["moves"], MOVE_OFFSET)
        numbers[:, at, 1] = side["level"] / 100.0
        numbers[:, at, 2] = (side["species"] != 0) & (side["status"] != _FAINTED)
        numbers[:, at, 3] = np.minimum(side["status_turns"], 8) / 8.0
    numbers[:, :TEAM, 0] = own["hp"] / np.maximum(own["max_hp"], 1)
    numbers[:, TEAM:, 0] = foe["hp"] / 100.0
    numbers[:, :TEAM, 4:8] = own["pp"] / np.maximum(own["max_pp"], 1)
    left = np.maximum(dex.MOVE_MAX_PP[foe["moves"]] - foe["uses"], 0)
    numbers[:, TEAM:, 4:8] = left / np.maximum(dex.MOVE_MAX_PP[foe["moves"]], 1)

    _encode_battle(rows, own[:, 0], foe[:, 0], flat["battle"], flat["battle_numbers"])
    return out


def _active_first(species, status, slot) -> np.ndarray:
    """[N, 6] indices: the active Pokémon, the others that can fight, the fainted, the unknown; else in order."""
    key = np.where(species == 0, 3, np.where(status == _FAINTED, 2, 1))
    key[np.arange(TEAM) == slot[:, None]] = 0
    return key.argsort(axis=1, kind="stable")


def _shift(tokens: np.ndarray, offset: int) -> np.ndarray:
    return np.where(tokens > 0, tokens + np.int16(offset), np.int16(0))


def _encode_battle(rows, own, foe, tokens, numbers) -> None:
    mine, theirs = rows["own_active"], rows["foe_active"]
    tokens[:, 0] = _shift(rows["menu"], MENU_OFFSET)
    moves = (rows["locked_move"], mine["prev_move"], theirs["prev_move"], mine["step_move"], theirs["step_move"],
             mine["disabled_move"], theirs["disabled_move"])  # fmt: skip
    for column, move in enumerate(moves, start=1):
        tokens[:, column] = _shift(move, MOVE_OFFSET)

    numbers[:, 0] = np.minimum(rows["turn"], 1000) / 500.0
    numbers[:, 1] = rows["own_left"] / TEAM
    numbers[:, 2] = rows["foe_left"] / TEAM
    numbers[:, 3] = rows["request"] == REQUEST_SWITCH
    numbers[:, 4] = rows["trapped"]
    numbers[:, 5] = rows["maybe_locked"]
    numbers[:, 6] = own["max_hp"] / _HIGHEST_HP
    numbers[:, 7:11] = own["stats"] / _HIGHEST_STAT
    numbers[:, 11:15] = dex.BASE_STATS[theirs["species"], 1:] / _HIGHEST_BASE
    at = 15
    for side in (mine, theirs):
        numbers[:, at : at + len(BOOSTS)] = side["boosts"] / 6.0
        at += len(BOOSTS)
    for side in (mine, theirs):
        numbers[:, at : at + len(EFFECTS)] = side["effects"] > 0
        at += len(EFFECTS)
    for side in (mine, theirs):
        numbers[:, at] = np.minimum(side["toxic_counter"], 16) / 16.0
        at += 1

    move = own["moves"]
    power = dex.MOVE_POWER[move]
    accuracy = np.where(move > 0, np.where(dex.MOVE_ACCURACY[move] > 0, dex.MOVE_ACCURACY[move] / 100.0, 1.0), 0.0)
    factor = dex.effectiveness(dex.MOVE_TYPE[move], foe["types"][:, None, :])
    same = (dex.MOVE_TYPE[move][:, :, None] == own["types"][:, None, :]).any(axis=2) & (power > 0)
    attack = power > 0
    columns = (
        power / 100.0,
        accuracy,
        np.where(attack, factor / 2.0, 0.0),
        same,
        np.minimum(power * accuracy * factor * np.where(same, 1.5, 1.0) / _STRONG, 2.0),
        rows["legal"][:, :MOVES_EACH],
    )
    for column in columns:
        numbers[:, at : at + MOVES_EACH] = column
        at += MOVES_EACH
