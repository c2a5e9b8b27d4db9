"""Hits, shields, grabs and throws between the two fighters of a game (compiled).

Formulas: common mechanics of NTSC 1.02, keys R, P and T of `data/README.md`.
"""

from __future__ import annotations

import math

from workbench.envs.melee import actions as a
from workbench.envs.melee import moves as m
from workbench.envs.melee.choices import SHIELD_PRESS
from workbench.envs.melee.controller import BUTTON_L
from workbench.envs.melee.fighter import break_shield
from workbench.envs.melee.physics import CONTACT, enter, ground_height, kind_of
from workbench.envs.melee.state import STALE_QUEUE, core

TUMBLE_KNOCKBACK = 80.0  # R
LAUNCH_SPEED, HITSTUN = 0.03, 0.4  # R
KNOCKBACK_CAP = 2500.0  # T
PERCENT_CAP = 999.0  # what the game's display and counter stop at
CROUCH_KNOCKBACK = 2 / 3  # P
CHARGING_KNOCKBACK = 1.2  # T
ELECTRIC_HITLAG, CROUCH_HITLAG = 1.5, 2 / 3  # T
SAKURAI = 361.0
SAKURAI_LOW, SAKURAI_HIGH, SAKURAI_GROUND, SAKURAI_AIR = 32.0, 32.1, 44.0, 45.0  # R
DOWNWARD_BOUNCE = 0.8  # R: a grounded victim sent down bounces up with this share
DI_DEGREES = 18.0  # T
SDI_DISTANCE, ASDI_DISTANCE = 6.0, 3.0  # T
CHARGE_BONUS = 0.3671 / 60  # T: of damage, a frame of smash charge
POWERSHIELD_FRAMES = 2  # P: a hit on the first frames of a shield costs it nothing
SHIELD_MINIMUM = 0.15  # T: of the bubble's radius
GRAB_HOLD, GRAB_HOLD_PERCENT, GRAB_ESCAPE = 90.0, 1.7, 6  # T
GRAB_REACH = 10.0  # assumed: how far in front a victim is held
PUMMEL_DAMAGE = 3.0  # FC
CUT_FRAMES = 30  # assumed: both fighters after a grab is broken


@core
def knockback(percent, dealt, damage, weight, bkb, kbg, setkb):
    """Knockback of a hit.

    Args:
        percent: the victim's, before the hit.
        dealt: staled damage; `damage`: unstaled.
        bkb, kbg, setkb: base, growth and set knockback of the hitbox.
    """
    if setkb > 0:
        base = (0.5 * setkb + 1) * 1.4 * 200 / (weight + 100) + 18
    else:
        after = math.floor(percent) + dealt
        base = (0.1 * after + 0.05 * after * damage) * 1.4 * 200 / (weight + 100) + 18
    return min(base * kbg / 100 + bkb, KNOCKBACK_CAP)


@core
def hitlag_frames(damage):
    """Frames both sides of a hit freeze, from staled damage; the frame of the hit is the first of them (R)."""
    return math.floor(damage / 3 + 3)


@core
def shield_stun_frames(damage, press):
    """Frames a shield cannot be dropped after a hit; `press` is the analog depth, .3 to 1 (T below 1)."""
    share = 0.45
    if press < 1:
        share = 1.5 * (0.3 + 0.65 * (1 - (press - 0.3) / 0.7))
    return math.floor((share * math.floor(damage) + 2) * 200 / 201)


@core
def launch_angle(angle, force, grounded):
    """Degrees in which a hit sends, for an attacker on the victim's left."""
    if angle != SAKURAI:
        return angle
    if not grounded:
        return SAKURAI_AIR
    if force < SAKURAI_LOW:
        return 0.0
    if force >= SAKURAI_HIGH:
        return SAKURAI_GROUND
    return (force - SAKURAI_LOW) / (SAKURAI_HIGH - SAKURAI_LOW) * SAKURAI_GROUND


@core
def stale_factor(f, slot):
    """Share of the damage that is left of a move, by its places in the queue of the last nine that hit."""
    factor = 1.0
    for place in range(min(f.stale_count, STALE_QUEUE)):
        if f.stale[place] == slot:
            factor -= 0.09 - 0.01 * place
    return factor


@core
def log_stale(f, slot):
    """One entry a use of a move; its own later hits are staled by it already (R)."""
    if f.logged:
        return
    f.logged = 1
    for place in range(STALE_QUEUE - 1, 0, -1):
        f.stale[place] = f.stale[place - 1]
    f.stale[0] = slot
    f.stale_count = min(f.stale_count + 1, STALE_QUEUE)


@core
def untouchable(f):
    kind = a.KIND[f.action]
    return (
        f.invulnerable > 0
        or kind in (a.K_DEAD, a.K_REBIRTH)
        or (f.safe_last > 0 and f.safe_first <= f.frame <= f.safe_last)
    )


@core
def touches(f, o, o_height, o_halfwidth, o_radius, line):
    """0: no circle of this frame touches; 1: the hurt rectangle; 2: the shield."""
    found = 0
    shield_x = o.x
    shield_y = o.y + 0.5 * o_height
    for k in range(line.circles):
        x = f.x + f.facing * line.x[k]
        y = f.y + line.y[k]
        r = line.r[k]
        if o_radius > 0:
            dx = x - shield_x
            dy = y - shield_y
            if dx * dx + dy * dy <= (r + o_radius) * (r + o_radius):
                return 2
        dx = max(abs(x - o.x) - o_halfwidth, 0.0)
        dy = max(max(o.y - y, y - (o.y + o_height)), 0.0)
        if dx * dx + dy * dy <= r * r:
            found = 1
    return found


@core
def find_hit(f, o, c, oc):
    """What this frame of `f`'s move does to `o`: 0 nothing, 1 hit, 2 shielded, 3 grab."""
    if f.slot < 0 or f.hitlag > 0:
        return 0
    move = c.moves[f.slot]
    if f.frame < move.first or f.frame > move.last:
        return 0
    line = move.frames[f.frame - 1]
    if line.window < 0 or untouchable(o):
        return 0
    if f.groups >> move.windows[line.window].group & 1:
        return 0
    if abs(f.x - o.x) > 60 or abs(f.y - o.y) > 60:
        return 0
    kind = kind_of(o)
    if move.is_grab:
        if kind in (a.K_HELD, a.K_HOLD, a.K_THROW):
            return 0
        return 3 if touches(f, o, oc.hurt_height, oc.hurt_halfwidth, 0.0, line) else 0
    radius = 0.0
    if kind in (a.K_GUARD, a.K_GUARD_STUN):
        radius = oc.shield_radius * max(o.shield / 60, SHIELD_MINIMUM)
    height = oc.hurt_height
    if o.action == a.CROUCH:
        height *= 0.7  # assumed: a crouching body is lower
    return touches(f, o, height, oc.hurt_halfwidth, radius, line)


@core
def strike(f, o, c, oc, stage, slot, frame):
    """`f`'s hitbox in that frame of that move hits `o` (in a trade `f` has left the move already)."""
    move = c.moves[slot]
    w = move.windows[move.frames[frame - 1].window]
    f.groups |= 1 << w.group
    charge = 1.0 + CHARGE_BONUS * f.charge
    dealt = w.damage * stale_factor(f, slot) * charge
    log_stale(f, slot)
    side = 1.0 if o.x > f.x else (-1.0 if o.x < f.x else f.facing)
    crouching = o.action == a.CROUCH
    if abs(o.x) > stage.edge or o.y < stage.ledge_y - 20:
        f.edge_guard += 1
    hurt(f, o, oc, dealt, w.damage * charge, w.angle, w.bkb, w.kbg, w.setkb, side)
    lag = hitlag_frames(dealt)
    f.hitlag = max(f.hitlag, lag)  # in a trade the longer freeze holds
    if w.electric:
        lag = int(lag * ELECTRIC_HITLAG)
    elif crouching:
        lag = int(lag * CROUCH_HITLAG)
    o.hitlag = max(o.hitlag, lag)


@core
def hurt(f, o, oc, dealt, damage, angle, bkb, kbg, setkb, side):
    """Damage and knockback; the launch waits for the end of hitlag."""
    force = knockback(o.percent, dealt, damage, oc.weight, bkb, kbg, setkb)
    if o.action == a.CROUCH:
        force *= CROUCH_KNOCKBACK
    elif o.charging:
        force *= CHARGING_KNOCKBACK
    grounded = o.surface >= 0
    if o.hitstun > 0 and (o.action == a.DAMAGE_GROUND or a.DAMAGE_AIR <= o.action <= a.DAMAGE_FLY_TOP):
        f.combo += 1
    f.dealt += dealt
    o.percent = min(o.percent + dealt, PERCENT_CAP)
    degrees = launch_angle(angle, force, grounded)
    speed = LAUNCH_SPEED * force
    x = side * speed * math.cos(math.radians(degrees))
    y = speed * math.sin(math.radians(degrees))
    if abs(y) < 1e-4 * speed:
        y = 0.0
    tumble = force >= TUMBLE_KNOCKBACK
    if grounded and y < 0:
        y = -y * DOWNWARD_BOUNCE if tumble else 0.0
    if o.slot == m.UP_B:
        o.slot = -1
    o.vx = 0
    o.vy = 0
    o.kx = x
    o.ky = y
    o.fast_fall = 0
    o.hitstun = max(int(HITSTUN * force), 1)
    o.tumble = 1 if tumble else 0
    o.launch = 1
    if grounded and y > 0:
        o.surface = -1
    action = a.DAMAGE_GROUND if o.surface >= 0 else a.DAMAGE_AIR
    if tumble:
        action = a.DAMAGE_FLY_TOP if 70 <= degrees <= 110 else a.DAMAGE_FLY
    enter(o, action, 0)


@core
def strike_shield(f, o, c, oc):
    """`f`'s current hitbox meets `o`'s shield; nothing enters the stale queue (R)."""
    move = c.moves[f.slot]
    w = move.windows[move.frames[f.frame - 1].window]
    f.groups |= 1 << w.group
    dealt = math.floor(w.damage * stale_factor(f, f.slot) * (1.0 + CHARGE_BONUS * f.charge))
    powershield = o.action != a.GUARD_STUN and o.frame <= POWERSHIELD_FRAMES
    if not powershield:
        o.shield -= 0.7 * dealt
    lag = hitlag_frames(dealt)
    f.hitlag = lag
    o.hitlag = lag
    if o.shield <= 0:
        break_shield(o, oc)
        return
    side = 1.0 if o.x > f.x else (-1.0 if o.x < f.x else f.facing)
    o.vx = side * min(0.6 * (0.09 * dealt + 0.4), 2.0)  # T
    press = 1.0 if o.buttons & BUTTON_L else max(o.shoulder, SHIELD_PRESS)
    enter(o, a.GUARD_STUN, 1 + shield_stun_frames(dealt, press))  # the frame of the hit shows it already


@core
def seize(f, o):
    """A grab connects."""
    f.vx = 0
    f.kx = 0
    enter(f, a.CATCH_WAIT, 0)
    o.vx = 0
    o.vy = 0
    o.kx = 0
    o.ky = 0
    o.hitstun = 0
    o.tumble = 0
    o.surface = f.surface
    o.facing = -f.facing
    o.timer = int(GRAB_HOLD + GRAB_HOLD_PERCENT * o.percent)
    o.x = f.x + f.facing * GRAB_REACH
    o.y = f.y
    enter(o, a.CAPTURE_WAIT, 0)


@core
def release(f, o):
    """A grab is broken: both step back and wait."""
    enter(f, a.CATCH_CUT, CUT_FRAMES)
    enter(o, a.CAPTURE_CUT, CUT_FRAMES)
    f.vx = -f.facing
    o.vx = f.facing


@core
def free_victim(o, oc):
    """The holder is gone or was hit: the victim is free at once."""
    if o.surface >= 0:
        enter(o, a.WAIT, 0)
    else:
        enter(o, a.FALL, 0)
    o.vy = 0


@core
def hold(f, o, c, oc, stage):
    """The victim `o` in the hands of `f`: escape, pummel, throw."""
    kind = kind_of(f)
    if kind != a.K_HOLD and kind != a.K_THROW:
        free_victim(o, oc)
        return
    if kind == a.K_HOLD:
        o.timer -= 1
        if o.pressed or (o.tap_x == 0) or (o.tap_y == 0):
            o.timer -= GRAB_ESCAPE
        if f.action == a.PUMMEL and f.frame == c.moves[m.PUMMEL].release and f.logged == 0:
            dealt = PUMMEL_DAMAGE * stale_factor(f, m.PUMMEL)
            log_stale(f, m.PUMMEL)
            o.percent = min(o.percent + dealt, PERCENT_CAP)
            f.dealt += dealt
            enter(o, a.CAPTURE_DAMAGE, 0)
        if o.timer <= 0:
            release(f, o)
        return
    move = c.moves[f.slot]
    when = move.release
    if move.weight_dependent:  # faster on the light, slower on the heavy; rounded up (R)
        when = math.ceil(when * oc.weight / 100)
        f.total = math.ceil(move.total * oc.weight / 100)
    if f.frame < when or f.logged:
        return
    dealt = move.release_damage * stale_factor(f, f.slot)
    log_stale(f, f.slot)
    hurt(f, o, oc, dealt, move.release_damage, move.release_angle, move.release_bkb, move.release_kbg, 0.0, f.facing)
    lag = move.throw_hitlag + 1 if move.throw_hitlag > 0 else 0  # after the frame of the release (R)
    o.hitlag = lag
    f.hitlag = lag
    if lag == 0:
        launch(o, stage)


@core
def shift(o, stage, dx, dy):
    """Move a frozen victim without pushing it through the ground or off its surface."""
    x = o.x + dx
    if o.surface >= 0:
        x = min(max(x, stage.left[o.surface]), stage.right[o.surface])
        o.y = ground_height(stage, o.surface, x)
    else:
        y = o.y + dy
        if abs(x) <= stage.edge:
            ground = ground_height(stage, 0, x)
            if o.y >= ground_height(stage, 0, o.x) - CONTACT and abs(o.x) <= stage.edge:
                y = max(y, ground)
            elif y < ground:
                x = math.copysign(max(abs(o.x), stage.edge), o.x)
        o.y = y
    o.x = x


@core
def launch(o, stage):
    """Hitlag is over: apply DI and ASDI, and let go."""
    o.launch = 0
    x = o.c_x
    y = o.c_y
    if x == 0 and y == 0:
        x = o.stick_x
        y = o.stick_y
    shift(o, stage, ASDI_DISTANCE * x, ASDI_DISTANCE * y)
    speed = math.sqrt(o.kx * o.kx + o.ky * o.ky)
    if speed == 0 or (o.surface >= 0 and o.ky == 0):
        return
    across = (o.kx * o.stick_y - o.ky * o.stick_x) / speed
    turn = math.radians(DI_DEGREES * across * abs(across))
    cosine = math.cos(turn)
    sine = math.sin(turn)
    kx = o.kx
    o.kx = kx * cosine - o.ky * sine
    o.ky = kx * sine + o.ky * cosine


@core
def wait_hitlag(f, stage):
    """A frame begins in hitlag, and ends it or not; a victim may shift itself by fresh taps (SDI)."""
    f.hitlag -= 1
    if f.launch:
        if (f.tap_x == 0 and abs(f.stick_x) >= 0.7) or (f.tap_y == 0 and abs(f.stick_y) >= 0.7):
            shift(f, stage, SDI_DISTANCE * f.stick_x, SDI_DISTANCE * f.stick_y)
        if f.hitlag == 0:
            launch(f, stage)


@core
def fight(f0, f1, c0, c1, stage):
    """Both fighters' hitboxes against each other; judged before either is applied, so that trades happen."""
    first = find_hit(f0, f1, c0, c1)
    second = find_hit(f1, f0, c1, c0)
    if first == 0 and second == 0:
        return
    if first == 3 and second == 3:  # two grabs at once undo each other
        f0.groups |= 1
        f1.groups |= 1
        return
    # a hit beats a shielded hit beats a grab
    if first == 1 or second == 1:
        slot0 = f0.slot
        slot1 = f1.slot
        frame0 = f0.frame
        frame1 = f1.frame
        if first == 1:
            strike(f0, f1, c0, c1, stage, slot0, frame0)
        if second == 1:
            strike(f1, f0, c1, c0, stage, slot1, frame1)
    elif first == 2:
        strike_shield(f0, f1, c0, c1)
    elif second == 2:
        strike_shield(f1, f0, c1, c0)
    elif first == 3:
        seize(f0, f1)
    else:
        seize(f1, f0)
