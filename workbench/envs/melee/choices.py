"""What a fighter that is free to act begins to do, from its controller (compiled)."""

from __future__ import annotations

import math

from workbench.envs.melee import actions as a
from workbench.envs.melee import moves as m
from workbench.envs.melee.controller import (
    BUTTON_A,
    BUTTON_B,
    BUTTON_L,
    BUTTON_X,
    BUTTON_Z,
    BUTTONS,
    C_STICK,
    MAIN_STICK,
    SHOULDER,
)
from workbench.envs.melee.physics import DEAD_ZONE, PASS_STICK, enter
from workbench.envs.melee.state import core

DASH_STICK, DASH_TAP = 0.8, 2  # T: reached within 2 frames of leaving the dead zone
RUN_STICK = 0.625  # T
TAP_JUMP, TAP = 0.6625, 4  # T: the same tap as a fast fall's
SMASH_STICK = 0.8  # assumed equal to the dash's
ROLL_STICK = 0.7  # T
SHIELD_PRESS = 0.3  # T: analog press that raises a shield
TURN_FRAMES = 11  # T
TECH_WINDOW, TECH_LOCK = 20, 40  # T
AIR_DODGE_SPEED = 3.1  # R
NEVER = 250


@core
def read_controller(f, button, main, c_stick, shoulder):
    """Take in the seat's choice and age the timers that depend on it."""
    old_x, old_y = f.stick_x, f.stick_y
    f.stick_x = MAIN_STICK[main, 0]
    f.stick_y = MAIN_STICK[main, 1]
    f.tap_x = _tap(f.tap_x, old_x, f.stick_x)
    f.tap_y = _tap(f.tap_y, old_y, f.stick_y)
    f.c_pressed = 1 if c_stick != 0 and f.c_x == 0 and f.c_y == 0 else 0
    f.c_x = C_STICK[c_stick, 0]
    f.c_y = C_STICK[c_stick, 1]
    f.shoulder = SHOULDER[shoulder]
    buttons = BUTTONS[button]
    f.pressed = buttons & ~f.buttons
    f.buttons = buttons
    held = 1 if (buttons & BUTTON_L) != 0 or f.shoulder >= SHIELD_PRESS else 0
    f.since_shield = min(f.since_shield + 1, NEVER)
    if (held and not f.shield_held) or f.pressed & BUTTON_Z:
        f.since_shield = 0
    f.shield_held = held
    if f.tech_window > 0:
        f.tech_window -= 1
    if f.tech_lock > 0:
        f.tech_lock -= 1
    elif f.pressed & BUTTON_L:
        f.tech_window = TECH_WINDOW
        f.tech_lock = TECH_LOCK


@core
def _tap(frames, old, new):
    if abs(new) < DEAD_ZONE:
        return NEVER
    if abs(old) < DEAD_ZONE or old * new < 0:
        return 0
    return min(frames + 1, NEVER)


@core
def wants_jump(f):
    return (f.pressed & BUTTON_X) != 0 or (f.stick_y >= TAP_JUMP and f.tap_y < TAP)


@core
def begin_move(f, c, slot, action):
    """Begin a move of the table; False where the fighter has none in that slot."""
    total = c.moves[slot].total
    if total == 0:
        return False
    enter(f, action, total)
    f.slot = slot
    f.groups = 0
    f.charge = 0
    f.logged = 0
    return True


@core
def begin_special(f, c):
    """B: up special as a recovery, the others as moves where the tables have them."""
    airborne = f.surface < 0
    if f.stick_y >= 0.5 and f.stick_y >= abs(f.stick_x):
        if c.recovery_total == 0:
            return False
        begin_move(f, c, m.UP_B, c.recovery_state[0])
        if airborne:
            f.vx *= 0.5  # assumed: momentum is kept by half
            f.vy = max(f.vy, 0.0) * 0.5
        f.fast_fall = 0
        f.aim_x = 0
        f.aim_y = 1
        return True
    slot = m.NEUTRAL_B
    if f.stick_y <= -0.5 and -f.stick_y >= abs(f.stick_x):
        slot = m.DOWN_B
    elif abs(f.stick_x) >= 0.5:
        slot = m.SIDE_B
    if airborne:
        slot += 1
    action = c.moves[slot].action_state
    if not begin_move(f, c, slot, action):
        return False
    if abs(f.stick_x) >= 0.5:
        f.facing = math.copysign(1.0, f.stick_x)
    return True


@core
def begin_jump(f):
    enter(f, a.JUMP_SQUAT, 0)


@core
def ground_attack(f, c):
    """A, the C-stick and Z on the ground; False where none was pressed."""
    if f.pressed & BUTTON_Z or (f.pressed & BUTTON_A and f.shield_held):
        return begin_move(f, c, m.GRAB, a.CATCH)
    if f.c_pressed:
        if f.c_y > 0:
            return begin_move(f, c, m.USMASH, a.UP_SMASH)
        if f.c_y < 0:
            return begin_move(f, c, m.DSMASH, a.DOWN_SMASH)
        f.facing = math.copysign(1.0, f.c_x)
        return begin_move(f, c, m.FSMASH, a.FORWARD_SMASH)
    if not f.pressed & BUTTON_A:
        return False
    sideways = abs(f.stick_x)
    upright = abs(f.stick_y)
    if upright >= DEAD_ZONE and upright >= sideways:
        smash = upright >= TAP_JUMP and f.tap_y < TAP
        if f.stick_y > 0:
            if smash:
                return begin_move(f, c, m.USMASH, a.UP_SMASH)
            return begin_move(f, c, m.UTILT, a.UP_TILT)
        if smash:
            return begin_move(f, c, m.DSMASH, a.DOWN_SMASH)
        return begin_move(f, c, m.DTILT, a.DOWN_TILT)
    if sideways >= DEAD_ZONE:
        f.facing = math.copysign(1.0, f.stick_x)
        if sideways >= SMASH_STICK and f.tap_x < TAP:
            return begin_move(f, c, m.FSMASH, a.FORWARD_SMASH)
        return begin_move(f, c, m.FTILT, a.FORWARD_TILT)
    return begin_move(f, c, m.JAB1, a.JAB1)


@core
def ground_choice(f, c):
    """Whatever a fighter standing, walking or crouching may begin."""
    if f.pressed & BUTTON_B and begin_special(f, c):
        return
    if ground_attack(f, c):
        return
    if wants_jump(f):
        begin_jump(f)
    elif f.shield_held:
        enter(f, a.GUARD_ON, 0)
    elif f.stick_y <= PASS_STICK and f.tap_y < TAP and f.surface > 0:
        drop_through(f)
    elif f.stick_y <= -0.5 and -f.stick_y >= abs(f.stick_x):
        if f.action != a.CROUCH_START and f.action != a.CROUCH:
            enter(f, a.CROUCH_START, 0)
        elif f.action == a.CROUCH_START and f.frame > 7:  # assumed length
            enter(f, a.CROUCH, 0)
    elif abs(f.stick_x) >= DEAD_ZONE:
        walk_or_dash(f, c)
    elif f.action == a.CROUCH or f.action == a.CROUCH_START:
        enter(f, a.CROUCH_END, 10)  # assumed length
    elif f.action != a.WAIT and not (f.action == a.CROUCH_END and f.frame <= f.total):
        enter(f, a.WAIT, 0)


@core
def walk_or_dash(f, c):
    fresh = abs(f.stick_x) >= DASH_STICK and f.tap_x < DASH_TAP
    if f.stick_x * f.facing < 0:
        f.facing = -f.facing
        enter(f, a.TURN, 1 if fresh else TURN_FRAMES)
    elif fresh:
        enter(f, a.DASH, 0)
    else:
        target = f.stick_x * c.walk_max_speed
        step = c.walk_initial + c.walk_accel
        if abs(f.vx) < abs(target) or f.vx * target < 0:
            f.vx += math.copysign(min(step, abs(target - f.vx)), target)
        share = abs(f.stick_x)
        walk = a.WALK_FAST if share > 0.8 else (a.WALK_MIDDLE if share > 0.45 else a.WALK_SLOW)
        if f.action < a.WALK_SLOW or f.action > a.WALK_FAST:
            enter(f, walk, 0)
        else:
            f.action = walk


@core
def drop_through(f):
    enter(f, a.PLATFORM_DROP, 0)
    f.surface = -1
    f.vy = -0.5  # T
    f.fast_fall = 0
    f.tap_y = TAP  # the tap that drops does not fast-fall too


@core
def dash_choice(f, c):
    """What a dash or a run may turn into at once; False if none of it."""
    if f.pressed & BUTTON_B and begin_special(f, c):
        return True
    if f.pressed & BUTTON_Z:
        return begin_move(f, c, m.DASH_GRAB, a.CATCH_DASH)
    if f.pressed & BUTTON_A or (f.c_pressed and f.c_y == 0):
        if f.action == a.DASH and f.frame <= 3 and f.c_pressed:  # assumed: a dash begins with a smash's grace
            f.facing = math.copysign(1.0, f.c_x)
            return begin_move(f, c, m.FSMASH, a.FORWARD_SMASH)
        return begin_move(f, c, m.DASH_ATTACK, a.DASH_ATTACK)
    if wants_jump(f):
        begin_jump(f)
        return True
    if f.shield_held:
        enter(f, a.GUARD_ON, 0)
        return True
    return False


@core
def air_choice(f, c, dodge):
    """Aerials, specials, double jump and air dodge (if `dodge`); False if none of it."""
    if f.pressed & BUTTON_B and begin_special(f, c):
        return True
    x, y = f.c_x, f.c_y
    if not f.c_pressed:
        x, y = f.stick_x, f.stick_y
    if f.c_pressed or f.pressed & (BUTTON_A | BUTTON_Z):
        slot = m.NAIR
        if abs(y) >= DEAD_ZONE and abs(y) >= abs(x):
            slot = m.UAIR if y > 0 else m.DAIR
        elif abs(x) >= DEAD_ZONE:
            slot = m.FAIR if x * f.facing > 0 else m.BAIR
        return begin_move(f, c, slot, a.NEUTRAL_AIR + slot - m.NAIR)
    if dodge and f.pressed & BUTTON_L:
        enter(f, a.AIR_DODGE, c.airdodge_total)
        f.safe_first = 4  # R
        f.safe_last = 29
        length = math.sqrt(f.stick_x * f.stick_x + f.stick_y * f.stick_y)
        f.aim_x = f.stick_x / length if length >= DEAD_ZONE else 0.0
        f.aim_y = f.stick_y / length if length >= DEAD_ZONE else 0.0
        f.vx = AIR_DODGE_SPEED * f.aim_x
        f.vy = AIR_DODGE_SPEED * f.aim_y
        f.fast_fall = 0
        return True
    if f.air_jumps > 0 and wants_jump(f):
        f.tap_y = TAP  # one tap, one jump
        used = c.air_jumps - f.air_jumps
        f.air_jumps -= 1
        enter(f, a.AIR_JUMP_FORWARD if f.stick_x * f.facing >= 0 else a.AIR_JUMP_BACKWARD, 0)
        f.fast_fall = 0
        f.vx = f.stick_x * c.jump_h_initial * c.air_jump_h_mult
        if c.has_profile > 0:
            f.profile = 1
        elif c.multi_jump[0] > 0:
            f.vy = c.multi_jump[min(used, 4)]
        else:
            f.vy = c.full_hop_velocity * c.air_jump_v_mult
        return True
    return False


@core
def guard_choice(f, c):
    """Out of shield: jump, grab, spot dodge, roll; False if none of it."""
    if f.pressed & (BUTTON_A | BUTTON_Z):
        return begin_move(f, c, m.GRAB, a.CATCH)
    if wants_jump(f):
        begin_jump(f)
        return True
    if (f.stick_y <= -ROLL_STICK and f.tap_y < TAP and -f.stick_y >= abs(f.stick_x)) or (f.c_pressed and f.c_y < 0):
        enter(f, a.SPOT_DODGE, c.spotdodge_total)
        f.safe_first = c.spotdodge_inv_start
        f.safe_last = c.spotdodge_inv_end
        f.vx = 0
        return True
    if f.c_pressed and f.c_x != 0:
        roll(f, c, f.c_x * f.facing > 0)
        return True
    if abs(f.stick_x) >= ROLL_STICK and f.tap_x < TAP:
        roll(f, c, f.stick_x * f.facing > 0)
        return True
    return False


@core
def roll(f, c, forward):
    if forward:
        enter(f, a.ROLL_FORWARD, c.roll_f_total)
        f.safe_first = c.roll_f_inv_start
        f.safe_last = c.roll_f_inv_end
        f.vx = f.facing * c.roll_f_distance / c.roll_f_total
    else:
        enter(f, a.ROLL_BACK, c.roll_b_total)
        f.safe_first = c.roll_b_inv_start
        f.safe_last = c.roll_b_inv_end
        f.vx = -f.facing * c.roll_b_distance / c.roll_b_total
