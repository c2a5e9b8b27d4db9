"""One fighter, one frame: the state machine (compiled)."""

from __future__ import annotations

import math

from workbench.envs.melee import moves as m
from workbench.envs.melee.actions import (
    CATCH_WAIT,
    CLIFF_ATTACK,
    CLIFF_ATTACK_SLOW,
    CLIFF_CATCH,
    CLIFF_CLIMB,
    CLIFF_CLIMB_SLOW,
    CLIFF_JUMP,
    CLIFF_JUMP_SLOW,
    CLIFF_ROLL,
    CLIFF_ROLL_SLOW,
    CLIFF_WAIT,
    DASH,
    DIZZY,
    DOWN_ATTACK,
    DOWN_BACK,
    DOWN_BOUND,
    DOWN_FORWARD,
    DOWN_STAND,
    DOWN_WAIT,
    FALL,
    FORWARD_SMASH,
    GUARD,
    GUARD_OFF,
    GUARD_ON,
    HELPLESS_FALL,
    JAB1,
    JUMP_BACKWARD,
    JUMP_FORWARD,
    K_AIR,
    K_AIR_DODGE,
    K_AIR_MOVE,
    K_BRAKE,
    K_BREAK,
    K_DASH,
    K_DEAD,
    K_DOWN,
    K_DROP,
    K_EVADE,
    K_FREE,
    K_GROUND_MOVE,
    K_GUARD,
    K_GUARD_STUN,
    K_HELD,
    K_HELPLESS,
    K_HOLD,
    K_HURT,
    K_LAG,
    K_LEDGE,
    K_LEDGE_OPTION,
    K_REBIRTH,
    K_RECOVERY,
    K_RUN,
    K_SQUAT,
    K_THROW,
    K_TUMBLE,
    K_TURN,
    NEUTRAL_AIR,
    PUMMEL,
    ROLL_FORWARD,
    RUN,
    RUN_BRAKE,
    SHIELD_BREAK_DOWN,
    SHIELD_BREAK_FLY,
    THROW_FORWARD,
    THROWN_FORWARD,
    TURN,
    TURN_RUN,
    WAIT,
)  # fmt: skip
from workbench.envs.melee.choices import (
    DASH_STICK,
    DASH_TAP,
    RUN_STICK,
    air_choice,
    begin_jump,
    begin_move,
    dash_choice,
    ground_attack,
    ground_choice,
    guard_choice,
    wants_jump,
)  # fmt: skip
from workbench.envs.melee.controller import BUTTON_A, BUTTON_B, BUTTON_L, BUTTON_X, BUTTON_Z
from workbench.envs.melee.physics import (
    AIR_DODGE_DECAY,
    AIR_DODGE_FREE,
    DEAD_ZONE,
    LEDGE_AGAIN,
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
)  # fmt: skip
from workbench.envs.melee.state import core

SHIELD_FULL = 60.0
SHIELD_DRAIN, SHIELD_REGAIN = 0.28, 0.07  # R
SHIELD_AFTER_BREAK = 30.0  # assumed
GUARD_ON_FRAMES, GUARD_OFF_FRAMES = 8, 15  # R
DIZZY_FRAMES = 240  # assumed; mashing out is not modelled
RECOVERY_END_SPEED = 1.3  # Fox's last speed in libmelee's table; taken for all who travel at one speed
BRAKE_FRAMES = 20  # assumed: run brake and run turn
DEATH_FRAMES, REBIRTH_FRAMES, REBIRTH_WAIT_FRAMES, REBIRTH_SAFE = 60, 60, 240, 120  # R
DOWN_WAIT_FRAMES = 220  # R
GET_UP_FRAMES, GET_UP_ROLL_FRAMES, GET_UP_ATTACK_SAFE = 30, 35, 26  # R
LEDGE_WAIT_FRAMES = 480  # assumed: hands tire
SLOW_PERCENT = 100.0  # R: ledge options are slower from here on
CLUB = BUTTON_A | BUTTON_B | BUTTON_X | BUTTON_Z | BUTTON_L


@core
def act(f, o, c, stage, moves, frames):
    """One frame outside hitlag: choose or go on with an action, then move."""
    f.frame += 1
    if f.invulnerable > 0:
        f.invulnerable -= 1
    if f.ledge_wait > 0:
        f.ledge_wait -= 1
    kind = kind_of(f)
    if kind != K_GUARD and kind != K_GUARD_STUN and f.shield < SHIELD_FULL:
        f.shield = min(f.shield + SHIELD_REGAIN, SHIELD_FULL)
    if kind in (K_DEAD, K_REBIRTH, K_HELD):
        return
    if f.surface >= 0:
        if act_on_ground(f, o, c, stage, moves, kind):
            return
        if f.surface >= 0:
            step = 0.0
            if f.slot >= 0 and f.frame <= moves[f.character, f.slot].total:
                step = frames[moves[f.character, f.slot].frames + f.frame - 1].step
            move_on_ground(f, c, stage, step)
            return
    elif kind in (K_LEDGE, K_LEDGE_OPTION):
        if act_on_ledge(f, c, stage, moves, kind):
            return
    else:
        act_in_air(f, c, moves, kind)
    move_in_air(f, o, c, stage, moves)


@core
def act_on_ground(f, o, c, stage, moves, kind):
    """The grounded half of the state machine; True where the fighter does not move by itself."""
    if kind == K_FREE:
        apply_friction(f, c)
        ground_choice(f, c, moves)
    elif kind in (K_GROUND_MOVE, K_THROW):
        act_in_move(f, c, moves)
    elif kind == K_LAG:
        apply_friction(f, c)
        if f.action == GUARD_OFF and wants_jump(f):
            begin_jump(f)
        elif f.frame > f.total:
            end_on_ground(f)
            ground_choice(f, c, moves)
    elif kind in (K_DASH, K_RUN):
        act_in_dash(f, c, moves)
    elif kind == K_SQUAT:
        apply_friction(f, c)
        act_in_jump_squat(f, c, moves)
    elif kind == K_GUARD:
        act_in_guard(f, c, moves)
    elif kind == K_GUARD_STUN:
        apply_friction(f, c)
        f.shield = max(f.shield - SHIELD_DRAIN * f.shield_held, 0.0)
        if f.frame > f.total:
            enter(f, GUARD, 0)
            f.frame = GUARD_ON_FRAMES
    elif kind == K_TURN:
        apply_friction(f, c)
        if f.frame > f.total:
            if f.stick_x * f.facing >= DASH_STICK and f.total == 1:
                enter(f, DASH, 0)
            else:
                enter(f, WAIT, 0)
                ground_choice(f, c, moves)
        elif not ground_attack(f, moves) and wants_jump(f):
            begin_jump(f)
    elif kind == K_BRAKE:
        apply_friction(f, c)
        if wants_jump(f):
            begin_jump(f)
        elif f.frame > f.total:
            enter(f, WAIT, 0)
            ground_choice(f, c, moves)
    elif kind == K_EVADE:
        if f.frame > f.total:
            if f.action == ROLL_FORWARD:
                f.facing = -f.facing
            end_on_ground(f)
            ground_choice(f, c, moves)
    elif kind == K_HURT:
        apply_friction(f, c)
        f.hitstun -= 1
        if f.hitstun <= 0:
            enter(f, WAIT, 0)
            ground_choice(f, c, moves)
    elif kind == K_DOWN:
        act_lying(f, c, moves)
    elif kind == K_LEDGE_OPTION:
        if f.frame > f.total:
            f.vx = 0
            end_on_ground(f)
            ground_choice(f, c, moves)
    elif kind == K_RECOVERY:
        if f.frame <= c.recovery_startup:
            apply_friction(f, c)
        else:
            f.surface = -1
            f.vy = 0
            act_in_recovery(f, c)
    elif kind == K_HOLD:
        act_holding(f, o, moves)
        return True
    elif kind == K_BREAK:
        f.vx = 0
        if f.action == SHIELD_BREAK_DOWN and f.frame > f.total:
            enter(f, DIZZY, DIZZY_FRAMES)
        elif f.frame > f.total:
            enter(f, WAIT, 0)
    else:  # an airborne action that found itself on the ground
        enter(f, WAIT, 0)
    return False


@core
def act_in_move(f, c, moves):
    apply_friction(f, c)
    move = moves[f.character, f.slot]
    if FORWARD_SMASH <= f.action < NEUTRAL_AIR and f.frame == max(move.first // 2, 2) and f.charge < 60 and f.buttons & BUTTON_A:
        f.frame -= 1  # a held smash waits before it strikes; the frame it waits in is assumed
        f.charge += 1
        return
    if move.jump_cancel > 0 and f.frame >= move.jump_cancel and wants_jump(f):
        begin_jump(f)
    elif f.action == DOWN_ATTACK or kind_of(f) == K_THROW:
        if f.frame > f.total:
            end_on_ground(f)
    elif f.action == JAB1 and f.pressed & BUTTON_A and f.frame > move.last and moves[f.character, m.JAB2].total > 0:
        begin_move(f, moves, m.JAB2, JAB1 + 1)
    elif f.action == JAB1 + 1 and f.pressed & BUTTON_A and f.frame > move.last and moves[f.character, m.JAB3].total > 0:
        begin_move(f, moves, m.JAB3, JAB1 + 2)
    elif f.frame > f.total:
        end_on_ground(f)
        ground_choice(f, c, moves)
    elif f.frame >= move.free:
        before = f.action
        slot = f.slot
        frame = f.frame
        ground_choice(f, c, moves)
        if f.action == WAIT:  # nothing chosen: the animation runs on
            f.action = before
            f.slot = slot
            f.frame = frame
            f.total = move.total


@core
def act_in_dash(f, c, moves):
    forward = f.stick_x * f.facing
    if dash_choice(f, c, moves):
        return
    if f.action == DASH and forward <= -DASH_STICK and f.tap_x < DASH_TAP:
        f.facing = -f.facing
        enter(f, TURN, 1)
        return
    if f.action == RUN and forward <= -RUN_STICK:
        f.facing = -f.facing
        enter(f, TURN_RUN, BRAKE_FRAMES)
        return
    if f.action == DASH and f.frame == 2:
        f.vx = f.facing * c.dash_frame2_speed
    elif f.frame > 2 or f.action == RUN:
        if forward >= DEAD_ZONE:
            speed = f.vx * f.facing
            limit = c.run_speed * min(forward if f.action == RUN else 1.0, 1.0)
            if speed > limit:
                speed = max(speed - c.ground_friction, limit)
            else:
                speed = min(speed + c.dash_run_accel_a * forward + c.dash_run_accel_b, limit)
            f.vx = f.facing * speed
        else:
            apply_friction(f, c)
    if f.action == DASH and f.frame > c.dash_frames_before_run:
        if forward >= RUN_STICK:
            enter(f, RUN, 0)
        else:
            enter(f, WAIT, 0)
            ground_choice(f, c, moves)
    elif f.action == RUN and forward < RUN_STICK:
        enter(f, RUN_BRAKE, BRAKE_FRAMES)


@core
def act_in_jump_squat(f, c, moves):
    if f.frame <= c.jumpsquat_frames:
        if f.pressed & BUTTON_Z or (f.c_pressed and f.c_y > 0) or (f.pressed & BUTTON_A and f.stick_y > 0.5):
            ground_attack(f, moves)
        return
    held = (f.buttons & BUTTON_X) != 0 or f.stick_y >= 0.6625
    speed = f.vx * c.ground_to_air_mult + f.stick_x * c.jump_h_initial
    f.vx = min(max(speed, -c.jump_h_max), c.jump_h_max)
    f.vy = c.full_hop_velocity if held else c.short_hop_velocity
    f.surface = -1
    f.fast_fall = 0
    f.air_jumps = c.air_jumps
    enter(f, JUMP_FORWARD if f.stick_x * f.facing >= 0 else JUMP_BACKWARD, 0)
    f.tap_y = 250  # the tap that jumped is spent
    f.pressed &= ~BUTTON_X
    if air_choice(f, c, moves, True):
        act_in_air_dodge(f)


@core
def act_in_guard(f, c, moves):
    apply_friction(f, c)
    f.shield -= SHIELD_DRAIN
    if f.shield <= 0:
        break_shield(f, c)
    elif guard_choice(f, c, moves):
        return
    elif f.action == GUARD_ON and f.frame > GUARD_ON_FRAMES:
        enter(f, GUARD, 0)
        f.frame = GUARD_ON_FRAMES
    elif not f.shield_held and f.frame >= GUARD_ON_FRAMES:
        enter(f, GUARD_OFF, GUARD_OFF_FRAMES)


@core
def break_shield(f, c):
    f.shield = SHIELD_AFTER_BREAK
    f.surface = -1
    f.vx = 0
    f.vy = c.shield_break_velocity
    f.fast_fall = 0
    enter(f, SHIELD_BREAK_FLY, 0)


@core
def act_lying(f, c, moves):
    f.vx = 0
    if f.action == DOWN_BOUND:
        if f.frame > f.total:
            enter(f, DOWN_WAIT, DOWN_WAIT_FRAMES)
        return
    if f.pressed & (BUTTON_A | BUTTON_B):
        begin_move(f, moves, m.GETUP_ATTACK, DOWN_ATTACK)
        f.safe_first = 1
        f.safe_last = GET_UP_ATTACK_SAFE
    elif abs(f.stick_x) >= 0.7:
        if f.stick_x * f.facing > 0:
            enter(f, DOWN_FORWARD, GET_UP_ROLL_FRAMES)
            f.vx = f.facing * c.getup_roll_f_up_distance / GET_UP_ROLL_FRAMES
        else:
            enter(f, DOWN_BACK, GET_UP_ROLL_FRAMES)
            f.vx = -f.facing * c.getup_roll_b_up_distance / GET_UP_ROLL_FRAMES
        f.safe_first = 1
        f.safe_last = 19
    elif f.stick_y >= 0.5 or f.shield_held or f.frame > f.total:
        enter(f, DOWN_STAND, GET_UP_FRAMES)
        f.safe_first = 1
        f.safe_last = 23


@core
def act_holding(f, o, moves):
    """The grabber: pummel or throw; the victim's escape is counted in `combat`."""
    if f.action == PUMMEL:
        if f.frame > f.total:
            enter(f, CATCH_WAIT, 0)
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
    if throw >= 0 and begin_move(f, moves, m.FTHROW + throw, THROW_FORWARD + throw):
        if o.action != THROWN_FORWARD + throw:
            enter(o, THROWN_FORWARD + throw, 0)
    elif f.pressed & BUTTON_A:
        begin_move(f, moves, m.PUMMEL, PUMMEL)


@core
def act_in_air(f, c, moves, kind):
    """The airborne half of the state machine: choices, then own velocity."""
    if kind in (K_AIR, K_DROP):
        if air_choice(f, c, moves, True):
            if kind_of(f) == K_AIR_DODGE:
                act_in_air_dodge(f)
                return
        else:
            try_fast_fall(f, c)
            if kind == K_DROP and f.frame > 10:
                enter(f, FALL, 0)
        drift(f, c)
        fall(f, c)
    elif kind == K_AIR_MOVE:
        move = moves[f.character, f.slot]
        drift(f, c)
        if f.frame > f.total:
            enter(f, FALL, 0)
            air_choice(f, c, moves, True)
        elif (f.frame >= move.free and air_choice(f, c, moves, True)) or (
            move.jump_cancel > 0 and f.frame >= move.jump_cancel and f.air_jumps > 0 and wants_jump(f)
            and air_choice(f, c, moves, False)
        ):  # fmt: skip
            pass
        else:
            try_fast_fall(f, c)
        fall(f, c)
    elif kind == K_HURT:
        f.hitstun -= 1
        if f.hitstun <= 0:
            end_in_air(f)
        fall(f, c)
    elif kind == K_TUMBLE:
        if not air_choice(f, c, moves, False):
            try_fast_fall(f, c)
            if abs(f.stick_x) >= DASH_STICK and f.tap_x < DASH_TAP:  # a tap ends the tumble
                enter(f, FALL, 0)
        f.tumble = 0 if kind_of(f) != K_TUMBLE else f.tumble
        drift(f, c)
        fall(f, c)
    elif kind == K_AIR_DODGE:
        act_in_air_dodge(f)
        if f.frame > AIR_DODGE_FREE:
            drift(f, c)
            fall(f, c)
        if f.frame > f.total:
            end_in_air(f)
    elif kind == K_RECOVERY:
        act_in_recovery(f, c)
    elif kind == K_HELPLESS:
        try_fast_fall(f, c)
        drift(f, c)
        fall(f, c)
    elif kind == K_BREAK:
        fall(f, c)
    else:  # a grounded action that left the ground
        enter(f, FALL, 0)
        drift(f, c)
        fall(f, c)


@core
def act_in_air_dodge(f):
    if kind_of(f) == K_AIR_DODGE and f.frame <= AIR_DODGE_FREE:
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
        enter(f, HELPLESS_FALL, 0)
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


@core
def act_on_ledge(f, c, stage, moves, kind):
    """Hanging, and the ways off; False once the fighter is falling."""
    side = -f.facing
    slow = f.percent >= SLOW_PERCENT
    if kind == K_LEDGE:
        if f.action == CLIFF_CATCH:
            if f.frame > f.total:
                enter(f, CLIFF_WAIT, 0)
            return True
        if f.pressed & (BUTTON_A | BUTTON_B) or f.c_pressed:
            begin_move(f, moves, m.LEDGE_ATTACK, CLIFF_ATTACK_SLOW if slow else CLIFF_ATTACK)
            f.safe_last = 53 if slow else 21
        elif f.shield_held:
            enter(f, CLIFF_ROLL_SLOW if slow else CLIFF_ROLL, 79 if slow else 49)
            f.safe_last = 71 if slow else 34
        elif f.pressed & BUTTON_X:
            enter(f, CLIFF_JUMP_SLOW if slow else CLIFF_JUMP, 19 if slow else 14)
            f.safe_last = 14
        elif (f.stick_y >= 0.5 or f.stick_x * side <= -0.5) and (f.tap_y < 4 or f.tap_x < 4):
            enter(f, CLIFF_CLIMB_SLOW if slow else CLIFF_CLIMB, 59 if slow else 34)
            f.safe_last = 55 if slow else 30
        elif ((f.stick_y <= -0.5 and f.tap_y < 4) or (f.stick_x * side >= 0.5 and f.tap_x < 4)
              or f.frame > LEDGE_WAIT_FRAMES):  # fmt: skip
            let_go(f)
            f.tap_y = 250
            return False
        f.safe_first = 1
        return True
    if f.action == CLIFF_JUMP or f.action == CLIFF_JUMP_SLOW:
        if f.frame > f.total:
            let_go(f)
            f.action = JUMP_FORWARD
            f.x = side * stage.edge
            f.y = stage.ledge_y
            f.vx = f.facing * c.ledge_jump_h
            f.vy = c.ledge_jump_v
            return False
        return True
    onto = f.total // 2 if f.slot < 0 else 12  # assumed: when the body is up on the stage
    if f.frame == onto:
        f.surface = 0
        f.x = side * (stage.edge - 2.0)
        f.y = stage.ledge_y
        if f.action == CLIFF_ROLL:
            f.vx = f.facing * c.ledge_roll_quick_distance / (f.total - onto)
        elif f.action == CLIFF_ROLL_SLOW:
            f.vx = f.facing * c.ledge_roll_slow_distance / (f.total - onto)
    return True


@core
def let_go(f):
    enter(f, FALL, 0)
    f.ledge_wait = LEDGE_AGAIN
    f.vx = 0
    f.vy = 0
    f.fast_fall = 0
