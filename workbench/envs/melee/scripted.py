"""Scripted fighters of five strengths, `melee-mock/cpu1` to `melee-mock/cpu9`; they see only the observation.

All follow one plan: recover when off the stage, hang on and climb, steer when launched, guard when an attack is near,
otherwise walk up and strike. The levels differ in how often they act, what they know and how well they choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from workbench.envs.melee import actions as a
from workbench.envs.melee import moves as m
from workbench.envs.melee.characters import character_table
from workbench.envs.melee.controller import ACTION_SPEC, MAIN_STICK
from workbench.envs.melee.moves import move_table
from workbench.envs.melee.observation import NUMBER_NAMES, PERCENT, POSITION, SPEED
from workbench.envs.players import ScriptedPlayer, register_scripted

_COLUMN = {name: k for k, name in enumerate(NUMBER_NAMES)}
_NONE, _A, _B, _X, _Z, _L = range(6)
_C_UP, _C_DOWN = 2, 4
FINISHING_PERCENT = 80.0  # from here on moves are valued by their knockback


def _stick(x: float, y: float) -> int:
    return int(np.square(MAIN_STICK - np.array([x, y], np.float32)).sum(axis=1).argmin())


_NEUTRAL, _UP, _DOWN = _stick(0, 0), _stick(0, 1), _stick(0, -1)
_HALF_DOWN, _HALF_UP = _stick(0, -0.5), _stick(0, 0.5)
_SIDE = np.array([_stick(-1, 0), _stick(1, 0)])  # indexed by "to the right"
_HALF_SIDE = np.array([_stick(-0.5, 0), _stick(0.5, 0)])
_UP_SIDE = np.array([_stick(-0.7, 0.7), _stick(0.7, 0.7)])
_C_SIDE = np.array([3, 1])

_ATTACKING = np.zeros(a.ACTION_STATES, bool)
_ATTACKING[a.JAB1 : a.DOWN_AIR + 1] = True
_ATTACKING[a.FIRST_SPECIAL :] = True
_GUARDING = np.isin(np.arange(a.ACTION_STATES), (a.GUARD_ON, a.GUARD, a.GUARD_STUN))
_HELPLESS = np.isin(
    np.arange(a.ACTION_STATES),
    (*range(a.GUARD_ON, a.GUARD_OFF + 1), *range(a.LANDING, a.LANDING_AERIAL + 5), *range(a.CATCH, a.THROW_DOWN + 1),
     *range(a.DOWN_BOUND, a.DOWN_WAIT + 1), *range(a.DAMAGE_GROUND, 92), a.DIZZY),
)  # fmt: skip
_HURT = np.isin(np.arange(a.ACTION_STATES), (*range(a.DAMAGE_GROUND, 92), a.TUMBLE))
_HELD = np.isin(np.arange(a.ACTION_STATES), (a.CAPTURE_WAIT, a.CAPTURE_DAMAGE))


# rows of the move book: the move, and how to press it when facing right
_BOOK = (
    (m.JAB1, (_A, _NEUTRAL, 0, 0)), (m.FTILT, (_A, _HALF_SIDE[1], 0, 0)), (m.UTILT, (_A, _HALF_UP, 0, 0)),
    (m.DTILT, (_A, _HALF_DOWN, 0, 0)), (m.FSMASH, (_NONE, _NEUTRAL, 1, 0)), (m.USMASH, (_NONE, _NEUTRAL, _C_UP, 0)),
    (m.DSMASH, (_NONE, _NEUTRAL, _C_DOWN, 0)), (m.GRAB, (_Z, _NEUTRAL, 0, 0)), (m.NAIR, (_A, _NEUTRAL, 0, 0)),
    (m.FAIR, (_NONE, _NEUTRAL, 1, 0)), (m.BAIR, (_NONE, _NEUTRAL, 3, 0)), (m.UAIR, (_NONE, _NEUTRAL, _C_UP, 0)),
    (m.DAIR, (_NONE, _NEUTRAL, _C_DOWN, 0)),
)  # fmt: skip
_PRESSES = np.array([press for _, press in _BOOK])
_GRAB_ROW = 7


class MoveBook(NamedTuple):
    """What a scripted fighter knows of every character's moves; rows as `_BOOK`.

    Args:
        box: float32 `[C, M, 4]`; left, right, bottom, top that the hit circles reach, facing right.
        first: float32 `[C, M]`; frame of the first hit.
        damage, force: float32 `[C, M]`; percent, and knockback at 120 %, a frame the move takes, less when it is slow
            to begin.
        aerial: bool `[M]`.
        halfwidth, height: float32 `[C]`; hurt rectangles.
    """

    box: np.ndarray
    first: np.ndarray
    damage: np.ndarray
    force: np.ndarray
    aerial: np.ndarray
    halfwidth: np.ndarray
    height: np.ndarray


@cache
def move_book() -> MoveBook:
    """Read off the move tables once."""
    table = move_table()
    shape = (len(table), len(_BOOK))
    box, first = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32)
    damage, force = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for character in range(shape[0]):
        for row, (slot, _) in enumerate(_BOOK):
            move = table[character, slot]
            if not move["first"]:
                continue
            lines = move["frames"][move["first"] - 1 : move["last"]]
            lines = lines[lines["window"] >= 0]
            used = np.arange(lines["x"].shape[1]) < lines["circles"][:, None]
            x, y, r = (lines[name][used] for name in "xyr")
            box[character, row] = (x - r).min(), (x + r).max(), (y - r).min(), (y + r).max()
            first[character, row] = move["first"]
            window = move["windows"][lines["window"]]
            worth = np.exp(-move["first"] / 12) / np.sqrt(min(move["total"], move["free"]))
            damage[character, row] = worth * (4.0 if move["is_grab"] else window["damage"].max())
            at_120 = 0.12 * 120 + 0.06 * 120 * window["damage"]
            force[character, row] = worth * (
                0.0 if move["is_grab"] else (at_120 * window["kbg"] / 100 + window["bkb"]).max()
            )
    fighters = character_table()
    aerial = np.array([m.NAIR <= slot <= m.DAIR for slot, _ in _BOOK])
    return MoveBook(
        box, first, damage, force, aerial, fighters["hurt_halfwidth"].copy(), fighters["hurt_height"].copy()
    )


@dataclass(frozen=True)
class Level:
    """How well a scripted fighter plays.

    Args:
        pause: mean frames between two attacks.
        recovers: chance in each frame to do what recovering needs; 1 never misses.
        guards: chance to raise the shield when an attack is near.
        steers: whether it tilts the stick against being launched, and techs.
        finishes: whether it grabs shields and looks ahead by the time a move takes.
        runs: whether it runs up instead of walking.
        reads: whether it picks a move that reaches, by its worth, instead of any.
    """

    pause: float
    recovers: float
    guards: float
    steers: bool
    finishes: bool
    runs: bool
    reads: bool


LEVELS = {
    1: Level(pause=70, recovers=0.03, guards=0.0, steers=False, finishes=False, runs=False, reads=False),
    3: Level(pause=35, recovers=0.15, guards=0.02, steers=False, finishes=False, runs=False, reads=False),
    5: Level(pause=18, recovers=0.6, guards=0.05, steers=False, finishes=False, runs=True, reads=False),
    7: Level(pause=8, recovers=1.0, guards=0.1, steers=True, finishes=False, runs=True, reads=True),
    9: Level(pause=2, recovers=1.0, guards=0.2, steers=True, finishes=True, runs=True, reads=True),
}


class ScriptedFighter(ScriptedPlayer):
    """One of the levels. Its state is the number of frames it still waits before it attacks again."""

    state_size = 1

    def __init__(self, id: str, level: Level):
        super().__init__(id)
        self.level = level

    def choose(self, observation, legal, state, generator) -> np.ndarray:
        """Int64 `[N, 4]`; see `ScriptedPlayer`."""
        numbers = observation["numbers"]
        see = {name: numbers[:, k] for name, k in _COLUMN.items()}
        own, other = observation["action_state"][:, 0], observation["action_state"][:, 1]
        chance = generator.random((len(numbers), 4), dtype=np.float32)
        level = self.level
        action = np.zeros((len(numbers), len(ACTION_SPEC)), np.int64)
        to_right = (see["delta_x"] > 0).astype(np.intp)
        inward = (see["own_x"] < 0).astype(np.intp)
        reach = np.abs(see["delta_x"]) * POSITION
        above = see["delta_y"] * POSITION
        grounded = see["own_on_ground"] > 0
        facing_it = (see["own_facing"] > 0) == (to_right > 0)
        stick_was_full = np.hypot(see["last_stick_x"], see["last_stick_y"]) > 0.8

        state[:, 0] = np.maximum(state[:, 0] - 1, 0)
        ready = state[:, 0] == 0
        self._approach(action, see, own, grounded, reach, above, to_right, stick_was_full, chance)
        near = (reach < 16) & (np.abs(above) < 24)
        dashing = np.isin(own, (a.DASH, a.RUN))
        if level.reads:
            able = ready & (see["own_off_stage"] == 0) & (~dashing | (chance[:, 1] < 0.15))
            done = self._pick(action, see, able, grounded, observation["character"], other, generator)
        else:
            begin = ready & near & (~(grounded & dashing) | (chance[:, 1] < 0.15))
            done = self._attack(action, see, begin, grounded, above, to_right, facing_it, chance)
        state[done, 0] = 1 + np.floor(generator.exponential(level.pause, int(done.sum())))
        if level.guards:
            threat = grounded & (reach < 24) & (np.abs(above) < 25) & _ATTACKING[other]
            # a shield once raised is held while the threat lasts
            guard = threat & ((chance[:, 0] < level.guards) | _GUARDING[own])
            action[guard] = (_L, _NEUTRAL, 0, 0)
        holding = (own == a.CATCH_WAIT) & (chance[:, 1] < (0.2 if level.finishes else 0.05))
        action[holding] = (_NONE, _UP, 0, 0)
        self._recover(action, see, own, inward, chance)
        self._hang(action, see, own, inward, stick_was_full, chance)
        held = _HELD[own] & (chance[:, 1] < (0.5 if level.steers else 0.1))
        action[held, 0] = np.where(see["last_A"][held] > 0, _NONE, _A)
        if level.steers:
            self._steer(action, see, own, inward, chance)
        lying = (own == a.DOWN_WAIT) & (chance[:, 2] < max(level.recovers, 0.1))
        action[lying] = (_NONE, _UP, 0, 0)
        gone = (own <= a.REBIRTH) | ((own == a.REBIRTH_WAIT) & (chance[:, 3] < 0.9))
        action[gone] = 0
        return action

    def _approach(self, action, see, own, grounded, reach, above, to_right, stick_was_full, chance) -> None:
        """Toward the opponent, without following it over the edge; up to its platform or down to it."""
        level = self.level
        edge = see["edge"] * POSITION
        their_x = see["opponent_x"] * POSITION
        off = np.abs(their_x) > edge - 4
        my_x = see["own_x"] * POSITION
        at_edge = (np.abs(my_x) > edge - 14) & ((my_x > 0) == (to_right > 0))
        go = (reach > 12) & ~(off & (np.abs(my_x) > edge - 25)) & ~at_edge
        dashing = np.isin(own, (a.DASH, a.RUN))
        walking = (own >= a.WALK_SLOW) & (own <= a.WALK_FAST)
        far = reach > 40 if level.runs else np.zeros(len(reach), bool)
        # A dash needs a fresh tap: the stick returns once after it was full but no dash came of it. A walk begins with
        # a half tilt; a full one then speeds it up without dashing.
        full = (far & (~stick_was_full | dashing)) | ~grounded | (walking & level.runs)
        half = ~full & ~far & ~dashing
        action[:, 1] = np.where(go & full, _SIDE[to_right], np.where(go & half, _HALF_SIDE[to_right], _NEUTRAL))
        turn = ~go & grounded & ((see["own_facing"] > 0) != (to_right > 0)) & (reach < 25)
        action[turn, 1] = _HALF_SIDE[to_right[turn]]
        jump = grounded & (above > 18) & (reach < 40) & ~off & (chance[:, 2] < (0.15 if level.runs else 0.03))
        jump |= (own == a.JUMP_SQUAT) & (see["last_X"] > 0)
        action[jump, 0] = _X
        drop = grounded & ((above < -15) | (reach > 30)) & (see["own_y"] > 0.2) & (chance[:, 3] < 0.1)
        action[drop, 1] = _DOWN
        land = ~grounded & (see["own_speed_y"] < 0) & (see["own_off_stage"] == 0) & (above < 0) & level.runs
        land &= see["own_fast_fall"] == 0
        action[land, 1] = np.where(see["last_stick_y"][land] < -0.5, _NEUTRAL, _DOWN)

    def _attack(self, action, see, begin, grounded, above, to_right, facing_it, chance) -> np.ndarray:
        """Some attack that may well miss; bool `[N]` where one was begun."""
        pick = chance[:, 1]
        ground = begin & grounded
        air = begin & ~grounded & (see["own_off_stage"] == 0)
        action[ground] = (_A, _NEUTRAL, 0, 0)
        action[ground & (pick < 0.4), 1] = _HALF_DOWN
        action[ground & (pick >= 0.4) & (pick < 0.6), 1] = _HALF_UP
        side = ground & ((pick >= 0.8) | ~facing_it)
        action[side, 1] = _HALF_SIDE[to_right[side]]
        action[ground & (pick > 0.7)] = (_NONE, _NEUTRAL, _C_DOWN, 0)
        action[air] = (_A, _NEUTRAL, 0, 0)
        action[air & (above > 8)] = (_NONE, _NEUTRAL, _C_UP, 0)
        return self._let_go(action, see, ground | air)

    def _pick(self, action, see, able, grounded, character, other, generator) -> np.ndarray:
        """The most valuable move among those that reach the opponent; bool `[N]` where one was begun."""
        book = move_book()
        me = character[:, 0].astype(np.intp)
        facing = np.where(see["own_facing"] > 0, 1.0, -1.0).astype(np.float32)
        ahead = np.zeros((len(me), 1), np.float32)
        if self.level.finishes:  # where the opponent will be when the move strikes
            ahead = book.first[me]
        moving = {
            axis: (see[f"opponent_speed_{axis}"] + see[f"opponent_knockback_{axis}"] - see[f"own_speed_{axis}"]) * SPEED
            for axis in "xy"
        }
        dx = (see["delta_x"] * POSITION)[:, None] + moving["x"][:, None] * ahead
        dy = (see["delta_y"] * POSITION)[:, None] + np.clip(moving["y"][:, None] * ahead, -30, 30)
        dx = dx * facing[:, None]
        their = character[:, 1].astype(np.intp)
        half, tall = book.halfwidth[their][:, None], book.height[their][:, None]
        box = book.box[me]
        hits = (dx + half > box[..., 0]) & (dx - half < box[..., 1])
        hits &= (dy + tall > box[..., 2]) & (dy < box[..., 3])
        hits &= book.aerial != grounded[:, None]
        strong = see["opponent_percent"] * PERCENT > FINISHING_PERCENT
        value = np.where(strong[:, None], book.force[me], book.damage[me])
        guarding = _GUARDING[other]
        value[:, _GRAB_ROW] = np.where(guarding, 9.0, value[:, _GRAB_ROW]) * self.level.finishes
        value = np.where(hits, value * (0.5 + generator.random(value.shape, dtype=np.float32)), 0)
        best = value.argmax(axis=1)
        begin = able & (value[np.arange(len(best)), best] > 0)
        chosen = _PRESSES[best]
        right = (facing > 0).astype(np.intp)
        action[begin] = chosen[begin]
        forward, backward = begin & (chosen[:, 2] == _C_SIDE[1]), begin & (chosen[:, 2] == _C_SIDE[0])
        action[forward, 2] = _C_SIDE[right[forward]]
        action[backward, 2] = _C_SIDE[1 - right[backward]]
        tilt = begin & (chosen[:, 1] == _HALF_SIDE[1])
        action[tilt, 1] = _HALF_SIDE[right[tilt]]
        return self._let_go(action, see, begin)

    def _let_go(self, action, see, begin) -> np.ndarray:
        """A held button is no press: release it first; bool `[N]` where the press counts."""
        stuck = ((action[:, 0] == _A) & (see["last_A"] > 0)) | ((action[:, 0] == _Z) & (see["last_Z"] > 0))
        stuck |= (action[:, 2] > 0) & ((see["last_c_x"] != 0) | (see["last_c_y"] != 0))
        action[begin & stuck] = 0
        return begin & ~stuck

    def _recover(self, action, see, own, inward, chance) -> None:
        """Back to the stage: drift, then the double jump, then the up special aimed at the ledge."""
        out = (see["own_off_stage"] > 0) & (see["own_on_ground"] == 0) & ~np.isin(own, (a.CLIFF_CATCH, a.CLIFF_WAIT))
        out &= own > a.REBIRTH_WAIT
        action[out] = (_NONE, _NEUTRAL, 0, 0)
        knows = out & (chance[:, 0] < max(self.level.recovers, 0.3))
        action[knows, 1] = _SIDE[inward[knows]]
        able = out & (chance[:, 1] < self.level.recovers) & ~_HURT[own]
        height = see["own_y"] * POSITION
        falling = see["own_speed_y"] < 0
        jump = able & falling & (height < 5) & (see["own_air_jumps"] > 0) & (see["last_X"] == 0)
        action[jump, 0] = _X
        special = able & falling & (height < -12) & (see["own_air_jumps"] <= 0) & (see["last_B"] == 0)
        action[special, 0], action[special, 1] = _B, _UP
        travelling = knows & (own >= a.FIRST_SPECIAL)
        # aim at a point above the ledge: steep when close beside it, level when high enough already
        beside = np.maximum(-see["own_ledge_distance"] * POSITION, 1.0)
        steep = (-height + 4) / beside
        action[travelling, 1] = np.where(steep > 1.8, _UP, np.where(steep > 0.4, _UP_SIDE[inward], _SIDE[inward]))[
            travelling
        ]

    def _hang(self, action, see, own, inward, stick_was_full, chance) -> None:
        """Off the ledge: climb, sometimes roll or jump."""
        hanging = own == a.CLIFF_WAIT
        action[(own == a.CLIFF_CATCH) | hanging] = 0
        go = hanging & ~stick_was_full & (chance[:, 0] < max(0.2 * self.level.recovers, 0.02))
        action[go, 1] = _UP
        if self.level.finishes:
            roll = go & (chance[:, 2] < 0.3)
            action[roll] = (_L, _NEUTRAL, 0, 0)

    def _steer(self, action, see, own, inward, chance) -> None:
        """In hitlag and hitstun: tilt up and inward, press the shoulder shortly before landing."""
        hurt = _HURT[own]
        action[hurt] = (_NONE, _NEUTRAL, 0, 0)
        action[hurt, 1] = _UP_SIDE[inward[hurt]]
        level_fall = see["own_speed_y"] + see["own_knockback_y"] < 0
        tech = hurt & level_fall & (see["own_y"] * POSITION < 20) & (see["last_L"] == 0) & (see["own_off_stage"] == 0)
        action[tech, 0] = _L


for _number, _level in LEVELS.items():
    register_scripted(f"melee-mock/cpu{_number}", lambda name, level=_level: ScriptedFighter(name, level))
