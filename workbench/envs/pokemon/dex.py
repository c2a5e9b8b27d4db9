"""What generation 1 is made of, from Showdown's own dex: species, moves, types, and the tokens that stand for them.

Tokens are National Dex numbers of species and internal numbers of moves (both from 1), so that a saved network means
the same on every machine. `dex.json` is written by `node/export_dex.mjs` (facts of Showdown 0.11.11, MIT).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

_facts = json.loads((Path(__file__).parent / "dex.json").read_text())

# Names by token; entry 0 is always "nothing here".
SPECIES: tuple[str, ...] = ("", *(entry["id"] for entry in _facts["species"]))
MOVES: tuple[str, ...] = ("", *(entry["id"] for entry in _facts["moves"]))
TYPES: tuple[str, ...] = ("", *(name.lower() for name in _facts["types"]))
STATUSES: tuple[str, ...] = ("", "brn", "par", "slp", "frz", "psn", "tox", "fnt")
CATEGORIES: tuple[str, ...] = ("", "physical", "special", "status")

SPECIES_NAMES: tuple[str, ...] = ("", *(entry["name"] for entry in _facts["species"]))
MOVE_NAMES: tuple[str, ...] = ("", *(entry["name"] for entry in _facts["moves"]))

SPECIES_TOKEN = {name: token for token, name in enumerate(SPECIES)}
MOVE_TOKEN = {name: token for token, name in enumerate(MOVES)}
TYPE_TOKEN = {name: token for token, name in enumerate(TYPES)}
STATUS_TOKEN = {name: token for token, name in enumerate(STATUSES)}


def _column(entries, value, dtype=np.float32) -> np.ndarray:
    rows = [value(entry) for entry in entries]
    return np.array([np.zeros_like(rows[0]), *rows], dtype=dtype)


def _type_pair(entry) -> list[int]:
    return ([TYPE_TOKEN[name.lower()] for name in entry["types"]] + [0])[:2]


# [152, 5]: hp, atk, def, special, spe.
BASE_STATS = _column(_facts["species"], lambda entry: entry["stats"])
# [152, 2]: type tokens, the second 0 for a single type.
SPECIES_TYPES = _column(_facts["species"], _type_pair, np.int16)

# [166] each, by move token. Accuracy is in percent, 0 for a move that cannot miss.
MOVE_TYPE = _column(_facts["moves"], lambda entry: TYPE_TOKEN.get(entry["type"].lower(), 0), np.int16)
MOVE_CATEGORY = _column(_facts["moves"], lambda entry: CATEGORIES.index(entry["category"].lower()), np.int16)
MOVE_POWER = _column(_facts["moves"], lambda entry: entry["power"])
MOVE_ACCURACY = _column(_facts["moves"], lambda entry: entry["accuracy"])
MOVE_PRIORITY = _column(_facts["moves"], lambda entry: entry["priority"])
MOVE_MAX_PP = _column(_facts["moves"], lambda entry: entry["max_pp"], np.int16)

# [16, 16]: damage factor of an attacking type on a defending one; 1 wherever a type is missing.
TYPE_CHART = np.ones((len(TYPES), len(TYPES)), np.float32)
TYPE_CHART[1:, 1:] = _facts["chart"]


def effectiveness(attack: np.ndarray, defender: np.ndarray) -> np.ndarray:
    """Damage factor of attacking types `[...]` on defenders' type pairs `[..., 2]` (tokens): 0, 1/4, 1/2, 1, 2 or 4."""
    return TYPE_CHART[attack, defender[..., 0]] * TYPE_CHART[attack, defender[..., 1]]
