"""Views made again from Metamon's states, for files that come without our sidecar (human replays, other agents').

A state shows less than a view: one effect a Pokémon, no fainted Pokémon of one's own, of the other side only the active
one, and neither turns nor what was disabled. A battle read from its beginning gives much of it back: own Pokémon that
are gone have fainted, the other side's are as they were last seen, a turn passes with every choice that was not a
forced switch. What cannot be known stays at its neutral value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.data.metamon import EFFECTS
from workbench.envs.pokemon import dex
from workbench.envs.pokemon import view as layout

_EFFECT_INDEX = {theirs: layout.EFFECTS.index(ours) for ours, theirs in EFFECTS.items()}
_MOVE_TOKEN = {name: token for token, name in enumerate(dex.MOVES)}
_FAINTED = dex.STATUS_TOKEN["fnt"]
_BEST_DV = 15
_BEST_STAT_EXP = 63  # what full stat experience adds


def view_from_state(state: dict) -> np.ndarray:
    """int16 `[VIEW_SIZE]` of a single state; see `views_from_states`."""
    return views_from_states([state])[0]


def views_from_states(states: Sequence[dict]) -> np.ndarray:
    """Views int16 `[N, VIEW_SIZE]` of the states of one battle, in order, beginning with its first.

    Raises:
        ValueError: not generation 1, or a name that generation 1 does not know.
    """
    rows = np.zeros((len(states), layout.VIEW_SIZE), np.int16)
    views = layout.named(rows)
    team = _own_team(states)
    foes = _OtherSide()
    own: dict[str, np.ndarray] = {}
    turn = 0
    for view, state in zip(views, states, strict=True):
        if state["format"] != "gen1ou":
            raise ValueError(f"state of format {state['format']!r}; expected gen1ou")
        over = state["battle_won"] or state["battle_lost"]
        active, switches = state["player_active_pokemon"], state["available_switches"]
        turn += not state["forced_switch"] and not over
        view["turn"] = max(turn, 1)
        view["result"] = layout.WON if state["battle_won"] else layout.LOST if state["battle_lost"] else layout.RUNNING
        for pokemon in (*switches, active):
            own[_species(pokemon)] = _own_record(pokemon)
        present = {_species(pokemon) for pokemon in (*switches, active)}
        for slot, species in enumerate(team):
            if species in own:
                view["own"][slot] = own[species] if species in present else _gone(own[species])
            else:  # seen only later: nothing has happened to it yet
                view["own"][slot] = _own_record(_first_seen(states, species))
        view["own_left"] = int((view["own"]["hp"] > 0).sum())
        _write_active(view["own_active"], active, team.index(_species(active)), state["player_prev_move"])
        foes.see(state)
        for slot, record in enumerate(foes.records):
            view["foe"][slot] = record
        view["foe_left"] = state["opponents_remaining"]
        foe = state["opponent_active_pokemon"]
        _write_active(view["foe_active"], foe, foes.order.index(_species(foe)), state["opponent_prev_move"])
        if not over:
            _write_request(view, state)
    return rows


def _species(pokemon: dict) -> str:
    """The Pokémon's own species, which Transform does not change."""
    return "".join(char for char in pokemon.get("base_species", pokemon["name"]).lower() if char.isalnum())


def _token(table: dict[str, int], name: str, what: str) -> int:
    if name not in table:
        raise ValueError(f"generation 1 has no {what} {name!r}")
    return table[name]


def _own_team(states: Sequence[dict]) -> list[str]:
    team = sorted({_species(p) for s in states for p in (s["player_active_pokemon"], *s["available_switches"])})
    if len(team) > layout.TEAM:
        raise ValueError(f"a side of {len(team)} Pokémon ({', '.join(team)}); expected at most {layout.TEAM}")
    return team


def _first_seen(states: Sequence[dict], species: str) -> dict:
    every = (p for s in states for p in (s["player_active_pokemon"], *s["available_switches"]))
    return next(pokemon for pokemon in every if _species(pokemon) == species)


def _gone(record: np.ndarray) -> np.ndarray:
    record = record.copy()
    record["hp"], record["status"] = 0, _FAINTED
    return record


def _sorted_moves(pokemon: dict) -> list[dict]:
    return sorted(pokemon["moves"][: layout.MOVES_EACH], key=lambda move: move["name"])


def _common(record: np.ndarray, pokemon: dict) -> None:
    """What both sides' records hold."""
    record["species"] = _token(dex.SPECIES_TOKEN, _species(pokemon), "Pokémon")
    record["level"] = pokemon["lvl"]
    record["status"] = 0 if pokemon["status"] == "nostatus" else _token(dex.STATUS_TOKEN, pokemon["status"], "status")
    types = [_token(dex.TYPE_TOKEN, name, "type") for name in pokemon["types"].split() if name != "notype"]
    natural = dex.SPECIES_TYPES[record["species"]]
    # a state sorts types; of a Pokémon that has its own, we know the order
    record["types"] = natural if sorted(types) == sorted(natural[natural > 0]) else [*types, 0, 0][:2]


def _own_record(pokemon: dict) -> np.ndarray:
    record = np.zeros((), layout.OWN)
    _common(record, pokemon)
    health, *others = (int(stat) for stat in dex.BASE_STATS[record["species"]])
    level = int(record["level"])
    record["max_hp"] = _stat(health, level) + level + 10
    record["stats"] = [_stat(base, level) + 5 for base in (others[0], others[1], others[2], others[3])]
    record["hp"] = max(round(pokemon["hp_pct"] * int(record["max_hp"])), int(pokemon["hp_pct"] > 0))
    for i, move in enumerate(_sorted_moves(pokemon)):
        record["moves"][i] = _token(_MOVE_TOKEN, move["name"], "move")
        record["pp"][i], record["max_pp"][i] = move["current_pp"], move["max_pp"]
        record["disabled"][i] = move["current_pp"] <= 0
    return record


def _stat(base: int, level: int) -> int:
    """Before what is added at the end, with the best DV and full stat experience, as competitive teams have."""
    return ((base + _BEST_DV) * 2 + _BEST_STAT_EXP) * level // 100


class _OtherSide:
    """The other side's Pokémon as they were last seen, in order of appearance."""

    def __init__(self):
        self.order: list[str] = []
        self.records: list[np.ndarray] = []
        self.active = ""
        self.left = layout.TEAM

    def see(self, state: dict) -> None:
        foe = state["opponent_active_pokemon"]
        species = _species(foe)
        if self.active and species != self.active and state["opponents_remaining"] < self.left:
            slot = self.order.index(self.active)
            self.records[slot] = _gone(self.records[slot])
        record = np.zeros((), layout.FOE)
        _common(record, foe)
        record["hp"] = max(round(foe["hp_pct"] * 100), int(foe["hp_pct"] > 0))
        for i, move in enumerate(_sorted_moves(foe)):
            token = _token(_MOVE_TOKEN, move["name"], "move")
            record["moves"][i] = token
            record["uses"][i] = max(int(dex.MOVE_MAX_PP[token]) - move["current_pp"], 0)
        if species in self.order:
            self.records[self.order.index(species)] = record
        else:
            self.order.append(species)
            self.records.append(record)
        self.active, self.left = species, state["opponents_remaining"]


def _write_active(active: np.ndarray, pokemon: dict, slot: int, previous: dict) -> None:
    active["slot"] = slot
    own_species = dex.SPECIES_TOKEN[_species(pokemon)]
    active["species"] = _looks(pokemon, own_species)
    for i, boost in enumerate(layout.BOOSTS):
        active["boosts"][i] = pokemon[f"{boost}_boost"]
    index = _EFFECT_INDEX.get(pokemon["effect"])
    if index is not None:
        active["effects"][index] = 1
    if previous["name"] != "nomove":
        active["prev_move"] = _token(_MOVE_TOKEN, previous["name"], "move")


def _looks(pokemon: dict, own_species: int) -> int:
    """Token of the species whose base stats the Pokémon shows: its own unless transformed."""
    shown = [pokemon[f"base_{stat}"] for stat in ("hp", "atk", "def", "spa", "spe")]
    if (dex.BASE_STATS[own_species] == shown).all():
        return own_species
    same = np.flatnonzero((dex.BASE_STATS[1:] == shown).all(axis=1)) + 1
    return int(same[0]) if len(same) else own_species


def _write_request(view: np.ndarray, state: dict) -> None:
    switches = len(state["available_switches"])
    view["legal"][4 : 4 + switches] = 1
    if state["forced_switch"]:
        view["request"] = layout.REQUEST_SWITCH
        return
    view["request"], view["menu"] = layout.REQUEST_MOVE, layout.MENU_MOVES
    moves = len(state["player_active_pokemon"]["moves"][: layout.MOVES_EACH])
    view["legal"][: max(moves, 1)] = 1
