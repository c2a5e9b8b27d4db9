"""An observation read back into the words of the game, for players that reason instead of learn.

All of it comes from what the seat may see. Stats that are not shown are taken as those of a Pokémon with perfect
training, which in generation 1 nearly every competitive Pokémon has.
"""

from __future__ import annotations

import numpy as np

from workbench.envs.pokemon import dex
from workbench.envs.pokemon import observation as seen
from workbench.envs.pokemon.view import BOOSTS, MOVES_EACH, TEAM

# Factor of a stat at boosts -6..6. Source: Showdown's gen 1 `boostBy`.
_BOOST = np.array([25, 28, 33, 40, 50, 66, 100, 150, 200, 250, 300, 350, 400], np.float32) / 100
_MEAN_ROLL = 236.5 / 255  # damage rolls are uniform on 217..255 of 255
_NUMBER = {name: index for index, name in enumerate(seen.BATTLE_NUMBERS)}


def move_set(*names: str) -> np.ndarray:
    """Bool `[166]`: the move of that token is one of `names`; raises KeyError for a name that is no move."""
    member = np.zeros(len(dex.MOVES), bool)
    for name in names:
        member[dex.MOVE_TOKEN[name]] = True
    return member


SLEEP = move_set("hypnosis", "lovelykiss", "sing", "sleeppowder", "spore")
PARALYSIS = move_set("glare", "stunspore", "thunderwave")
POISON = move_set("poisongas", "poisonpowder", "toxic")
STATUS = SLEEP | PARALYSIS | POISON
HEAL = move_set("recover", "rest", "softboiled")
SET_UP = move_set(
    "acidarmor", "agility", "amnesia", "barrier", "defensecurl", "doubleteam", "growth", "harden", "meditate",
    "minimize", "sharpen", "swordsdance", "withdraw",
)  # fmt: skip
SCREEN = move_set("lightscreen", "reflect")
EXPLODING = move_set("explosion", "selfdestruct")

# Hits of a move, on average.
_HITS = np.ones(len(dex.MOVES), np.float32)
_HITS[move_set("doublekick", "twineedle", "bonemerang")] = 2
_HITS[move_set("doubleslap", "cometpunch", "furyattack", "pinmissile", "spikecannon", "barrage", "furyswipes")] = (
    3  # 2, 2, 2, 3, 3, 3, 4 or 5
)
# Turns that one use takes.
_TURNS = np.ones(len(dex.MOVES), np.float32)
_TURNS[move_set("solarbeam", "razorwind", "skullbash", "skyattack", "dig", "fly", "hyperbeam")] = 2
# Damage that depends on nothing but the level (as a factor of it) or on nothing at all.
_BY_LEVEL = np.zeros(len(dex.MOVES), np.float32)
_BY_LEVEL[move_set("seismictoss", "nightshade")] = 1.0
_BY_LEVEL[dex.MOVE_TOKEN["psywave"]] = 0.75
_FIXED = np.zeros(len(dex.MOVES), np.float32)
_FIXED[dex.MOVE_TOKEN["sonicboom"]], _FIXED[dex.MOVE_TOKEN["dragonrage"]] = 20, 40
_NO_POWER = move_set("counter", "bide") | (_BY_LEVEL > 0) | (_FIXED > 0)
_SUPER_FANG, _DREAM_EATER = dex.MOVE_TOKEN["superfang"], dex.MOVE_TOKEN["dreameater"]
_GHOST, _SLEEPING = dex.TYPE_TOKEN["ghost"], dex.STATUS_TOKEN["slp"]


class Sight:
    """N observations as arrays with names; row i of each is what seat i sees.

    Attributes:
        legal: bool `[N, 9]`.
        species, status: tokens `[N, 12]` in the observation's order (0 own active, 6 the foe's).
        types: tokens `[N, 12, 2]`.
        moves: tokens `[N, 12, 4]`.
        hp: `[N, 12]` in [0, 1].
        level: `[N, 12]`.
        stats: `[N, 12, 5]` of hp, attack, defence, special, speed at that level, without boosts and status.
    """

    def __init__(self, observation: dict[str, np.ndarray], legal: np.ndarray):
        tokens, numbers = observation["pokemon"], observation["pokemon_numbers"]
        self.legal = legal
        self.species = tokens[:, :, 0]
        self.status = _back(tokens[:, :, 1], seen.STATUS_OFFSET)
        self.types = _back(tokens[:, :, 2:4], seen.TYPE_OFFSET)
        self.moves = _back(tokens[:, :, 4:8], seen.MOVE_OFFSET)
        self.hp = numbers[:, :, 0]
        self.level = np.rint(numbers[:, :, 1] * 100)
        self.stats = full_stats(self.species, self.level)
        self._battle, self._numbers = observation["battle"], observation["battle_numbers"]

    def number(self, name: str) -> np.ndarray:
        """A column of "battle_numbers" by name, `[N]`."""
        return self._numbers[:, _NUMBER[name]]

    @property
    def just_came_in(self) -> np.ndarray:
        """Bool `[N]`: the own active Pokémon has not used a move since it came in."""
        return self._battle[:, seen.BATTLE_TOKENS.index("own last move")] == 0

    @property
    def plain_menu(self) -> np.ndarray:
        """Bool `[N]`: actions 0-3 are the active Pokémon's moves (not Fight, Recharge, Struggle, a forced switch)."""
        return self._battle[:, 0] == seen.MENU_OFFSET + 1

    @property
    def usable(self) -> np.ndarray:
        """Bool `[N, 4]`: actions 0-3 that are moves of the list and legal."""
        return self.legal[:, :MOVES_EACH] & self.plain_menu[:, None]

    @property
    def switches(self) -> np.ndarray:
        """Bool `[N, 5]`: legal switches, in the order of Pokémon 1-5."""
        return self.legal[:, MOVES_EACH:]

    def boost(self, side: str, stat: str) -> np.ndarray:
        """Factor `[N]` on a stat ("atk", "def", "spa", "spe") of "own" or "foe" active."""
        steps = np.rint(self.number(f"{side} {BOOSTS[BOOSTS.index(stat)]} boost") * 6).astype(int)
        return _BOOST[steps + 6]

    def speed(self) -> tuple[np.ndarray, np.ndarray]:
        """Speeds `[N]` of both active Pokémon, boosts and paralysis included."""
        paralysed = self.status == dex.STATUS_TOKEN["par"]
        return tuple(
            self.stats[:, at, 4] * self.boost(side, "spe") * np.where(paralysed[:, at], 0.25, 1.0)
            for side, at in (("own", seen.OWN_ACTIVE), ("foe", seen.FOE_ACTIVE))
        )

    def multiplier(self, attacker: np.ndarray | int, defender: int) -> np.ndarray:
        """Type factor `[N, 4]` (or `[N, k, 4]` for several attackers) of the attacker's moves on Pokémon `defender`."""
        moves = self.moves[:, attacker]
        target = self.types[:, defender].reshape(len(moves), *[1] * (moves.ndim - 1), 2)
        return dex.effectiveness(dex.MOVE_TYPE[moves], target)

    def damage(self, attacker: int, defender: int, boosts: bool = True) -> np.ndarray:
        """Expected damage `[N, 4]` of the attacker's moves, as a share of the defender's full HP.

        Accuracy, same-type bonus, type factor, number of hits and lost turns are counted; critical hits are not.
        Source: Showdown's gen 1 `getDamage`.
        """
        move = self.moves[:, attacker]
        physical = dex.MOVE_CATEGORY[move] == dex.CATEGORIES.index("physical")
        mine, theirs = self.stats[:, attacker], self.stats[:, defender]
        attack = np.where(physical, mine[:, None, 1], mine[:, None, 3])
        defence = np.where(physical, theirs[:, None, 2], theirs[:, None, 3])
        if boosts:
            own, foe = ("own", "foe") if attacker < TEAM else ("foe", "own")
            burnt = np.where(self.status[:, attacker] == dex.STATUS_TOKEN["brn"], 0.5, 1.0)
            if attacker in (seen.OWN_ACTIVE, seen.FOE_ACTIVE):
                factor = np.where(physical, (self.boost(own, "atk") * burnt)[:, None], self.boost(own, "spa")[:, None])
                attack = attack * factor
            if defender in (seen.OWN_ACTIVE, seen.FOE_ACTIVE):
                defence = defence * np.where(physical, self.boost(foe, "def")[:, None], self.boost(foe, "spa")[:, None])
                walls = (self.number(f"{foe} reflect"), self.number(f"{foe} lightscreen"))
                defence = defence * np.where(physical, 1 + walls[0][:, None], 1 + walls[1][:, None])
        defence = np.where(EXPLODING[move], defence / 2, defence)
        power = np.where(_NO_POWER[move], 0, dex.MOVE_POWER[move])
        level = self.level[:, attacker, None]
        base = (2 * level / 5 + 2) * power * attack / np.maximum(defence, 1) / 50 + 2
        same = (dex.MOVE_TYPE[move][..., None] == self.types[:, attacker, None, :]).any(axis=-1)
        factor = self.multiplier(attacker, defender)
        amount = np.where(power > 0, base * np.where(same, 1.5, 1.0) * factor * _MEAN_ROLL * _HITS[move], 0.0)
        amount = amount + _BY_LEVEL[move] * level + _FIXED[move]
        full = np.maximum(theirs[:, None, 0], 1)
        amount = np.where(move == _SUPER_FANG, self.hp[:, defender, None] * full / 2, amount)
        amount = np.where((move == _DREAM_EATER) & (self.status[:, defender, None] != _SLEEPING), 0.0, amount)
        accuracy = np.where(dex.MOVE_ACCURACY[move] > 0, dex.MOVE_ACCURACY[move] / 100, 1.0)
        return np.where(move > 0, amount * accuracy / _TURNS[move] / full, 0.0)


def full_stats(species: np.ndarray, level: np.ndarray) -> np.ndarray:
    """`[..., 5]` stats of perfectly trained Pokémon: hp, attack, defence, special, speed.

    With all DVs 15 and all stat experience: floor((2 (base + 15) + 63) level / 100) + 5, for HP + 10 + level.
    """
    scaled = np.floor((2 * (dex.BASE_STATS[species] + 15) + 63) * level[..., None] / 100)
    extra = np.full((*level.shape, 5), 5.0)
    extra[..., 0] = 10 + level
    return np.where(species[..., None] > 0, scaled + extra, 0.0)


def _back(tokens: np.ndarray, offset: int) -> np.ndarray:
    return np.where(tokens > 0, tokens - offset, 0)
