"""What a seat sees: itself first, then its opponent, then the place. Numbers are scaled, ids are tokens.

Everything here is on the screen, or is the seat's own last choice. What the other seat holds on its controller, its
tech and tap timers and its escape counter are never written.
"""

from __future__ import annotations

import math

from workbench.envs.core import Field
from workbench.envs.melee.actions import ACTION_STATES
from workbench.envs.melee.characters import CHARACTER_IDS
from workbench.envs.melee.combat import untouchable
from workbench.envs.melee.controller import BUTTONS, C_STICK, MAIN_STICK, SHOULDER
from workbench.envs.melee.stages import STAGE_IDS
from workbench.envs.melee.state import core

FIGHTER_NAMES = (
    "x", "y", "facing", "percent", "stocks", "shield", "speed_x", "speed_y", "knockback_x", "knockback_y", "on_ground",
    "air_jumps", "fast_fall", "invulnerable", "hitlag", "hitstun", "action_frame", "off_stage", "ledge_distance",
)  # fmt: skip
OWN_NAMES = ("stick_x", "stick_y", "c_x", "c_y", "shoulder", "A", "B", "X", "Z", "L")
PLACE_NAMES = (
    "delta_x", "delta_y", "distance", "ahead", "faced", "near_ahead", "near_above", "edge", "blast_side", "blast_top",
    "blast_bottom", "platforms", "time",
)  # fmt: skip
FIGHTER_SIZE = len(FIGHTER_NAMES)
NUMBERS = 2 * FIGHTER_SIZE + len(OWN_NAMES) + len(PLACE_NAMES)
NUMBER_NAMES = (
    *(f"own_{name}" for name in FIGHTER_NAMES),
    *(f"opponent_{name}" for name in FIGHTER_NAMES),
    *(f"last_{name}" for name in OWN_NAMES),
    *PLACE_NAMES,
)

# units that one observed unit stands for
POSITION, SPEED, PERCENT, FRAMES = 50.0, 4.0, 100.0, 30.0
NEAR = 15.0  # reach of an ordinary move: within it distances are shown on a finer scale

FIELDS = {
    "numbers": Field((NUMBERS,), "float32", names=NUMBER_NAMES),
    "action_state": Field((2,), "int16", ACTION_STATES, ("own", "opponent")),
    "character": Field((2,), "int16", CHARACTER_IDS, ("own", "opponent")),
    "stage": Field((1,), "int16", STAGE_IDS, ("stage",)),
}


@core
def write_fighter(f, c, stage, out, at):
    """FIGHTER_NAMES of one fighter into `out[at:]`."""
    out[at] = f.x / POSITION
    out[at + 1] = f.y / POSITION
    out[at + 2] = f.facing
    out[at + 3] = f.percent / PERCENT
    out[at + 4] = f.stocks / 4
    out[at + 5] = f.shield / 60
    out[at + 6] = f.vx / SPEED
    out[at + 7] = f.vy / SPEED
    out[at + 8] = f.kx / SPEED
    out[at + 9] = f.ky / SPEED
    out[at + 10] = 1.0 if f.surface >= 0 else 0.0
    out[at + 11] = f.air_jumps / 2
    out[at + 12] = f.fast_fall
    out[at + 13] = 1.0 if untouchable(f) else 0.0
    out[at + 14] = f.hitlag / FRAMES
    out[at + 15] = f.hitstun / FRAMES
    out[at + 16] = min(f.frame, 120) / FRAMES
    out[at + 17] = 1.0 if abs(f.x) > stage.edge or f.y < stage.ledge_y - 5 else 0.0
    out[at + 18] = (stage.edge - abs(f.x)) / POSITION


@core
def write_numbers(f, o, fc, oc, stage, time, out):
    """One seat's `numbers`, float32 `[NUMBERS]`."""
    write_fighter(f, fc, stage, out, 0)
    write_fighter(o, oc, stage, out, FIGHTER_SIZE)
    at = 2 * FIGHTER_SIZE
    main = f.last_action[1]
    c_stick = f.last_action[2]
    button = BUTTONS[f.last_action[0]]
    out[at] = MAIN_STICK[main, 0]
    out[at + 1] = MAIN_STICK[main, 1]
    out[at + 2] = C_STICK[c_stick, 0]
    out[at + 3] = C_STICK[c_stick, 1]
    out[at + 4] = SHOULDER[f.last_action[3]]
    for k in range(5):
        out[at + 5 + k] = (button >> k) & 1
    at += 10
    dx = o.x - f.x
    dy = o.y - f.y
    out[at] = dx / POSITION
    out[at + 1] = dy / POSITION
    out[at + 2] = math.sqrt(dx * dx + dy * dy) / POSITION
    ahead = dx * f.facing
    out[at + 3] = ahead / POSITION
    out[at + 4] = -dx * o.facing / POSITION
    out[at + 5] = min(max(ahead / NEAR, -1.0), 1.0)
    out[at + 6] = min(max(dy / NEAR, -1.0), 1.0)
    out[at + 7] = stage.edge / POSITION
    out[at + 8] = stage.blast_right / POSITION
    out[at + 9] = stage.blast_top / POSITION
    out[at + 10] = stage.blast_bottom / POSITION
    out[at + 11] = (stage.surfaces - 1) / 3
    out[at + 12] = time


@core
def observe(game, f0, f1, c0, c1, stage, time_limit, b, numbers, action_states, characters, stages):
    """Both seats' observations of game `b`."""
    time = game.frame / time_limit
    write_numbers(f0, f1, c0, c1, stage, time, numbers[b, 0])
    write_numbers(f1, f0, c1, c0, stage, time, numbers[b, 1])
    action_states[b, 0, 0] = f0.action
    action_states[b, 0, 1] = f1.action
    action_states[b, 1, 0] = f1.action
    action_states[b, 1, 1] = f0.action
    characters[b, 0, 0] = f0.character
    characters[b, 0, 1] = f1.character
    characters[b, 1, 0] = f1.character
    characters[b, 1, 1] = f0.character
    stages[b, 0, 0] = game.stage
    stages[b, 1, 0] = game.stage
