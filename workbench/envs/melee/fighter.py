"""One fighter, one frame: the state machine (compiled)."""

from __future__ import annotations

import math

from workbench.envs.melee import actions as a
from workbench.envs.melee import moves as m
from workbench.envs.melee.choices import (
    DASH_STICK,
    DASH_TAP,
    NEVER,
    RUN_STICK,
    air_choice,
    begin_jump,
    begin_move,
    dash_choice,
    ground_attack,
    ground_choice,
    guard_choice,
    wants_jump,
)
from workbench.envs.melee.controller import BUTTON_A, BUTTON_B, BUTTON_X, BUTTON_Z
from workbench.envs.melee.ledge import act_on_ledge
from workbench.envs.melee.physics import (
    AIR_DODGE_DECAY,
    AIR_DODGE_FREE,
    DEAD_ZONE,
    apply_friction,
    drift,
    end_in_air,
    end_on_ground,
    enter,
    fall,
    kind_of,
    move_in_air,
    move_on_ground,
    try_fast_fall,
)
from workbench.envs.melee.state import core

SHIELD_FULL = 60.0
SHIELD_DRAIN, SHIELD_REGAIN = 0.28, 0.07  # R
SHIELD_AFTER_BREAK = 30.0  # assumed
GUARD_ON_FRAMES, GUARD_OFF_FRAMES = 8, 15  # R
DIZZY_FRAMES = 240  # assumed; mashing out is not modelled
RECOVERY_END_SPEED = 1.3  # Fox's last speed in libmelee's table; taken for all who travel at one speed
LONGEST = 9999  # actions without an end stop counting here
BRAKE_FRAMES = 20  # assumed: run brake and run turn
DEATH_FRAMES, REBIRTH_FRAMES, REBIRTH_WAIT_FRAMES, REBIRTH_SAFE = 60, 60, 240, 120  # R
STAR_FRAMES = 176  # R: every death at the top is a star KO here
DOWN_WAIT_FRAMES = 220  # R
GET_UP_FRAMES, GET_UP_ROLL_FRAMES, GET_UP_ATTACK_SAFE = 30, 35, 26  # R


@core
def act(f, o, c, stage):
    """One frame outside hitlag: choose or go on with an action, then move."""
    f.frame = min(f.frame + 1, LONGEST)
    if f.invulnerable > 0:
        f.invulnerable -= 1
    if f.ledge_wait > 0:
        f.ledge_wait -= 1
    kind = kind_of(f)
    if kind != a.K_GUARD and kind != a.K_GUARD_STUN and f.shield < SHIELD_FULL:
        f.shield = min(f.shield + SHIELD_REGAIN, SHIELD_FULL)
    if kind in (a.K_DEAD, a.K_REBIRTH, a.K_HELD):
        return
    if f.surface >= 0:
        if act_on_ground(f, o, c, kind):
            return
        if f.surface >= 0:
            step = 0.0
            if f.slot >= 0 and f.frame <= m.FRAMES:
                step = c.moves[f.slot].frames[f.frame - 1].step
            move_on_ground(f, c, stage, step)
            return
    elif kind in (a.K_LEDGE, a.K_LEDGE_OPTION):
        if act_on_ledge(f, c, stage, kind):
            return
    else:
        act_in_air(f, c, kind)
    move_in_air(f, o, c, stage)


@core
def act_on_ground(f, o, c, kind):
    """The grounded half of the state machine; True where the fighter does not move by itself."""
    if kind == a.K_FREE:
        apply_friction(f, c)
        ground_choice(f, c)
    elif kind in (a.K_GROUND_MOVE, a.K_THROW):
        act_in_move(f, c)
    elif kind == a.K_LAG:
        apply_friction(f, c)
        if f.action == a.GUARD_OFF and wants_jump(f):
            begin_jump(f)
        elif f.frame > f.total:
            end_on_ground(f)
            ground_choice(f, c)
    elif kind in (a.K_DASH, a.K_RUN):
        act_in_dash(f, c)
    elif kind == a.K_SQUAT:
        apply_friction(f, c)
        act_in_jump_squat(f, c)
    elif kind == a.K_GUARD:
        act_in_guard(f, c)
    elif kind == a.K_GUARD_STUN:
        apply_friction(f, c)
        f.shield = max(f.shield - SHIELD_DRAIN * f.shield_held, 0.0)
        if f.frame > f.total:
            enter(f, a.GUARD, 0)
            f.frame = GUARD_ON_FRAMES
    elif kind == a.K_TURN:
        apply_friction(f, c)
        if f.frame > f.total:
            if f.stick_x * f.facing >= DASH_STICK and f.total == 1:
                enter(f, a.DASH, 0)
            else:
                enter(f, a.WAIT, 0)
                ground_choice(f, c)
        elif not ground_attack(f, c) and wants_jump(f):
            begin_jump(f)
    elif kind == a.K_BRAKE:
        apply_friction(f, c)
        if wants_jump(f):
            begin_jump(f)
        elif f.frame > f.total:
            enter(f, a.WAIT, 0)
            ground_choice(f, c)
    elif kind == a.K_EVADE:
        if f.frame > f.total:
            if f.action == a.ROLL_FORWARD:
                f.facing = -f.facing
            end_on_ground(f)
            ground_choice(f, c)
    elif kind == a.K_HURT:
        apply_friction(f, c)
        f.hitstun -= 1
        if f.hitstun <= 0:
            enter(f, a.WAIT, 0)
            ground_choice(f, c)
    elif kind == a.K_DOWN:
        act_lying(f, c)
    elif kind == a.K_LEDGE_OPTION:
        if f.frame > f.total:
            f.vx = 0
            end_on_ground(f)
            ground_choice(f, c)
    elif kind == a.K_RECOVERY:
        if f.frame <= c.recovery_startup:
            apply_friction(f, c)
        else:
            f.surface = -1
            f.vy = 0
            act_in_recovery(f, c)
    elif kind == a.K_HOLD:
        act_holding(f, o, c)
        return True
    elif kind == a.K_BREAK:
        f.vx = 0
        if f.action == a.SHIELD_BREAK_DOWN and f.frame > f.total:
            enter(f, a.DIZZY, DIZZY_FRAMES)
        elif f.frame > f.total:
            enter(f, a.WAIT, 0)
    else:  # an airborne action that found itself on the ground
        enter(f, a.WAIT, 0)
    return False


@core
def act_in_move(f, c):
    apply_friction(f, c)
    move = c.moves[f.slot]
    if (
        a.FORWARD_SMASH <= f.action < a.NEUTRAL_AIR
        and f.frame == max(move.first // 2, 2)
        and f.charge < 60
        and f.buttons & BUTTON_A
    ):
        f.frame -= 1  # a held smash waits before it strikes; the frame it waits in is assumed
        f.charge += 1
        f.charging = 1
        return
    f.charging = 0
    if move.jump_cancel > 0 and f.frame >= move.jump_cancel and wants_jump(f):
        begin_jump(f)
    elif f.action == a.DOWN_ATTACK or kind_of(f) == a.K_THROW:
        if f.frame > f.total:
            end_on_ground(f)
    elif f.action == a.JAB1 and f.pressed & BUTTON_A and f.frame > move.last and c.moves[m.JAB2].total > 0:
        begin_move(f, c, m.JAB2, a.JAB1 + 1)
    elif f.action == a.JAB1 + 1 and f.pressed & BUTTON_A and f.frame > move.last and c.moves[m.JAB3].total > 0:
        begin_move(f, c, m.JAB3, a.JAB1 + 2)
    elif f.frame > f.total:
        end_on_ground(f)
        ground_choice(f, c)
    elif f.frame >= move.free:
        before = f.action
        slot = f.slot
        frame = f.frame
        ground_choice(f, c)
        if f.action == a.WAIT:  # nothing chosen: the animation runs on
            f.action = before
            f.slot = slot
            f.frame = frame
            f.total = move.total


@core
def act_in_dash(f, c):
    forward = f.stick_x * f.facing
    if dash_choice(f, c):
        return
    if f.action == a.DASH and forward <= -DASH_STICK and f.tap_x < DASH_TAP:
        f.facing = -f.facing
        enter(f, a.TURN, 1)
        return
    if f.action == a.RUN and forward <= -RUN_STICK:
        f.facing = -f.facing
        enter(f, a.TURN_RUN, BRAKE_FRAMES)
        return
    if f.action == a.DASH and f.frame == 2:
        f.vx = f.facing * c.dash_frame2_speed
    elif f.frame > 2 or f.action == a.RUN:
        if forward >= DEAD_ZONE:
            speed = f.vx * f.facing
            limit = c.run_speed * min(forward if f.action == a.RUN else 1.0, 1.0)
            if speed > limit:
                speed = max(speed - c.ground_friction, limit)
            else:
                speed = min(speed + c.dash_run_accel_a * forward + c.dash_run_accel_b, limit)
            f.vx = f.facing * speed
        else:
            apply_friction(f, c)
    if f.action == a.DASH and f.frame > c.dash_frames_before_run:
        if forward >= RUN_STICK:
            enter(f, a.RUN, 0)
        else:
            enter(f, a.WAIT, 0)
            ground_choice(f, c)
    elif f.action == a.RUN and forward < RUN_STICK:
        enter(f, a.RUN_BRAKE, BRAKE_FRAMES)


@core
def act_in_jump_squat(f, c):
    if f.frame <= c.jumpsquat_frames:
        if f.pressed & BUTTON_Z or (f.c_pressed and f.c_y > 0) or (f.pressed & BUTTON_A and f.stick_y > 0.5):
            ground_attack(f, c)
        return
    held = (f.buttons & BUTTON_X) != 0 or f.stick_y >= 0.6625
    speed = f.vx * c.ground_to_air_mult + f.stick_x * c.jump_h_initial
    f.vx = min(max(speed, -c.jump_h_max), c.jump_h_max)
    f.vy = c.full_hop_velocity if held else c.short_hop_velocity
    f.surface = -1
    f.fast_fall = 0
    f.air_jumps = c.air_jumps
    enter(f, a.JUMP_FORWARD if f.stick_x * f.facing >= 0 else a.JUMP_BACKWARD, 0)
    f.tap_y = NEVER  # the tap that jumped is spent
    f.pressed &= ~BUTTON_X
    if air_choice(f, c, True):
        act_in_air_dodge(f)


@core
def act_in_guard(f, c):
    apply_friction(f, c)
    f.shield -= SHIELD_DRAIN
    if f.shield <= 0:
        break_shield(f, c)
    elif guard_choice(f, c):
        return
    elif f.action == a.GUARD_ON and f.frame > GUARD_ON_FRAMES:
        enter(f, a.GUARD, 0)
        f.frame = GUARD_ON_FRAMES
    elif not f.shield_held and f.frame >= GUARD_ON_FRAMES:
        enter(f, a.GUARD_OFF, GUARD_OFF_FRAMES)


@core
def break_shield(f, c):
    f.shield = SHIELD_AFTER_BREAK
    f.surface = -1
    f.vx = 0
    f.vy = c.shield_break_velocity
    f.fast_fall = 0
    enter(f, a.SHIELD_BREAK_FLY, 0)


@core
def act_lying(f, c):
    f.vx = 0
    if f.action == a.DOWN_BOUND:
        if f.frame > f.total:
            enter(f, a.DOWN_WAIT, DOWN_WAIT_FRAMES)
        return
    if f.pressed & (BUTTON_A | BUTTON_B):
        begin_move(f, c, m.GETUP_ATTACK, a.DOWN_ATTACK)
        f.safe_first = 1
        f.safe_last = GET_UP_ATTACK_SAFE
    elif abs(f.stick_x) >= 0.7:
        if f.stick_x * f.facing > 0:
            enter(f, a.DOWN_FORWARD, GET_UP_ROLL_FRAMES)
            f.vx = f.facing * c.getup_roll_f_up_distance / GET_UP_ROLL_FRAMES
        else:
            enter(f, a.DOWN_BACK, GET_UP_ROLL_FRAMES)
            f.vx = -f.facing * c.getup_roll_b_up_distance / GET_UP_ROLL_FRAMES
        f.safe_first = 1
        f.safe_last = 19
    elif f.stick_y >= 0.5 or f.shield_held or f.frame > f.total:
        enter(f, a.DOWN_STAND, GET_UP_FRAMES)
        f.safe_first = 1
        f.safe_last = 23


@core
def act_holding(f, o, c):
    """The grabber: pummel or throw; the victim's escape is counted in `combat`."""
    if f.action == a.PUMMEL:
        if f.frame > f.total:
            enter(f, a.CATCH_WAIT, 0)
        return
    throw = -1
    x, y = f.c_x, f.c_y
    if not f.c_pressed:
        x, y = f.stick_x, f.stick_y
    if abs(x) >= 0.7 or abs(y) >= 0.7:
        if abs(y) > abs(x):
            throw = 2 if y > 0 else 3
        else:
            throw = 0 if x * f.facing > 0 else 1
    if throw >= 0 and begin_move(f, c, m.FTHROW + throw, a.THROW_FORWARD + throw):
        if o.action != a.THROWN_FORWARD + throw:
            enter(o, a.THROWN_FORWARD + throw, 0)
    elif f.pressed & BUTTON_A:
        begin_move(f, c, m.PUMMEL, a.PUMMEL)


@core
def act_in_air(f, c, kind):
    """The airborne half of the state machine: choices, then own velocity."""
    if kind == a.K_HURT:
        f.hitstun -= 1
        if f.hitstun > 0:
            fall(f, c)
            return
        end_in_air(f)
        kind = kind_of(f)  # free in the frame in which the count is over, as on the ground (R)
    if kind in (a.K_AIR, a.K_DROP):
        if air_choice(f, c, True):
            if kind_of(f) == a.K_AIR_DODGE:
                act_in_air_dodge(f)
                return
        else:
            try_fast_fall(f, c)
            if kind == a.K_DROP and f.frame > 10:
                enter(f, a.FALL, 0)
        drift(f, c)
        fall(f, c)
    elif kind == a.K_AIR_MOVE:
        move = c.moves[f.slot]
        drift(f, c)
        if f.frame > f.total:
            enter(f, a.FALL, 0)
            air_choice(f, c, True)
        elif (f.frame >= move.free and air_choice(f, c, True)) or (
            move.jump_cancel > 0 and f.frame >= move.jump_cancel and f.air_jumps > 0 and wants_jump(f)
            and air_choice(f, c, False)
        ):  # fmt: skip
            pass
        else:
            try_fast_fall(f, c)
        fall(f, c)
    elif kind == a.K_TUMBLE:
        if not air_choice(f, c, False):
            try_fast_fall(f, c)
            if abs(f.stick_x) >= DASH_STICK and f.tap_x < DASH_TAP:  # a tap ends the tumble
                enter(f, a.FALL, 0)
        f.tumble = 0 if kind_of(f) != a.K_TUMBLE else f.tumble
        drift(f, c)
        fall(f, c)
    elif kind == a.K_AIR_DODGE:
        act_in_air_dodge(f)
        if f.frame > AIR_DODGE_FREE:
            drift(f, c)
            fall(f, c)
        if f.frame > f.total:
            end_in_air(f)
    elif kind == a.K_RECOVERY:
        act_in_recovery(f, c)
    elif kind == a.K_HELPLESS:
        try_fast_fall(f, c)
        drift(f, c)
        fall(f, c)
    elif kind == a.K_BREAK:
        fall(f, c)
    else:  # a grounded action that left the ground
        enter(f, a.FALL, 0)
        drift(f, c)
        fall(f, c)


@core
def act_in_air_dodge(f):
    if kind_of(f) == a.K_AIR_DODGE and f.frame <= AIR_DODGE_FREE:
        f.vx *= AIR_DODGE_DECAY
        f.vy *= AIR_DODGE_DECAY


@core
def act_in_recovery(f, c):
    """An up special: wait, aim, travel at the table's speeds, then fall helpless."""
    if f.frame > c.recovery_total:
        speed = math.sqrt(f.vx * f.vx + f.vy * f.vy)
        if speed > RECOVERY_END_SPEED:
            f.vx *= RECOVERY_END_SPEED / speed
            f.vy *= RECOVERY_END_SPEED / speed
        enter(f, a.HELPLESS_FALL, 0)
        return
    if f.frame <= c.recovery_startup:
        f.vx *= 0.9  # assumed: momentum dies away while charging
        f.vy = max(f.vy - 0.02, -0.5)  # assumed: a slow sink
        return
    if f.frame == c.recovery_startup + 1:
        f.action = c.recovery_state[1]
        length = math.sqrt(f.stick_x * f.stick_x + f.stick_y * f.stick_y)
        if c.recovery_aimed and length >= DEAD_ZONE:
            f.aim_x = f.stick_x / length
            f.aim_y = f.stick_y / length
        if abs(f.stick_x) >= DEAD_ZONE:
            f.facing = math.copysign(1.0, f.stick_x)
    speed = c.recovery_speed[f.frame - 1]
    if c.recovery_aimed:
        f.vx = f.aim_x * speed
        f.vy = f.aim_y * speed
    else:
        drift(f, c)
        if f.frame <= c.recovery_rise:
            f.vy = speed
        else:
            fall(f, c)
