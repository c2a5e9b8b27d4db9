"""Whole games: begin, step, end, score; `advance` is the one entry of the compiled core."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numba
import numpy as np

from workbench.envs.melee import actions as a
from workbench.envs.melee.choices import NEVER, read_controller
from workbench.envs.melee.combat import fight, hold, wait_hitlag
from workbench.envs.melee.controller import ACTION_SPEC
from workbench.envs.melee.fighter import (
    DEATH_FRAMES,
    REBIRTH_FRAMES,
    REBIRTH_SAFE,
    REBIRTH_WAIT_FRAMES,
    SHIELD_FULL,
    STAR_FRAMES,
    act,
)
from workbench.envs.melee.observation import observe
from workbench.envs.melee.physics import DEAD_ZONE, enter, ground_height
from workbench.envs.melee.reward import CLIP, COMBO, DAMAGE, DISTANCE, EDGE_GUARD, RECOVERY_RISK, STOCK, WIN
from workbench.envs.melee.state import core

END_REASONS = ("stocks", "match time", "frame limit")
HEAD_SIZES = np.array(ACTION_SPEC.sizes)
BEGIN, STEP, SHOW = 0, 1, 2  # commands of `advance`
TOP_DEATH_SPEED = 2.4  # T: upward knockback that dies at the top

SETTINGS = np.dtype(
    [
        ("seed", np.uint64),
        ("frames_per_decision", np.int32),
        ("stocks", np.int32),
        ("time_limit", np.int32),
        ("frame_limit", np.int32),  # 0: none
        ("observe", np.int32),
        ("weights", np.float32, (8,)),
    ],
    align=True,
)


@core
def splitmix(value):
    """`workbench.envs.core._splitmix`, compiled; uint64 arithmetic wraps."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@core
def begin_fighter(f, game, stage, seat, character, spawn, stocks):
    f.character = character
    f.x = stage.spawn_x[spawn]
    f.surface = stage.spawn_surface[spawn]
    f.y = ground_height(stage, f.surface, f.x)
    f.facing = -1.0 if f.x > 0 else 1.0
    f.percent = 0
    f.stocks = stocks
    reset_fighter(f)
    enter(f, a.WAIT, 0)
    f.stick_x = 0
    f.stick_y = 0
    f.c_x = 0
    f.c_y = 0
    f.shoulder = 0
    f.tap_x = NEVER
    f.tap_y = NEVER
    f.since_shield = NEVER
    f.tech_window = 0
    f.tech_lock = 0
    f.buttons = 0
    f.pressed = 0
    f.c_pressed = 0
    f.shield_held = 0
    f.lost = 0
    f.dealt = 0
    f.combo = 0
    f.edge_guard = 0
    for head in range(4):
        f.last_action[head] = 0


@core
def reset_fighter(f):
    """What a new stock begins with, apart from where it stands."""
    f.vx = 0
    f.vy = 0
    f.kx = 0
    f.ky = 0
    f.shield = SHIELD_FULL
    f.charge = 0
    f.aim_x = 0
    f.aim_y = 0
    f.groups = 0
    f.hitlag = 0
    f.hitstun = 0
    f.launch = 0
    f.tumble = 0
    f.invulnerable = 0
    f.safe_first = 0
    f.air_jumps = 1
    f.fast_fall = 0
    f.ledge_wait = 0
    f.timer = 0
    f.stale_count = 0
    f.logged = 0
    for place in range(9):
        f.stale[place] = -1


@core
def begin_game(game, slot, f0, f1, stages, choices_0, choices_1, choices_stage, settings):
    """Seeds, characters, stage and sides of the slot's next game: all drawn from its seed."""
    seed = splitmix(settings.seed)
    seed = splitmix(seed ^ np.uint64(slot))
    seed = splitmix(seed ^ game.number)
    game.seed = seed
    game.frame = 0
    game.steps = 0
    game.over = 0
    draw = splitmix(seed)
    game.stage = choices_stage[np.int64(draw % np.uint64(len(choices_stage)))]
    draw = splitmix(draw)
    character_0 = choices_0[np.int64(draw % np.uint64(len(choices_0)))]
    draw = splitmix(draw)
    character_1 = choices_1[np.int64(draw % np.uint64(len(choices_1)))]
    draw = splitmix(draw)
    side = np.int64(draw & np.uint64(1))
    stage = stages[game.stage]
    begin_fighter(f0, game, stage, 0, character_0, side, settings.stocks)
    begin_fighter(f1, game, stage, 1, character_1, 1 - side, settings.stocks)
    game.distance = abs(f0.x - f1.x)


@core
def update_dead(f, o, c, stage):
    """Death, the platform down, waiting on it, stepping off; True while the fighter is out of the fight."""
    kind = a.KIND[f.action]
    if kind == a.K_DEAD:
        f.frame = min(f.frame + 1, 999)
        if f.frame > (STAR_FRAMES if f.action == a.DEAD_STAR else DEATH_FRAMES) and f.stocks > 0:
            reset_fighter(f)
            f.percent = 0
            f.x = 0
            f.y = stage.respawn_y + REBIRTH_FRAMES
            f.surface = -1
            if o.x != 0:  # toward the opponent, so that left and right are alike
                f.facing = 1 if o.x > 0 else -1
            f.air_jumps = c.air_jumps
            enter(f, a.REBIRTH, REBIRTH_FRAMES)
        return True
    if kind != a.K_REBIRTH:
        return False
    f.frame += 1
    if f.action == a.REBIRTH:
        f.y -= 1
        if f.frame > f.total:
            f.y = stage.respawn_y
            enter(f, a.REBIRTH_WAIT, REBIRTH_WAIT_FRAMES)
    elif f.frame > f.total or f.pressed or abs(f.stick_x) >= DEAD_ZONE or abs(f.stick_y) >= DEAD_ZONE or f.c_pressed:
        enter(f, a.FALL, 0)
        f.invulnerable = REBIRTH_SAFE
    return True


@core
def update(f, o, c, stage):
    if update_dead(f, o, c, stage):
        return
    if f.hitlag > 0:
        wait_hitlag(f, stage)
    if f.hitlag == 0:  # the frame in which the count reaches 0 moves again
        act(f, o, c, stage)


@core
def check_death(f, stage):
    """Past a blast line the stock is lost; at the top only while being launched."""
    if f.y < stage.blast_bottom:
        action = a.DEAD_DOWN
    elif f.x < stage.blast_left:
        action = a.DEAD_LEFT
    elif f.x > stage.blast_right:
        action = a.DEAD_RIGHT
    elif f.y > stage.blast_top and (
        (a.KIND[f.action] == a.K_HURT and f.ky > TOP_DEATH_SPEED)
        or (f.action == a.SHIELD_BREAK_FLY and f.vy > TOP_DEATH_SPEED)
    ):
        action = a.DEAD_STAR
    else:
        return
    if a.KIND[f.action] == a.K_DEAD or a.KIND[f.action] == a.K_REBIRTH:
        return
    f.stocks -= 1
    f.lost += 1
    f.vx = 0
    f.vy = 0
    f.kx = 0
    f.ky = 0
    f.hitlag = 0
    f.hitstun = 0
    f.launch = 0
    f.surface = -1
    enter(f, action, 0)


@core
def play_frame(game, f0, f1, c0, c1, stage):
    game.frame += 1
    update(f0, f1, c0, stage)
    update(f1, f0, c1, stage)
    if a.KIND[f0.action] == a.K_HELD and f0.hitlag == 0:
        hold(f1, f0, c1, c0, stage)
    if a.KIND[f1.action] == a.K_HELD and f1.hitlag == 0:
        hold(f0, f1, c0, c1, stage)
    fight(f0, f1, c0, c1, stage)
    check_death(f0, stage)
    check_death(f1, stage)


@core
def off_stage(f, stage):
    return abs(f.x) > stage.edge or f.y < -20


@core
def leader(f0, f1):
    """+1, -1 or 0: stocks, then lower percent, then a draw."""
    if f0.stocks != f1.stocks:
        return 1 if f0.stocks > f1.stocks else -1
    if f0.percent != f1.percent:
        return 1 if f0.percent < f1.percent else -1
    return 0


@core
def risk(f, stage):
    if not off_stage(f, stage) or a.KIND[f.action] == a.K_DEAD or a.KIND[f.action] == a.K_REBIRTH:
        return 0.0
    beside = max(abs(f.x) - stage.edge, 0.0) / 50
    return min(beside, 1.0) + min(max(-f.y, 0.0) / 100, 1.0)


@core
def score(game, f, o, stage, result, closed, w):
    """One seat's reward for the step; `result` is +1, 0 or -1 for this seat."""
    total = w[STOCK] * (o.lost - f.lost) + w[DAMAGE] * (f.dealt - o.dealt) + w[WIN] * result
    total += w[DISTANCE] * closed + w[COMBO] * f.combo + w[EDGE_GUARD] * f.edge_guard
    total += w[RECOVERY_RISK] * risk(f, stage)
    return min(max(total, -w[CLIP]), w[CLIP])


def _build(stamp: int):
    """Compile the entry; numba keys its cache on `stamp`, so that a change in any of the core's files recompiles."""

    @numba.njit(error_model="numpy", nogil=True, cache=True)
    def advance(
        command, first, games, fighters, actions, settings, characters, stages,
        choices_0, choices_1, choices_stage, numbers, states, who, where, final_numbers, final_states, final_who,
        final_where, reward, terminated, truncated, outcome, length, end_reason, seeds,
    ):  # fmt: skip
        """Play one step of every game, or begin (`BEGIN`) or only show (`SHOW`) them; `first` is the first game's slot.

        Returns how many ended, -1 for a bad action, before which nothing is played.
        """
        if stamp == 0:
            return -1
        s = settings[0]
        ended = 0
        if command == STEP:
            for b in range(len(games)):
                for seat in range(2):
                    for head in range(4):
                        if not 0 <= actions[b, seat, head] < HEAD_SIZES[head]:
                            return -1
        for b in range(len(games)):
            game = games[b]
            f0 = fighters[2 * b]
            f1 = fighters[2 * b + 1]
            if command == BEGIN:
                begin_game(game, first + b, f0, f1, stages, choices_0, choices_1, choices_stage, s)
            elif command == STEP:
                stage = stages[game.stage]
                c0 = characters[f0.character]
                c1 = characters[f1.character]
                for head in range(4):
                    f0.last_action[head] = actions[b, 0, head]
                    f1.last_action[head] = actions[b, 1, head]
                f0.dealt = 0
                f1.dealt = 0
                f0.combo = 0
                f1.combo = 0
                f0.edge_guard = 0
                f1.edge_guard = 0
                f0.lost = 0
                f1.lost = 0
                over = 0
                for _ in range(s.frames_per_decision):
                    read_controller(f0, actions[b, 0, 0], actions[b, 0, 1], actions[b, 0, 2], actions[b, 0, 3])
                    read_controller(f1, actions[b, 1, 0], actions[b, 1, 1], actions[b, 1, 2], actions[b, 1, 3])
                    play_frame(game, f0, f1, c0, c1, stage)
                    if f0.stocks <= 0 or f1.stocks <= 0:
                        over = 1
                    elif game.frame >= s.time_limit:
                        over = 2
                    elif s.frame_limit > 0 and game.frame >= s.frame_limit:
                        over = 3
                    if over:
                        break
                game.steps += 1
                winner = 0
                if over:
                    winner = leader(f0, f1)
                distance = abs(f0.x - f1.x)
                closed = game.distance - distance
                if f0.lost or f1.lost:
                    closed = 0.0
                game.distance = distance
                rules = 0 < over < 3
                result = winner if rules else 0
                reward[b, 0] = score(game, f0, f1, stage, result, closed, s.weights)
                reward[b, 1] = score(game, f1, f0, stage, -result, closed, s.weights)
                terminated[b] = rules
                truncated[b] = over == 3
                outcome[b] = winner
                length[b] = game.steps if over else 0
                end_reason[b] = max(over - 1, 0)
                if over:
                    ended += 1
                    if s.observe:
                        observe(game, f0, f1, c0, c1, stage, s.time_limit, b, final_numbers, final_states, final_who,
                                final_where)  # fmt: skip
                    game.number += np.uint64(1)
                    begin_game(game, first + b, f0, f1, stages, choices_0, choices_1, choices_stage, s)
            seeds[b] = game.seed
            if s.observe:
                stage = stages[game.stage]
                c0 = characters[f0.character]
                c1 = characters[f1.character]
                observe(game, f0, f1, c0, c1, stage, s.time_limit, b, numbers, states, who, where)
        return ended

    return advance


_CORE_FILES = (
    "actions", "characters", "choices", "combat", "controller", "fighter", "game", "ledge", "moves", "observation",
    "physics", "reward", "stages", "state", "tables",
)  # fmt: skip


def _stamp() -> int:
    digest = hashlib.sha256()
    for name in _CORE_FILES:
        digest.update((files(__package__) / f"{name}.py").read_bytes())
    return int.from_bytes(digest.digest()[:6], "big") | 1


advance = _build(_stamp())
