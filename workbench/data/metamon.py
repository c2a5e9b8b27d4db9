"""Metamon's trajectory files: one player's view of one battle as JSON, and its states to and from our views.

A file holds `{"states": [S0 .. SN], "actions": [a0 .. aN-1, -1]}`, one state a decision and one for the end; -1 is an
action that was not revealed, and the padding of the last state. Field names, sentinels and the seven parts of a file's
name follow Metamon's `UniversalState` (github.com/UT-Austin-RPL/metamon, `metamon/interface.py`) for generation 1.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import lz4.frame
import numpy as np

from workbench.data.files import DamagedFile
from workbench.envs.pokemon import dex
from workbench.envs.pokemon import view as layout

FORMAT = "gen1ou"
SUFFIXES = (".json.lz4", ".json")
PADDING = -1

# What an effect of the view is called there. A state has room for one effect: the first of these that holds. Charging,
# trapping and the toxic counter have no counterpart.
EFFECTS = {
    "substitute": "substitute",
    "confusion": "confusion",
    "leechseed": "leechseed",
    "reflect": "reflect",
    "lightscreen": "lightscreen",
    "disable": "disable",
    "bide": "bide",
    "rage": "rage",
    "mustrecharge": "mustrecharge",
    "trapped": "partiallytrapped",
    "transform": "transform",
    "typechange": "typechange",
    "focusenergy": "focusenergy",
    "mist": "mist",
    "lockedmove": "lockedmove",
}
_EFFECT_ORDER = tuple((layout.EFFECTS.index(ours), theirs) for ours, theirs in EFFECTS.items())
_BOOST_ORDER = tuple(
    (layout.BOOSTS.index(name), name) for name in ("atk", "spa", "def", "spd", "spe", "accuracy", "evasion")
)

_NAME = re.compile(
    r"(?P<battle>[^_]*)_(?P<rating>[^_]*)_(?P<player>[^_]*)_vs_(?P<opponent>[^_]*)"
    r"_(?P<date>\d\d-\d\d-\d{4}(?:-\d\d:\d\d:\d\d)?)_(?P<result>WIN|LOSS)\.json(?:\.lz4)?"
)


class FileName(NamedTuple):
    """The seven parts of a file's name ("vs" being the fourth)."""

    battle: str
    rating: str
    player: str
    opponent: str
    date: str
    result: str

    def __str__(self) -> str:
        return f"{self.battle}_{self.rating}_{self.player}_vs_{self.opponent}_{self.date}_{self.result}.json.lz4"


def parse_name(name: str) -> FileName:
    """The parts of a trajectory file's name.

    Raises:
        DamagedFile: it does not have seven parts between underscores.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise DamagedFile(
            f"{name}: not a trajectory's name; expected <battle>_<rating>_<player>_vs_<opponent>_<MM-DD-YYYY>_<WIN or "
            "LOSS>.json.lz4 without further underscores"
        )
    return FileName(*found.group("battle", "rating", "player", "opponent", "date", "result"))


def player_name(policy: str) -> str:
    """A policy's id in letters that a file name allows and never splits; ids that differ give names that differ.

    Letters, digits, dots and hyphens stay; an underscore or slash becomes a hyphen. Where anything was replaced, eight
    hex digits of the whole id follow, so that `a_b` and `a-b` stay two players. Long names keep their end, which tells
    checkpoints of one run apart.
    """
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", policy)
    if plain == policy and 0 < len(plain) <= 48:
        return plain
    return f"{plain[-39:]}-{_digest(policy)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


# --- view to state -------------------------------------------------------------------------------------------------


def state_from_view(row: np.ndarray) -> dict:
    """The `UniversalState` of one view row, int16 `[VIEW_SIZE]`."""
    return json.loads(states_text(row[None])[0])


def states_text(views: np.ndarray) -> list[str]:
    """Each view row as the JSON text of its state.

    Args:
        views: int16 `[N, VIEW_SIZE]`.

    Text is put together from kept pieces, since from one decision to the next hardly anything changes: a Pokémon on the
    bench is written once.
    """
    views = np.ascontiguousarray(views)
    rows = views.view(np.uint8)
    own_at, own_size = layout.VIEW.fields["own"][1], layout.OWN.itemsize
    foe_at, foe_size = layout.VIEW.fields["foe"][1], layout.FOE.itemsize
    me_at, it_at = layout.VIEW.fields["own_active"][1], layout.VIEW.fields["foe_active"][1]
    active_size = layout.ACTIVE.itemsize
    named = layout.named(views)
    slots = np.stack([named["own_active"]["slot"], named["foe_active"]["slot"]], axis=1).tolist()
    bench = ((named["own"]["hp"] > 0) & (np.arange(layout.TEAM) != named["own_active"]["slot"][:, None])).tolist()
    heads = np.stack([named["request"], named["result"], named["foe_left"]], axis=1).tolist()
    texts = []
    for row, (own_slot, foe_slot), alive, (request, result, foe_left) in zip(rows, slots, bench, heads, strict=True):
        if own_slot < 0 or foe_slot < 0:
            raise ValueError("a view without both active Pokémon has no Metamon state (nothing is decided before them)")
        data = row.tobytes()
        own = [data[at : at + own_size] for at in range(own_at, own_at + layout.TEAM * own_size, own_size)]
        foe = data[foe_at + foe_slot * foe_size : foe_at + (foe_slot + 1) * foe_size]
        me, it = data[me_at : me_at + active_size], data[it_at : it_at + active_size]
        switches = ", ".join([_own_text(own[slot]) for slot in range(layout.TEAM) if alive[slot]])
        texts.append(
            f'{{"format": "{FORMAT}", "player_active_pokemon": {_own_text(own[own_slot], me)}, '
            f'"opponent_active_pokemon": {_foe_text(foe, it)}, "available_switches": [{switches}], '
            f'"player_prev_move": {_previous_own(own[own_slot], me)}, '
            f'"opponent_prev_move": {_previous_foe(foe, it)}, "opponents_remaining": {foe_left}, '
            '"player_conditions": "noconditions", "opponent_conditions": "noconditions", "weather": "noweather", '
            f'"battle_field": "nofield", "forced_switch": {_BOOL[request == layout.REQUEST_SWITCH]}, '
            f'"battle_won": {_BOOL[result == layout.WON]}, "battle_lost": {_BOOL[result == layout.LOST]}, '
            '"can_tera": false, "opponent_teampreview": []}'
        )
    return texts


_BOOL = ("false", "true")
_OWN, _FOE, _ACTIVE = (layout.layout(kind) for kind in (layout.OWN, layout.FOE, layout.ACTIVE))
_unpack_own, _unpack_foe, _unpack_active = (struct.Struct(f"<{kind['size']}h").unpack for kind in (_OWN, _FOE, _ACTIVE))
_RESTING = bytes(layout.ACTIVE.itemsize)  # no boosts, no effects


@lru_cache(2048)
def _own_text(record: bytes, active: bytes = _RESTING) -> str:
    own = _unpack_own(record)
    return _pokemon_text(own, _OWN, own[_OWN["hp"]] / max(own[_OWN["max_hp"]], 1), _own_moves(own), active)


@lru_cache(2048)
def _foe_text(record: bytes, active: bytes) -> str:
    foe = _unpack_foe(record)
    return _pokemon_text(foe, _FOE, foe[_FOE["hp"]] / 100, _foe_moves(foe), active)


def _own_moves(own) -> dict[int, str]:
    """Texts by move token."""
    at, pp, most = _OWN["moves"], _OWN["pp"], _OWN["max_pp"]
    slots = range(layout.MOVES_EACH)
    return {own[at + i]: _move_text(own[at + i], own[pp + i], own[most + i]) for i in slots if own[at + i]}


def _foe_moves(foe) -> dict[int, str]:
    at, uses = _FOE["moves"], _FOE["uses"]
    slots = range(layout.MOVES_EACH)
    return {
        foe[at + i]: _move_text(foe[at + i], max(_MOST_PP[foe[at + i]] - foe[uses + i], 0))
        for i in slots
        if foe[at + i]
    }


def _previous_own(record: bytes, active: bytes) -> str:
    move = _unpack_active(active)[_ACTIVE["prev_move"]]
    return (_own_moves(_unpack_own(record)) if move else {}).get(move) or _move_text(move, _MOST_PP[move])


def _previous_foe(record: bytes, active: bytes) -> str:
    move = _unpack_active(active)[_ACTIVE["prev_move"]]
    return (_foe_moves(_unpack_foe(record)) if move else {}).get(move) or _move_text(move, _MOST_PP[move])


def _pokemon_text(record, at: dict[str, int], hp: float, moves: dict[int, str], active: bytes) -> str:
    now = _unpack_active(active)
    effects, boosts = _ACTIVE["effects"], _ACTIVE["boosts"]
    species, types = record[at["species"]], at["types"]
    name, status = dex.SPECIES[species], dex.STATUSES[record[at["status"]]] or "nostatus"
    return (
        f'{{"name": "{name}", "hp_pct": {hp!r}, "types": "{_types_text(record[types : types + 2])}", "item": "noitem", '
        f'"ability": "noability", "lvl": {record[at["level"]]}, "status": "{status}", '
        f'"effect": "{_effect_text(now[effects : effects + len(layout.EFFECTS)])}", "moves": [{", ".join(moves.values())}], '
        f"{_boosts_text(now[boosts : boosts + len(layout.BOOSTS)])}, {_base_text(now[_ACTIVE['species']] or species)}, "
        f'"tera_type": "notype", "base_species": "{name}"}}'
    )


@lru_cache(1024)
def _types_text(types: tuple[int, ...]) -> str:
    return " ".join(sorted(dex.TYPES[token] or "notype" for token in types))


@lru_cache(1024)
def _effect_text(effects: tuple[int, ...]) -> str:
    return next((word for index, word in _EFFECT_ORDER if effects[index]), "noeffect")


@lru_cache(4096)
def _boosts_text(boosts: tuple[int, ...]) -> str:
    return ", ".join(f'"{name}_boost": {boosts[index]}' for index, name in _BOOST_ORDER)


@lru_cache(None)  # one a species
def _base_text(species: int) -> str:
    health, attack, defence, special, speed = (int(stat) for stat in dex.BASE_STATS[species])
    return (
        f'"base_atk": {attack}, "base_spa": {special}, "base_def": {defence}, "base_spd": {special}, '
        f'"base_spe": {speed}, "base_hp": {health}'
    )


_MOST_PP = dex.MOVE_MAX_PP.tolist()


@lru_cache(None)  # a move, its PP and its most PP: some ten thousand at the very most
def _move_text(move: int, pp: int, most: int | None = None) -> str:
    if not move:
        return (
            '{"name": "nomove", "move_type": "nomove", "category": "nomove", "base_power": 0, "accuracy": 1.0, '
            '"priority": 0, "current_pp": 0, "max_pp": 0}'
        )
    accuracy = float(dex.MOVE_ACCURACY[move]) / 100 or 1.0
    most = _MOST_PP[move] if most is None else most
    return (
        f'{{"name": "{dex.MOVES[move]}", "move_type": "{dex.TYPES[dex.MOVE_TYPE[move]]}", '
        f'"category": "{dex.CATEGORIES[dex.MOVE_CATEGORY[move]]}", "base_power": {int(dex.MOVE_POWER[move])}, '
        f'"accuracy": {accuracy!r}, "priority": {int(dex.MOVE_PRIORITY[move])}, "current_pp": {pp}, "max_pp": {most}}}'
    )


# --- files ---------------------------------------------------------------------------------------------------------


def encode_battle(views: np.ndarray, actions: np.ndarray) -> bytes:
    """The content of a file: LZ4 frame of the JSON.

    Args:
        views: int16 `[N + 1, VIEW_SIZE]`.
        actions: int `[N]`, in the env's nine; -1 where unknown.
    """
    chosen = their_actions(views, actions).tolist()
    text = f'{{"states": [{", ".join(states_text(views))}], "actions": {json.dumps([*chosen, PADDING])}}}'
    return lz4.frame.compress(text.encode(), content_checksum=True)


def their_actions(views: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Our actions as Metamon numbers them, int `[N]`.

    Both number moves 0-3 and switches 4-8 in alphabetical order. Only where a Pokémon goes on with a move by itself,
    our single option 0 stands for that move, which there has its own number.
    """
    named = layout.named(np.ascontiguousarray(views[: len(actions)]))
    slot = named["own_active"]["slot"]
    moves = named["own"]["moves"][np.arange(len(slot)), slot]
    same = moves == named["locked_move"][:, None]
    going_on = (named["menu"] == layout.MENU_LOCKED) & (actions == 0) & same.any(axis=1)
    return np.where(going_on, same.argmax(axis=1), actions)


def check_intact(path: Path) -> None:
    """Refuse a file that was cut short or changed since it was written, without parsing it.

    Raises:
        DamagedFile: names it.
    """
    try:
        content = path.read_bytes()
        if path.name.endswith(".lz4"):
            content = lz4.frame.decompress(content)
    except (OSError, RuntimeError) as error:
        raise DamagedFile(f"{path}: not a readable trajectory ({type(error).__name__}: {error})") from error
    if not content.rstrip().endswith(b"}"):
        raise DamagedFile(f"{path}: not a readable trajectory (the JSON breaks off)")


def read_battle(path: Path) -> tuple[list[dict], list[int]]:
    """States and actions of a file, the padding action included.

    Raises:
        DamagedFile: unreadable, half-written, or not a trajectory; the message names the file.
    """
    try:
        content = path.read_bytes()
        text = lz4.frame.decompress(content) if path.name.endswith(".lz4") else content
        battle = json.loads(text)
        states, actions = battle["states"], battle["actions"]
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{path}: not a readable trajectory ({type(error).__name__}: {error})") from error
    if len(states) != len(actions) or len(states) < 2 or actions[-1] != PADDING:
        raise DamagedFile(
            f"{path}: {len(states)} states and {len(actions)} actions; expected as many of each, at least 2, the last "
            f"action being {PADDING}"
        )
    return states, actions
