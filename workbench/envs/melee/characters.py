"""Attributes of the fighters, as one record a fighter.

Figures: `data/characters.csv`, `data/defence.csv`, `data/double_jumps.csv`, `data/recoveries.csv`; their sources are
explained in `data/README.md`.
"""

from __future__ import annotations

import difflib
from functools import cache

import numpy as np

from workbench.envs.melee.moves import MOVE, SLOTS, animation, move_table
from workbench.envs.melee.tables import CHARACTER_IDS, number, rows, short_name

PROFILE = 96  # frames a recovery or a double-jump profile may last
_ATTRIBUTES = (
    "weight", "gravity", "terminal_velocity", "fastfall_velocity", "air_accel_a", "air_accel_b", "air_max_speed",
    "air_friction", "ground_friction", "walk_initial", "walk_accel", "walk_max_speed", "dash_run_accel_a",
    "dash_run_accel_b", "run_speed", "dash_frame2_speed", "full_hop_velocity", "short_hop_velocity", "jump_h_initial",
    "ground_to_air_mult", "jump_h_max", "air_jump_v_mult", "air_jump_h_mult", "shield_break_velocity",
    "ledge_jump_h", "ledge_jump_v", "ledge_hang_dx", "ledge_hang_dy",
)  # fmt: skip
_FRAMES = ("jumpsquat_frames", "dash_frames_before_run", "landing_lag_normal")
_DODGES = (
    "roll_f_inv_start", "roll_f_inv_end", "roll_f_total", "roll_b_inv_start", "roll_b_inv_end", "roll_b_total",
    "spotdodge_inv_start", "spotdodge_inv_end", "spotdodge_total", "airdodge_total",
)  # fmt: skip
_DISTANCES = (
    "roll_f_distance", "roll_b_distance", "tech_f_distance", "tech_b_distance", "getup_roll_f_up_distance",
    "getup_roll_b_up_distance", "ledge_roll_slow_distance", "ledge_roll_quick_distance",
)  # fmt: skip

CHARACTER = np.dtype(
    [(name, np.float32) for name in _ATTRIBUTES + _DISTANCES]
    + [(name, np.int32) for name in _FRAMES + _DODGES]
    + [
        ("char_id", np.int32),
        ("hurt_halfwidth", np.float32),
        ("hurt_height", np.float32),
        ("shield_radius", np.float32),
        ("air_jumps", np.int32),
        ("multi_jump", np.float32, (6,)),  # velocities of a second, third … air jump; 0: the formula's
        ("has_profile", np.int32),
        ("profile", np.float32, (PROFILE,)),  # height gained in each frame of the double jump
        ("recovery_startup", np.int32),
        ("recovery_total", np.int32),  # 0: no up special modelled
        ("recovery_aimed", np.int32),
        ("recovery_speed", np.float32, (PROFILE,)),  # speed in each frame of the up special
        ("recovery_rise", np.int32),  # last frame of the table's own upward speeds
        ("recovery_state", np.int32, (2,)),  # action states before and while travelling
        ("recovery_landing_lag", np.int32),
        ("moves", MOVE, (SLOTS,)),
    ],
    align=True,
)


@cache
def character_names() -> dict[str, int]:
    """Slippi internal id by short name: `fox`, `captain_falcon`, `dr_mario` …"""
    return {short_name(row["character"]): int(row["char_id"]) for row in rows("characters")}


def character_id(name: str) -> int:
    """The Slippi internal id of a fighter.

    Raises:
        KeyError: unknown name; the message gives the nearest ones.
    """
    names = character_names()
    if short_name(name) not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names)
        raise KeyError(f"no character named {name!r}; did you mean {', '.join(near)}?")
    return names[short_name(name)]


@cache
def character_table() -> np.ndarray:
    """`CHARACTER` records `[CHARACTER_IDS]`, indexed by Slippi internal id; unknown ids are zeros.

    The array is shared and read-only.
    """
    table = np.zeros(CHARACTER_IDS, CHARACTER)
    for row in rows("characters"):
        record = table[int(row["char_id"])]
        record["char_id"] = int(row["char_id"])
        for name in _ATTRIBUTES + _FRAMES:
            record[name] = number(row[name])
        if not row["ledge_hang_dx"]:  # not seen in the replays: the fact table's suggestion
            record["ledge_hang_dx"], record["ledge_hang_dy"] = 2.0, -17.0
        record["hurt_halfwidth"] = number(row["hurt_halfwidth_use"])
        record["hurt_height"] = number(row["hurt_height_use"])
        # the bubble's diameter is shield_size * model_scale
        record["shield_radius"] = 0.5 * number(row["shield_size"]) * number(row["model_scale"])
        record["air_jumps"] = int(row["num_jumps"]) - 1
        if row["double_jump_type"] == "multi":
            # Kirby's velocities are not known here: full hop for each
            speeds = [float(v) for v in row["multi_jump_v"].split(";")] if row["multi_jump_v"] else []
            speeds = speeds or [number(row["full_hop_velocity"])] * 5
            record["multi_jump"][: len(speeds)] = speeds
            record["air_jump_h_mult"] = 1.0
    for row in rows("double_jumps"):
        record = table[int(row["char_id"])]
        record["has_profile"] = max(int(record["has_profile"]), int(row["frame"]))
        record["profile"][int(row["frame"]) - 1] = float(row["dy"])
    for row in rows("defence"):
        record = table[int(row["char_id"])]
        for name in _DODGES + _DISTANCES:
            record[name] = number(row[name])
        if not row["airdodge_total"]:
            record["airdodge_total"] = 49
    for row in rows("recoveries"):
        _add_recovery(table[int(row["char_id"])], row)
    table["moves"] = move_table()
    table.flags.writeable = False
    return table


def _add_recovery(record, row) -> None:
    """Fill in one up special: its speeds from the row, or from libmelee's animation movement where the row has none."""
    startup, travel = int(row["startup"]), int(row["travel"])
    record["recovery_startup"], record["recovery_total"] = startup, startup + travel
    record["recovery_aimed"] = int(row["aimed"])
    record["recovery_state"] = int(row["startup_state"]), int(row["travel_state"])
    record["recovery_landing_lag"] = int(row["landing_lag"])
    record["recovery_rise"] = startup + travel
    if row["speed"]:
        record["recovery_speed"][startup : startup + travel] = float(row["speed"])
        return
    frames = animation(int(row["char_id"]), int(row["travel_state"]))
    shift = startup if row["startup_state"] != row["travel_state"] else 0
    for frame, line in frames.items():
        if 1 <= frame + shift <= startup + travel:
            record["recovery_speed"][frame + shift - 1] = float(line["locomotion_y"])
    record["recovery_rise"] = int(np.flatnonzero(record["recovery_speed"])[-1]) + 1
