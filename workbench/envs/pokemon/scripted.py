"""Scripted gen1ou players, weakest to strongest by design; each reasons from its observation alone.

`gen1ou/random`, `gen1ou/boss`, `gen1ou/max-power`, `gen1ou/gym-leader`, `gen1ou/heuristic`. The middle three follow the
baselines of Metamon (`MaxBasePower`, `Gen1BossAI`, `GymLeader`), the last is our own in the spirit of poke-env's
`SimpleHeuristicsPlayer`.
"""

from __future__ import annotations

import numpy as np

from workbench.envs.players import RandomPlayer, ScriptedPlayer, register_scripted
from workbench.envs.pokemon import dex
from workbench.envs.pokemon.observation import FOE_ACTIVE, OWN_ACTIVE
from workbench.envs.pokemon.sight import (
    EXPLODING,
    HEAL,
    PARALYSIS,
    SCREEN,
    SET_UP,
    SLEEP,
    STATUS,
    Sight,
)
from workbench.envs.pokemon.view import MOVES_EACH

_NEVER = -1e9
_BENCH = np.arange(1, 6)
_GROUND, _ELECTRIC = dex.TYPE_TOKEN["ground"], dex.TYPE_TOKEN["electric"]


class Gen1Player(ScriptedPlayer):
    """A player that gives every action a score and takes the best; subclasses write `scores`.

    Ties are broken at random, with a little noise far below any difference of scores that matters.
    """

    def scores(self, sight: Sight, generator: np.random.Generator) -> np.ndarray:
        """Float `[N, 9]`; scores of actions that are not legal are not read."""
        raise NotImplementedError

    def choose(self, observation, legal, state, generator) -> np.ndarray:
        sight = Sight(observation, legal[0])
        scores = self.scores(sight, generator) + 1e-6 * generator.random(legal[0].shape)
        return np.where(legal[0], scores, _NEVER).argmax(axis=1)[:, None]


class MaxPower(Gen1Player):
    """The move of the highest power, whatever it meets; replaces a fainted Pokémon at random."""

    def scores(self, sight: Sight, generator: np.random.Generator) -> np.ndarray:
        scores = np.zeros(sight.legal.shape)
        scores[:, :MOVES_EACH] = 1.0 + dex.MOVE_POWER[sight.moves[:, OWN_ACTIVE]]
        return scores


class Boss(Gen1Player):
    """Move choice of the games' own trainers: start every move at 10, adjust, draw among the lowest.

    +5 for a status move on a target that has a status; -1 for set-up, healing and screens on the first turn;
    -1 for an attack of at least neutral type, +1 for a resisted one. It never switches unless it must, then to the
    first. Source: the games' trainer AI as in Metamon's `Gen1BossAI`.
    """

    def scores(self, sight: Sight, generator: np.random.Generator) -> np.ndarray:
        move = sight.moves[:, OWN_ACTIVE]
        price = np.full(move.shape, 10.0)
        price += np.where(STATUS[move] & (sight.status[:, FOE_ACTIVE, None] != 0), 5.0, 0.0)
        price -= np.where((SET_UP | HEAL | SCREEN)[move] & sight.just_came_in[:, None], 1.0, 0.0)
        attack = dex.MOVE_POWER[move] > 0
        factor = sight.multiplier(OWN_ACTIVE, FOE_ACTIVE)
        price += np.where(attack, np.where(factor >= 1, -1.0, 1.0), 0.0)
        scores = np.zeros(sight.legal.shape)
        scores[:, :MOVES_EACH] = 100.0 - price
        scores[:, MOVES_EACH:] = -_BENCH
        return scores


class GymLeader(Gen1Player):
    """Takes a knock-out, sets up when fresh, heals when low, else hits hardest; switches when it cannot hurt.

    A switch goes to who outspeeds and knocks out, else to who has the better types, then the faster.
    Source: Metamon's `GymLeader`.
    """

    set_up_rate, heal_rate = 0.5, 0.75

    def scores(self, sight: Sight, generator: np.random.Generator) -> np.ndarray:
        rows = len(sight.legal)
        move, usable = sight.moves[:, OWN_ACTIVE], sight.usable
        damage = sight.damage(OWN_ACTIVE, FOE_ACTIVE)
        scores = np.zeros(sight.legal.shape)
        scores[:, :MOVES_EACH] = damage + np.where(damage >= sight.hp[:, FOE_ACTIVE, None], 10.0, 0.0)
        hp = sight.hp[:, OWN_ACTIVE]
        fresh = sight.just_came_in & (hp > 0.9) & (generator.random(rows) < self.set_up_rate)
        scores[:, :MOVES_EACH] += np.where(SET_UP[move] & fresh[:, None], 5.0, 0.0)
        low = (hp < 0.33) & (generator.random(rows) < self.heal_rate)
        scores[:, :MOVES_EACH] += np.where(HEAL[move] & low[:, None], 5.0, 0.0)

        bench = _bench_scores(sight)
        weak = ~(usable & (damage > 0) & (sight.multiplier(OWN_ACTIVE, FOE_ACTIVE) >= 1)).any(axis=1)
        useful = (sight.multiplier(_BENCH, FOE_ACTIVE) >= 1) & (dex.MOVE_POWER[sight.moves[:, _BENCH]] > 0)
        leave = weak & sight.plain_menu & (sight.switches & useful.any(axis=2)).any(axis=1)
        leave |= ~sight.legal[:, :MOVES_EACH].any(axis=1)
        scores[:, MOVES_EACH:] = np.where(leave[:, None], 100.0 + bench, -100.0 + bench)
        return scores


class Heuristic(Gen1Player):
    """Weighs damage against sleep, paralysis, healing, set-up and switching, in shares of a Pokémon's full HP."""

    def scores(self, sight: Sight, generator: np.random.Generator) -> np.ndarray:
        scores = np.zeros(sight.legal.shape)
        moves = self.move_values(sight)
        scores[:, :MOVES_EACH] = moves
        bench = _bench_scores(sight)
        staying = np.where(sight.usable, moves, _NEVER).max(axis=1)
        threat = _threat(sight, np.array([OWN_ACTIVE]))[:, 0]
        helpless = np.isin(sight.status[:, OWN_ACTIVE], (dex.STATUS_TOKEN["slp"], dex.STATUS_TOKEN["frz"]))
        cornered = sight.plain_menu & (staying < 0.12)
        burdened = (sight.boost("own", "atk") < 0.6) | (sight.boost("own", "spa") < 0.6)
        best = np.where(sight.switches, bench, _NEVER).max(axis=1)
        leave = (cornered | (burdened & (staying < 0.3)) | (helpless & (threat > 0.45))) & (best > 0.5)
        leave |= ~sight.legal[:, :MOVES_EACH].any(axis=1)
        scores[:, MOVES_EACH:] = np.where(leave[:, None], 100.0 + bench, -100.0 + bench)
        return scores

    def move_values(self, sight: Sight) -> np.ndarray:
        """What each of the active Pokémon's moves is worth, `[N, 4]`."""
        move = sight.moves[:, OWN_ACTIVE]
        hp, foe_hp = sight.hp[:, OWN_ACTIVE, None], sight.hp[:, FOE_ACTIVE, None]
        damage = sight.damage(OWN_ACTIVE, FOE_ACTIVE)
        own_speed, foe_speed = sight.speed()
        faster = (own_speed > foe_speed)[:, None]
        substitute = sight.number("foe substitute")[:, None] > 0
        knock_out = (damage >= foe_hp) & ~substitute
        value = np.minimum(damage, foe_hp) + np.where(knock_out, np.where(faster, 0.5, 0.3), 0.0)
        # Hyper Beam needs no rest after a knock-out in generation 1
        beam = move == dex.MOVE_TOKEN["hyperbeam"]
        value = np.where(beam & (2 * damage >= foe_hp) & ~substitute, foe_hp + 0.45, value)
        value = np.where(EXPLODING[move], value - 0.7 * hp, value)

        accuracy = np.where(dex.MOVE_ACCURACY[move] > 0, dex.MOVE_ACCURACY[move] / 100, 1.0)
        open_target = (sight.status[:, FOE_ACTIVE] == 0)[:, None] & ~substitute
        asleep = (sight.status[:, FOE_ACTIVE:] == dex.STATUS_TOKEN["slp"]).any(axis=1)[:, None]
        value = np.where(SLEEP[move] & open_target & ~asleep, 0.75 * accuracy, value)
        grounded = (sight.types[:, FOE_ACTIVE] == _GROUND).any(axis=1)[:, None] & (dex.MOVE_TYPE[move] == _ELECTRIC)
        value = np.where(PARALYSIS[move] & open_target & ~grounded, np.where(faster, 0.3, 0.45) * accuracy, value)

        threat = _threat(sight, np.array([OWN_ACTIVE]))
        heals = HEAL[move] & (move != dex.MOVE_TOKEN["rest"])
        value = np.where(heals & (hp < 0.6), np.where(threat < 0.5, 0.6, 0.3), value)
        value = np.where((move == dex.MOVE_TOKEN["rest"]) & (hp < 0.4), np.where(threat < 0.3, 0.5, 0.1), value)
        calm = (hp > 0.7) & (threat < 0.4)
        strong = (sight.boost("own", "atk") > 1.4) | (sight.boost("own", "spa") > 1.4)
        sharpen = (move == dex.MOVE_TOKEN["swordsdance"]) | (move == dex.MOVE_TOKEN["amnesia"])
        value = np.where(sharpen & calm & ~strong[:, None], 0.6, value)
        behind = (move == dex.MOVE_TOKEN["reflect"]) & (sight.number("own reflect")[:, None] == 0)
        return np.where(behind & calm, 0.3, value)


def _bench_scores(sight: Sight) -> np.ndarray:
    """How good it would be to have each of Pokémon 1-5 in, `[N, 5]`, about [-2, 4]."""
    damage = np.stack([sight.damage(int(at), FOE_ACTIVE).max(axis=1) for at in _BENCH], axis=1)
    knock_out = damage >= sight.hp[:, FOE_ACTIVE, None]
    _, foe_speed = sight.speed()
    speed = sight.stats[:, _BENCH, 4]
    faster = speed > foe_speed[:, None]
    helpless = np.isin(sight.status[:, _BENCH], (dex.STATUS_TOKEN["slp"], dex.STATUS_TOKEN["frz"]))
    score = 2.0 * (knock_out & faster) + 2.0 * np.minimum(damage, 1.0) - _threat(sight, _BENCH) + 0.001 * speed
    return score + 0.3 * sight.hp[:, _BENCH] - 2.0 * helpless


def _threat(sight: Sight, targets: np.ndarray) -> np.ndarray:
    """Share of full HP the foe's active Pokémon may take from each of `targets` in a turn, `[N, k]`.

    Counts moves it has shown, and a same-type move of power 80 for each of its types, which it most likely has.
    """
    foe_types = sight.types[:, FOE_ACTIVE]
    stats = sight.stats[:, FOE_ACTIVE]
    level = sight.level[:, FOE_ACTIVE, None, None]
    target = sight.types[:, targets]
    worst = np.zeros((len(foe_types), len(targets)))
    own = sight.stats[:, targets]
    for column in range(2):
        kind = foe_types[:, column]
        physical = _PHYSICAL[kind][:, None]
        attack = np.where(physical, stats[:, None, 1], stats[:, None, 3])
        defence = np.where(physical, own[:, :, 2], own[:, :, 3])
        factor = dex.effectiveness(kind[:, None], target)
        amount = ((2 * level[:, 0] / 5 + 2) * 80 * attack / np.maximum(defence, 1) / 50 + 2) * 1.5 * factor
        worst = np.maximum(worst, np.where(kind[:, None] > 0, amount / np.maximum(own[:, :, 0], 1), 0.0))
    shown = np.stack([sight.damage(FOE_ACTIVE, int(at)).max(axis=1) for at in targets], axis=1)
    return np.maximum(worst, shown)


# Generation 1 decides by type whether a move is physical.
_PHYSICAL = np.isin(dex.TYPES, ("normal", "fighting", "flying", "poison", "ground", "rock", "bug", "ghost"))

register_scripted("gen1ou/random", RandomPlayer)
register_scripted("gen1ou/boss", Boss)
register_scripted("gen1ou/max-power", MaxPower)
register_scripted("gen1ou/gym-leader", GymLeader)
register_scripted("gen1ou/heuristic", Heuristic)
