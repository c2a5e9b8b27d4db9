"""Motion and collision with the stage, one fighter and one frame at a time (compiled).

Rules and constants: common mechanics of NTSC 1.02, keys R (seen in replays) and T (taken from tables) of
`data/README.md`, unless a comment says that a figure is assumed.
"""

from __future__ import annotations

import math

from workbench.envs.melee import actions as a
from workbench.envs.melee.moves import DAIR, NAIR, NEUTRAL_B, UP_B
from workbench.envs.melee.state import core

KNOCKBACK_DECAY = 0.051  # R: 14,716 of 14,716 frames
DEAD_ZONE = 0.28  # T
PASS_STICK = -0.66  # T: the stick drops through platforms
FAST_FALL_STICK, FAST_FALL_TAP = -0.6625, 4  # T
LCANCEL_FRAMES = 7  # T
SPECIAL_LANDING = 10  # R: after an air dodge or a helpless fall
AIR_DODGE_DECAY = 0.9  # R
AIR_DODGE_FREE = 29  # frames before gravity acts again: the invulnerable ones (assumed)
LEDGE_SAFE = 37  # R: invulnerable from the catch
LEDGE_REACH = 9.0  # assumed: how far beside the corner hands reach
LEDGE_BELOW, LEDGE_ABOVE = 6.0, 8.0  # assumed: how far below and above the hanging height
LEDGE_AGAIN = 30  # T
TECH_SAFE = 20  # R
TECH_FRAMES, TECH_ROLL_FRAMES = 26, 40  # R
DOWN_BOUND_FRAMES = 26  # R
TECH_STICK = 0.28
CONTACT = 0.01  # how far under a surface a fighter may begin a frame and still land on it


@core
def enter(f, action, total):
    """Begin an action; its first shown frame is 1."""
    f.action = action
    f.frame = 1
    f.total = total
    f.slot = -1
    f.safe_last = 0
    f.profile = 0
    f.charging = 0


@core
def kind_of(f):
    """The kind of a fighter's state; specials are told by their move, since their states differ by fighter."""
    if f.slot >= NEUTRAL_B:
        if f.slot == UP_B:
            return a.K_RECOVERY
        return a.K_AIR_MOVE if f.surface < 0 else a.K_GROUND_MOVE
    return a.KIND[f.action]


@core
def ground_height(stage, surface, x):
    """Height of a surface at x."""
    height = stage.height[surface]
    if surface == 0 and stage.slope_to > stage.slope_from:
        beyond = (abs(x) - stage.slope_from) / (stage.slope_to - stage.slope_from)
        height += stage.slope_rise * min(max(beyond, 0.0), 1.0)
    return height


@core
def toward_zero(speed, step):
    """A speed brought nearer to zero by at most `step`."""
    if speed > step:
        return speed - step
    if speed < -step:
        return speed + step
    return 0.0


@core
def apply_friction(f, c):
    """Ground friction, doubled above the walking speed (R)."""
    friction = c.ground_friction
    if abs(f.vx) > c.walk_max_speed:
        friction *= 2
    f.vx = toward_zero(f.vx, friction)


@core
def drift(f, c):
    """Air control: a*|stick| + b toward the stick up to its share of the maximum, friction otherwise (R)."""
    stick = f.stick_x
    if abs(stick) < DEAD_ZONE:
        f.vx = toward_zero(f.vx, c.air_friction)
        return
    limit = stick * c.air_max_speed
    push = stick * c.air_accel_a + math.copysign(c.air_accel_b, stick)
    if limit * f.vx > 0 and abs(f.vx) > abs(limit):
        f.vx = math.copysign(max(abs(f.vx) - c.air_friction, abs(limit)), f.vx)
    elif limit > 0:
        f.vx = min(f.vx + push, limit)
    else:
        f.vx = max(f.vx + push, limit)


@core
def fall(f, c):
    """Gravity up to terminal velocity; fast fall on a fresh tap down while descending."""
    if f.profile > 0:
        if f.profile <= c.has_profile:
            f.vy = c.profile[f.profile - 1]
            f.profile += 1
            return
        f.profile = 0
    if f.fast_fall:
        f.vy = -c.fastfall_velocity
    else:
        f.vy = max(f.vy - c.gravity, -c.terminal_velocity)


@core
def try_fast_fall(f, c):
    if f.fast_fall == 0 and f.vy < 0 and f.stick_y <= FAST_FALL_STICK and f.tap_y < FAST_FALL_TAP:
        f.fast_fall = 1
        f.vy = -c.fastfall_velocity


@core
def decay_knockback(f, c):
    """Knockback speed shrinks along its own direction; on the ground by the fighter's friction (R)."""
    if f.kx == 0 and f.ky == 0:
        return
    if f.surface >= 0:
        f.ky = 0
        f.kx = toward_zero(f.kx, c.ground_friction)
        return
    speed = math.sqrt(f.kx * f.kx + f.ky * f.ky)
    if speed <= KNOCKBACK_DECAY:
        f.kx = 0
        f.ky = 0
    else:
        share = (speed - KNOCKBACK_DECAY) / speed
        f.kx *= share
        f.ky *= share


@core
def leave_ground(f, c):
    """To the air by walking, sliding or being knocked off."""
    f.surface = -1
    f.vy = 0
    f.fast_fall = 0
    f.air_jumps = c.air_jumps
    if kind_of(f) != a.K_HURT:
        enter(f, a.FALL, 0)


@core
def move_on_ground(f, c, stage, step):
    """Advance along the surface; at its end some actions fall, the others stop (teeter)."""
    decay_knockback(f, c)
    f.x += f.vx + f.kx + f.facing * step
    surface = f.surface
    left = stage.left[surface]
    right = stage.right[surface]
    if left <= f.x <= right:
        f.y = ground_height(stage, surface, f.x)
        return
    kind = kind_of(f)
    slides_off = kind == a.K_LAG and f.action < a.GUARD_ON  # landings do, a dropped shield does not
    if (
        kind in (a.K_DASH, a.K_RUN, a.K_BRAKE, a.K_HURT)
        or f.kx != 0
        or slides_off
        or (kind == a.K_FREE and f.action == a.WALK_FAST)
    ):
        leave_ground(f, c)
    else:
        f.x = min(max(f.x, left), right)
        f.vx = 0
        f.y = ground_height(stage, surface, f.x)


@core
def land(f, c, surface, height):
    """Come down on a surface: what the fighter was doing decides what follows."""
    kind = kind_of(f)
    action = f.action
    f.surface = surface
    f.y = height
    f.vy = 0
    f.ky = 0
    f.fast_fall = 0
    f.air_jumps = c.air_jumps
    if kind == a.K_AIR_MOVE and NAIR <= f.slot <= DAIR:
        slot = f.slot
        frame = f.frame
        m = c.moves[slot]
        if frame < m.autocancel_before or frame > m.autocancel_after:
            enter(f, a.LANDING, c.landing_lag_normal)
        else:
            lag = m.landing_lag
            if f.since_shield < LCANCEL_FRAMES:
                lag = lag // 2
            enter(f, a.LANDING_AERIAL + slot - NAIR, lag)
    elif kind == a.K_AIR_MOVE and c.moves[f.slot].landing_lag > 0:
        enter(f, a.LANDING_SPECIAL, c.moves[f.slot].landing_lag)
    elif kind == a.K_AIR_DODGE:
        enter(f, a.LANDING_SPECIAL, SPECIAL_LANDING)
    elif kind in (a.K_RECOVERY, a.K_HELPLESS):
        enter(f, a.LANDING_SPECIAL, max(c.recovery_landing_lag, SPECIAL_LANDING))
        f.vx = 0
    elif kind == a.K_TUMBLE or (kind == a.K_HURT and f.tumble):
        tech(f, c)
    elif kind == a.K_BREAK:
        enter(f, a.SHIELD_BREAK_DOWN if action != a.DIZZY else a.DIZZY, DOWN_BOUND_FRAMES)
        f.vx = 0
    else:
        f.hitstun = 0
        enter(f, a.LANDING, c.landing_lag_normal)


@core
def tech(f, c):
    """Land out of a tumble: roll or stand up at once if a shoulder was pressed in time, else lie down."""
    f.hitstun = 0
    f.tumble = 0
    f.kx = 0
    f.vx = 0
    if f.tech_window > 0:
        f.tech_window = 0
        if abs(f.stick_x) < TECH_STICK:
            enter(f, a.TECH, TECH_FRAMES)
        elif f.stick_x * f.facing > 0:
            enter(f, a.TECH_FORWARD, TECH_ROLL_FRAMES)
            f.vx = f.facing * c.tech_f_distance / TECH_ROLL_FRAMES
        else:
            enter(f, a.TECH_BACK, TECH_ROLL_FRAMES)
            f.vx = -f.facing * c.tech_b_distance / TECH_ROLL_FRAMES
        f.safe_first = 1
        f.safe_last = TECH_SAFE
    else:
        enter(f, a.DOWN_BOUND, DOWN_BOUND_FRAMES)


@core
def move_in_air(f, o, c, stage):
    """Advance through the air; land, slide down walls, catch ledges."""
    decay_knockback(f, c)
    old_x = f.x
    old_y = f.y
    dy = f.vy + f.ky
    new_x = old_x + f.vx + f.kx
    new_y = old_y + dy
    kind = kind_of(f)
    if dy <= 0:
        passing = f.stick_y <= PASS_STICK and (kind in (a.K_AIR, a.K_HELPLESS, a.K_DROP))
        landed = -1
        height = -1000.0
        for surface in range(stage.surfaces):
            if surface > 0 and (passing or (kind == a.K_DROP and f.frame < 10)):
                break
            if stage.left[surface] <= new_x <= stage.right[surface]:
                level = ground_height(stage, surface, new_x)
                if new_y <= level and old_y >= ground_height(stage, surface, old_x) - CONTACT and level > height:
                    landed = surface
                    height = level
        if landed >= 0:
            f.x = new_x
            land(f, c, landed, height)
            return
    # The stage's underside is not modelled: a wall goes straight down from each ledge (assumed).
    if new_y < stage.ledge_y and abs(new_x) < stage.edge and old_y <= ground_height(stage, 0, old_x) - CONTACT:
        new_x = math.copysign(stage.edge, old_x)
        f.vx = 0
        f.kx = 0
    f.x = new_x
    f.y = new_y
    hands_free = kind in (a.K_AIR, a.K_HELPLESS) or (kind == a.K_RECOVERY and f.frame > c.recovery_startup)
    if hands_free and f.ledge_wait == 0 and new_y < stage.ledge_y and f.stick_y > PASS_STICK:
        catch_ledge(f, o, c, stage, kind, dy)


@core
def catch_ledge(f, o, c, stage, kind, dy):
    """Hang on if the corner is within reach, faced (a recovery may come backwards) and free."""
    side = math.copysign(1.0, f.x)
    outward = abs(f.x) - stage.edge
    if outward < 0 or outward > LEDGE_REACH:
        return
    if kind == a.K_AIR and (f.facing == side or dy > 0):
        return
    above = f.y - (stage.ledge_y + c.ledge_hang_dy)
    if above < -LEDGE_BELOW or above > LEDGE_ABOVE:
        return
    if kind_of(o) == a.K_LEDGE and o.x * side > 0:
        return
    f.x = side * (stage.edge + c.ledge_hang_dx)
    f.y = stage.ledge_y + c.ledge_hang_dy
    f.vx = 0
    f.vy = 0
    f.kx = 0
    f.ky = 0
    f.facing = -side
    f.fast_fall = 0
    f.air_jumps = c.air_jumps
    enter(f, a.CLIFF_CATCH, 7)
    f.invulnerable = LEDGE_SAFE


@core
def end_in_air(f):
    """What follows an airborne action that ran out."""
    if kind_of(f) == a.K_AIR_DODGE or kind_of(f) == a.K_RECOVERY:
        enter(f, a.HELPLESS_FALL, 0)
    elif kind_of(f) == a.K_HURT and f.tumble:
        enter(f, a.TUMBLE, 0)
    else:
        enter(f, a.FALL, 0)


@core
def end_on_ground(f):
    """What follows a grounded action that ran out."""
    if kind_of(f) == a.K_EVADE:
        f.vx = 0
    enter(f, a.WAIT, 0)
