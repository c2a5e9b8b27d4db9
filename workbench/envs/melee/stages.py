"""Stages: ground, platforms, ledges, blast zones, spawn points. What moves on them in the game stands still here.

Figures: `data/stages.csv`; sources in `data/README.md`.
"""

from __future__ import annotations

import difflib
from functools import cache

import numpy as np

from workbench.envs.melee.tables import rows, short_name

STAGE_IDS = 33  # tokens: Slippi stage ids 0..32
SURFACES = 4  # the ground is surface 0, platforms follow

STAGE = np.dtype(
    [
        ("stage_id", np.int32),
        ("surfaces", np.int32),
        ("left", np.float32, (SURFACES,)),
        ("right", np.float32, (SURFACES,)),
        ("height", np.float32, (SURFACES,)),
        ("slope_from", np.float32),  # beyond this |x| the ground rises or falls linearly by `slope_rise`
        ("slope_to", np.float32),
        ("slope_rise", np.float32),
        ("edge", np.float32),  # |x| of the ledges
        ("ledge_y", np.float32),
        ("blast_left", np.float32),
        ("blast_right", np.float32),
        ("blast_top", np.float32),
        ("blast_bottom", np.float32),
        ("spawn_x", np.float32, (2,)),
        ("spawn_surface", np.int32, (2,)),
        ("respawn_y", np.float32),
    ],
    align=True,
)


@cache
def stage_names() -> dict[str, int]:
    """Slippi stage id by short name: `final_destination`, `battlefield` …"""
    return {short_name(row["stage"].replace("'", "")): int(row["slippi_id"]) for row in rows("stages")}


def stage_id(name: str) -> int:
    """The Slippi id of a stage.

    Raises:
        KeyError: unknown name; the message gives the nearest ones.
    """
    names = stage_names()
    key = short_name(name.replace("'", ""))
    if key not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names)
        raise KeyError(f"no stage named {name!r}; did you mean {', '.join(near)}?")
    return names[key]


@cache
def stage_table() -> np.ndarray:
    """`STAGE` records `[STAGE_IDS]`, indexed by Slippi stage id; unknown ids are zeros. Shared and read-only."""
    table = np.zeros(STAGE_IDS, STAGE)
    for row in rows("stages"):
        _fill(table[int(row["slippi_id"])], row)
    table.flags.writeable = False
    return table


def _fill(record, row) -> None:
    record["stage_id"] = int(row["slippi_id"])
    record["edge"], record["ledge_y"] = float(row["ledge_x"]), float(row["ledge_y"])
    for side in ("left", "right", "top", "bottom"):
        record[f"blast_{side}"] = float(row[f"blast_{side}"])
    record["left"][0], record["right"][0] = -record["edge"], record["edge"]
    corners = [tuple(map(float, point.split(","))) for point in row["ground_polyline"].split(";")]
    right_half = [(x, y) for x, y in corners if x > 0]
    inner_x, inner_y = right_half[0]
    record["height"][0] = inner_y
    record["slope_from"] = inner_x
    record["slope_to"] = inner_x
    if len(right_half) > 1:
        record["slope_to"], record["slope_rise"] = right_half[1][0], right_half[1][1] - inner_y
    platforms = [text.split(":")[1] for text in row["platforms"].split(",") if text]
    record["surfaces"] = 1 + len(platforms)
    for k, text in enumerate(platforms, start=1):
        extent, height = text.removesuffix("(start)").split("@")
        left, right = extent.split("..")
        record["left"][k], record["right"][k], record["height"][k] = float(left), float(right), float(height)
    spawns = [tuple(map(float, point.split(","))) for point in row["spawns"].split(";")][:2]
    for k, (x, y) in enumerate(spawns):
        record["spawn_x"][k] = x
        below = [
            (record["height"][s], s)
            for s in range(int(record["surfaces"]))
            if record["left"][s] <= x <= record["right"][s] and record["height"][s] <= y
        ]
        record["spawn_surface"][k] = max(below)[1]
    # Battlefield gives one point a port; both ports respawn at the mean height above the middle
    record["respawn_y"] = float(row["respawn"].split(";")[0].split(",")[1].split("(")[0])
