"""What the compiled core keeps of a fighter and of a game, and how its functions are compiled."""

from __future__ import annotations

import numba
import numpy as np

STALE_QUEUE = 9  # melee-facts: the last 9 moves that hit

FIGHTER = np.dtype(
    [
        ("x", np.float32),
        ("y", np.float32),
        ("vx", np.float32),  # own velocity; along the ground when standing
        ("vy", np.float32),
        ("kx", np.float32),  # knockback velocity, kept apart
        ("ky", np.float32),
        ("facing", np.float32),  # +1 right, -1 left
        ("percent", np.float32),
        ("shield", np.float32),
        ("stick_x", np.float32),
        ("stick_y", np.float32),
        ("c_x", np.float32),
        ("c_y", np.float32),
        ("shoulder", np.float32),
        ("charge", np.float32),  # frames a smash has been charged
        ("aim_x", np.float32),  # direction of an air dodge or of an aimed up special
        ("aim_y", np.float32),
        ("dealt", np.float32),  # damage dealt in this step, for rewards
        ("combo", np.float32),  # combo credit earned in this step
        ("edge_guard", np.float32),  # hits on an opponent off the stage in this step
        ("lost", np.int32),  # stocks lost in this step
        ("groups", np.int32),  # bit set of hit groups of the current move that have hit
        ("character", np.int16),
        ("action", np.int16),
        ("frame", np.int16),  # frames the action has been shown, from 1
        ("total", np.int16),  # frames the action lasts; 0: no fixed length
        ("slot", np.int16),  # move being made, -1: none
        ("surface", np.int16),  # 0 ground, 1.. platforms, -1 in the air
        ("hitlag", np.int16),
        ("hitstun", np.int16),
        ("launch", np.int16),  # 1: knockback waits for the end of hitlag
        ("tumble", np.int16),  # 1: the last hit sent the fighter tumbling
        ("invulnerable", np.int16),  # frames left, whatever the action
        ("safe_first", np.int16),  # frames of the action that cannot be hit
        ("safe_last", np.int16),
        ("air_jumps", np.int16),  # left
        ("fast_fall", np.int16),
        ("profile", np.int16),  # frame of a double jump that follows a height profile, 0: none
        ("ledge_wait", np.int16),  # frames before a ledge can be caught again
        ("tap_x", np.int16),  # frames since the stick left its dead zone
        ("tap_y", np.int16),
        ("since_shield", np.int16),  # frames since the last shield press (L-cancel)
        ("tech_window", np.int16),
        ("tech_lock", np.int16),
        ("buttons", np.int16),
        ("pressed", np.int16),  # buttons that went down in this frame
        ("c_pressed", np.int16),
        ("shield_held", np.int16),
        ("timer", np.int16),  # of grabs
        ("stocks", np.int16),
        ("stale_count", np.int16),
        ("charging", np.int16),  # 1: holding a smash
        ("logged", np.int16),  # 1: the current move is in the stale queue
        ("stale", np.int16, (STALE_QUEUE,)),  # slots of the moves that hit, newest first
        ("last_action", np.int16, (4,)),  # what the seat chose last, for its own observation
    ],
    align=True,
)
GAME = np.dtype(
    [
        ("seed", np.uint64),
        ("number", np.uint64),  # games played in this slot before this one
        ("frame", np.int32),
        ("steps", np.int32),
        ("stage", np.int32),
        ("over", np.int32),  # 0 going on, else 1 + index into the end reasons
        ("distance", np.float32),  # between the fighters, before this step
    ],
    align=True,
)

# Functions of the core are compiled when their one caller, `game.advance`, is; only that one is cached (numba checks
# the source file of the cached function alone, so a cache of several files' functions would go stale).
core = numba.njit(error_model="numpy", nogil=True)
