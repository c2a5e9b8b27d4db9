"""Moves as arrays: timing, hit windows with their knockback figures, and the hit circles of every frame.

Timing and knockback come from `data/moves.csv`, circles and animation movement from the frame table of the installed
libmelee (`melee/framedata.csv`, 0.47.6), which is read and never copied. A move without circles there gets one circle
of the table's mean figures, or of `FALLBACK_CIRCLE`.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from workbench.envs.melee.tables import CHARACTER_IDS, number, rows

# slots, in the order of their action states where those follow each other
MOVE_NAMES = (
    "jab1", "jab2", "jab3", "rapid_jab", "dash_attack", "ftilt", "utilt", "dtilt", "fsmash", "usmash", "dsmash",
    "nair", "fair", "bair", "uair", "dair", "grab", "dash_grab", "pummel", "fthrow", "bthrow", "uthrow", "dthrow",
    "ledge_attack", "getup_attack_back", "neutral_b", "neutral_b_air", "side_b", "side_b_air", "down_b", "down_b_air",
    "up_b",
)  # fmt: skip
(
    JAB1, JAB2, JAB3, RAPID_JAB, DASH_ATTACK, FTILT, UTILT, DTILT, FSMASH, USMASH, DSMASH,
    NAIR, FAIR, BAIR, UAIR, DAIR, GRAB, DASH_GRAB, PUMMEL, FTHROW, BTHROW, UTHROW, DTHROW,
    LEDGE_ATTACK, GETUP_ATTACK, NEUTRAL_B, NEUTRAL_B_AIR, SIDE_B, SIDE_B_AIR, DOWN_B, DOWN_B_AIR, UP_B,
) = range(32)  # fmt: skip
SLOTS = len(MOVE_NAMES)
CIRCLES = 4
WINDOWS, FRAMES = 14, 128
FALLBACK_CIRCLE = (8.0, 7.0, 4.0)  # x forward, y up, radius: an ordinary jab's, where no table has the move
GETUP_ATTACK_HIT = (
    6.0,
    361.0,
    80.0,
    50.0,
)  # FC: every character's get-up attack from the belly; same used for the back
PUMMEL_FRAMES = 24  # length not in the tables: an ordinary jab's
REFLECTOR_START = 3  # LM: frames of the spacies' down special before a jump may cancel it
REFLECTOR_FRAMES = 21  # assumed: opening, shortest loop and closing

WINDOW = np.dtype(
    [
        ("damage", np.float32),
        ("angle", np.float32),
        ("bkb", np.float32),
        ("kbg", np.float32),
        ("setkb", np.float32),
        ("electric", np.int32),
        ("group", np.int32),  # windows without a gap between them hit once together
    ],
    align=True,
)
FRAME = np.dtype(
    [
        ("window", np.int32),  # row of the move's windows, -1: no hitbox in this frame
        ("circles", np.int32),
        ("step", np.float32),  # forward movement by the animation
        ("x", np.float32, (CIRCLES,)),
        ("y", np.float32, (CIRCLES,)),
        ("r", np.float32, (CIRCLES,)),
    ],
    align=True,
)
MOVE = np.dtype(
    [
        ("action_state", np.int32),
        ("first", np.int32),  # first and last frame with a hitbox; 0: none
        ("last", np.int32),
        ("total", np.int32),  # 0: the fighter does not have this move here
        ("free", np.int32),  # first frame another action may begin (IASA), else total + 1
        ("landing_lag", np.int32),
        ("autocancel_before", np.int32),  # landing on frames below this, or above the next, costs an ordinary landing
        ("autocancel_after", np.int32),
        ("weight_dependent", np.int32),
        ("throw_hitlag", np.int32),
        ("release_damage", np.float32),
        ("release_angle", np.float32),
        ("release_bkb", np.float32),
        ("release_kbg", np.float32),
        ("is_grab", np.int32),
        ("release", np.int32),  # frame a throw lets go, or a pummel hits
        ("jump_cancel", np.int32),  # first frame a jump may interrupt; 0: never
        ("windows", WINDOW, (WINDOWS,)),
        ("frames", FRAME, (FRAMES,)),  # of the animation, from frame 1; what lasts longer goes on without hitboxes
    ],
    align=True,
)


@cache
def _libmelee_frames() -> dict[tuple[int, int], dict[int, dict[str, str]]]:
    found: dict[tuple[int, int], dict[int, dict[str, str]]] = {}
    # found without importing the package, which would load its network code
    package = find_spec("melee")
    if package is None:
        raise ModuleNotFoundError("libmelee is not installed: pip install melee==0.47.6")
    path = Path(package.submodule_search_locations[0]) / "framedata.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            state = found.setdefault((int(row["character"]), int(row["action"])), {})
            state[int(row["frame"])] = row
    return found


def animation(character: int, action_state: int) -> dict[int, dict[str, str]]:
    """libmelee's rows of an animation by frame number (1 is the first shown); empty where it has none."""
    return _libmelee_frames().get((character, action_state), {})


def circles_of(line: dict[str, str] | None) -> list[tuple[float, float, float]]:
    """Active hit circles (x forward, y up, radius) of one row of libmelee's frame table."""
    if line is None:
        return []
    return [
        tuple(float(line[f"hitbox_{k}_{part}"]) for part in ("x", "y", "size"))
        for k in range(1, CIRCLES + 1)
        if line[f"hitbox_{k}_status"] == "True"
    ]


@cache
def move_table() -> np.ndarray:
    """All fighters' moves, `MOVE` records `[CHARACTER_IDS, SLOTS]`. Shared and read-only."""
    table = np.zeros((CHARACTER_IDS, SLOTS), MOVE)
    table["frames"]["window"] = -1
    slots = {name: slot for slot, name in enumerate(MOVE_NAMES)}
    for row in rows("moves"):
        if row["move"] in slots and row["move"] != "up_b":
            slot = slots[row["move"]]
            _fill(table[int(row["char_id"]), slot], slot, row)
    for row in rows("recoveries"):
        _fill_recovery(table[int(row["char_id"]), UP_B], row)
    table.flags.writeable = False
    return table


def _fill(record, slot: int, row: dict[str, str]) -> None:
    """One move from its row; left empty where the tables do not give enough to play it."""
    character = int(row["char_id"])
    state = int(number(row["action_state"]))
    frames = animation(character, state) if state else {}
    first, last = int(number(row["start"])), int(number(row["end"]))
    total = int(number(row["total"])) or len(frames)
    name = MOVE_NAMES[slot]
    special = slot >= NEUTRAL_B
    if special and not (state and circles_of(frames.get(first)) and row["is_projectile_state"] != "1"):
        return  # projectiles and moves whose hitboxes nobody has measured are left out
    if special and (max(frames) < last or row["window_source"].startswith("in-state")):
        return  # the animation is split into states that the table does not follow
    if special and (damages := [w[2] for w in _windows(row["windows"])]) and not max(damages):
        return
    if name == "pummel":
        total = max(total, PUMMEL_FRAMES)
    reflector = name.startswith("down_b") and total == REFLECTOR_START
    if reflector:
        total = REFLECTOR_FRAMES
    if not total:
        return
    record["action_state"], record["total"] = state, total
    record["first"], record["last"] = first, last
    record["free"] = int(number(row["iasa"])) or total + 1
    record["landing_lag"] = int(number(row["landing_lag"]))
    record["autocancel_before"] = int(number(row["autocancel_before"]))
    record["autocancel_after"] = int(number(row["autocancel_after"])) or 999
    record["jump_cancel"] = REFLECTOR_START + 1 if reflector else 0
    record["release"] = first if name == "pummel" or name.endswith("throw") else 0
    record["is_grab"] = name in ("grab", "dash_grab")
    if name.endswith("throw"):
        record["weight_dependent"] = int(number(row["throw_weight_dependent"]))
        record["throw_hitlag"] = int(number(row["throw_hitlag"]))
        for part in ("damage", "angle", "bkb", "kbg"):
            record[f"release_{part}"] = number(row[f"a_{part}"])
    windows = _hit_windows(name, row, frames, first, last)
    circle = FALLBACK_CIRCLE
    if row["hb_mean_x"]:
        circle = tuple(number(row[f"hb_mean_{part}"]) for part in "xyr")
    _add_frames(record, total, windows, {f: circles_of(frames.get(f)) or [circle] for f in range(1, total + 1)})
    for frame in range(1, min(total, FRAMES) + 1):
        if frame in frames:
            record["frames"][frame - 1]["step"] = float(frames[frame]["locomotion_x"])


def _hit_windows(name, row, frames, first, last) -> list[tuple]:
    """(first, last, damage, angle, bkb, kbg, setkb, electric) a window, in time order."""
    electric = row["a_effect"] == "Electric"
    if name in ("grab", "dash_grab"):  # FC counts grab windows from 0; start and end are shown frames
        return [(first, last, 0, 0, 0, 0, 0, False)]
    if name.endswith("throw") or name == "pummel":
        return []
    if name == "getup_attack_back" and not row["windows"]:
        return [(first, last, *GETUP_ATTACK_HIT, 0, False)]
    timed = [w for w in _windows(row["windows"]) if w[0] is not None]
    if not timed and row["windows"]:  # times unknown: the strongest hit, then the next through the second half
        hits = [w[2:] for w in _windows(row["windows"])]
        half = (first + last + 1) // 2 if len(hits) > 1 and name.endswith("air") else last + 1
        timed = [(first, half - 1, *hits[0])]
        if half <= last:
            timed.append((half, last, *hits[1]))
    if not timed and row["a_damage"]:
        timed = [(first, last, *(number(row[f"a_{part}"]) for part in ("damage", "angle", "bkb", "kbg", "setkb")))]
    return [(*window, electric) for window in sorted(timed)]


def _add_frames(record, total, windows, circles) -> None:
    """The hit windows and, for each frame one of them covers, its circles."""
    table = record["frames"]
    group, previous_last = -1, None
    for row, (first, last, *figures) in enumerate(windows):
        if previous_last is None or first > previous_last + 1:
            group += 1
        previous_last = last
        record["windows"][row] = (*figures, group)
        for frame in range(max(first, 1), min(last, total, FRAMES) + 1):
            line = table[frame - 1]
            line["window"] = row
            line["circles"] = min(len(circles[frame]), CIRCLES)
            for k, (x, y, r) in enumerate(circles[frame][:CIRCLES]):
                line["x"][k], line["y"][k], line["r"][k] = x, y, r
    active = np.flatnonzero(table["window"] >= 0) + 1
    record["first"], record["last"] = (active[0], active[-1]) if len(active) else (0, 0)


def _fill_recovery(record, row: dict[str, str]) -> None:
    """An up special: startup and travel as one move of the slot `up_b`."""
    startup = int(row["startup"])
    total = startup + int(row["travel"])
    record["action_state"], record["total"] = int(row["startup_state"]), total
    record["free"], record["autocancel_after"] = total + 1, 999
    record["landing_lag"] = int(row["landing_lag"])
    shift = startup if row["startup_state"] != row["travel_state"] else 0
    travelling = animation(int(row["char_id"]), int(row["travel_state"]))
    circles = {f: circles_of(travelling.get(f - shift)) or [(0.0, 6.0, 5.0)] for f in range(1, total + 1)}
    windows = []
    if row["hit_first"]:
        figures = [number(row[part]) for part in ("damage", "angle", "bkb", "kbg")]
        windows = [(int(row["hit_first"]), int(row["hit_last"]), *figures, 0, False)]
    _add_frames(record, total, windows, circles)


def _windows(text: str) -> list[tuple]:
    """`"4-7:12/361/10/100/0;…"` -> (first, last, damage, angle, bkb, kbg, setkb) a window; None where untimed."""
    found = []
    for part in filter(None, text.split(";")):
        times, figures = part.split(":")
        first, _, last = times.partition("-")
        timing = (int(first), int(last)) if first else (None, None)
        found.append((*timing, *(float(v) for v in figures.split("/"))))
    return found
