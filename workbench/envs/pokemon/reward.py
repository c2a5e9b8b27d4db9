"""Rewards for gen1ou, from two of a seat's own views.

A reward pays for what changed between the view a seat last decided on and the one it decides on now, or the last of
the game. The presets are those of Metamon: `DefaultShapedReward`, `AggresiveShapedReward`, `BinaryReward`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workbench.envs.pokemon import dex
from workbench.envs.pokemon.view import LOST, VIEW_SIZE, WON, named


@dataclass(frozen=True)
class Reward:
    """Weights of what a seat is paid for.

    Args:
        damage: per full HP bar the other side's active Pokémon lost (less what it gained), while it is the same one.
        health: per full HP bar the own active Pokémon gained (less what it lost) since then, active or not.
        status: per status the other side's active Pokémon caught, minus the one the own active Pokémon caught.
        fainted: per Pokémon the other side lost, minus per own one lost.
        victory, defeat: at the end; a tie pays neither.
        scale: multiplies everything.
    """

    damage: float = 1.0
    health: float = 1.0
    status: float = 0.5
    fainted: float = 1.0
    victory: float = 100.0
    defeat: float = -100.0
    scale: float = 1.0


PRESETS: dict[str, Reward] = {
    "shaped": Reward(),
    "aggressive": Reward(status=0.0, fainted=2.0, victory=200.0, defeat=0.0),
    "binary": Reward(damage=0.0, health=0.0, status=0.0, fainted=0.0),
}


# Metamon pays 100 for a victory. A network's value head that shares its trunk with the policy saturates on such
# returns and takes the policy with it, so that presets chosen by name pay 1.
SCALE = 0.01


def preset(reward: str | Reward, scale: float | None = None) -> Reward:
    """A preset by name, scaled by `SCALE`, or the given weights; `scale` replaces either scale.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if isinstance(reward, str):
        if reward not in PRESETS:
            raise ValueError(f"no reward named {reward!r}; known are {', '.join(PRESETS)}, or give Reward(...)")
        reward = replace(PRESETS[reward], scale=SCALE)
    return reward if scale is None else replace(reward, scale=scale)


_FAINTED = dex.STATUS_TOKEN["fnt"]


def evaluate(weights: Reward, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Float32 `[...]` of int16 views `[..., V]` before and after."""
    shape = before.shape[:-1]
    old = named(np.ascontiguousarray(before).reshape(-1, VIEW_SIZE))
    new = named(np.ascontiguousarray(after).reshape(-1, VIEW_SIZE))
    total = np.zeros(len(old))
    every = np.arange(len(old))
    if weights.health or weights.damage or weights.status:
        mine = new["own_active"]["slot"]
        was, now = old["own"][every, mine], new["own"][every, mine]
        gained = (now["hp"].astype(np.float64) - was["hp"]) / np.maximum(now["max_hp"], 1)
        taken = _caught(was["status"], now["status"])
        theirs = old["foe_active"]["slot"]
        same = (theirs >= 0) & (theirs == new["foe_active"]["slot"])
        was, now = old["foe"][every, theirs], new["foe"][every, theirs]
        lost = np.where(same, (was["hp"].astype(np.float64) - now["hp"]) / 100.0, 0.0)
        given = same & _caught(was["status"], now["status"])
        total += weights.health * gained + weights.damage * lost
        total += weights.status * (given.astype(np.float64) - taken)
    if weights.fainted:
        total += weights.fainted * (
            (old["foe_left"] - new["foe_left"]).astype(np.float64) - (old["own_left"] - new["own_left"])
        )
    total += weights.victory * (new["result"] == WON) + weights.defeat * (new["result"] == LOST)
    return (weights.scale * total).astype(np.float32).reshape(shape)


def _caught(was: np.ndarray, now: np.ndarray) -> np.ndarray:
    """A status where there was none; fainting is no status."""
    return (was == 0) & (now != 0) & (now != _FAINTED)
