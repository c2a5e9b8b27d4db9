"""Hanging on a ledge and the ways off it (compiled)."""

from __future__ import annotations

from workbench.envs.melee import actions as a
from workbench.envs.melee import moves as m
from workbench.envs.melee.choices import NEVER, TAP, begin_move
from workbench.envs.melee.controller import BUTTON_A, BUTTON_B, BUTTON_X
from workbench.envs.melee.physics import LEDGE_AGAIN, enter
from workbench.envs.melee.state import core

LEDGE_WAIT_FRAMES = 480  # assumed: hands tire
SLOW_PERCENT = 100.0  # R: ledge options are slower from here on


@core
def act_on_ledge(f, c, stage, kind):
    """Hanging, and the ways off; False once the fighter is falling."""
    side = -f.facing
    slow = f.percent >= SLOW_PERCENT
    if kind == a.K_LEDGE:
        if f.action == a.CLIFF_CATCH:
            if f.frame > f.total:
                enter(f, a.CLIFF_WAIT, 0)
            return True
        if f.pressed & (BUTTON_A | BUTTON_B) or f.c_pressed:
            begin_move(f, c, m.LEDGE_ATTACK, a.CLIFF_ATTACK_SLOW if slow else a.CLIFF_ATTACK)
            f.safe_last = 53 if slow else 21
        elif f.shield_held:
            enter(f, a.CLIFF_ROLL_SLOW if slow else a.CLIFF_ROLL, 79 if slow else 49)
            f.safe_last = 71 if slow else 34
        elif f.pressed & BUTTON_X:
            enter(f, a.CLIFF_JUMP_SLOW if slow else a.CLIFF_JUMP, 19 if slow else 14)
            f.safe_last = 14
        elif (f.stick_y >= 0.5 or f.stick_x * side <= -0.5) and (f.tap_y < TAP or f.tap_x < TAP):
            enter(f, a.CLIFF_CLIMB_SLOW if slow else a.CLIFF_CLIMB, 59 if slow else 34)
            f.safe_last = 55 if slow else 30
        elif ((f.stick_y <= -0.5 and f.tap_y < TAP) or (f.stick_x * side >= 0.5 and f.tap_x < TAP)
              or f.frame > LEDGE_WAIT_FRAMES):  # fmt: skip
            let_go(f)
            f.tap_y = NEVER
            return False
        f.safe_first = 1
        return True
    if f.action == a.CLIFF_JUMP or f.action == a.CLIFF_JUMP_SLOW:
        if f.frame > f.total:
            let_go(f)
            f.action = a.JUMP_FORWARD
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
        if f.action == a.CLIFF_ROLL:
            f.vx = f.facing * c.ledge_roll_quick_distance / (f.total - onto)
        elif f.action == a.CLIFF_ROLL_SLOW:
            f.vx = f.facing * c.ledge_roll_slow_distance / (f.total - onto)
    return True


@core
def let_go(f):
    enter(f, a.FALL, 0)
    f.ledge_wait = LEDGE_AGAIN
    f.vx = 0
    f.vy = 0
    f.fast_fall = 0
