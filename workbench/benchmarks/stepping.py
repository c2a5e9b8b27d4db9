"""How fast the envs play: random legal actions, drawn beforehand where drawing them would be what is measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.benchmarks.timing import rate
from workbench.envs import Env, RandomPlayer, make

_PREPARED = 64  # sets of random actions that are gone through again and again


def melee_stepping(batch_sizes: Sequence[int] = (1, 64, 256, 1024, 4096), seconds: float = 3.0) -> pd.DataFrame:
    """Env frames per second of `melee-mock` on one core, both seats pressing at random, one frame a decision.

    Returns:
        A row a batch size and whether observations of both seats were written: batch_size, observed, frames_per_second.
    """
    rows = []
    for observe in (False, True):
        for batch_size in batch_sizes:
            with make("melee-mock", batch_size=batch_size, observe=observe) as env:
                rows.append((batch_size, observe, rate(_stepper(env), seconds)))
    return pd.DataFrame(rows, columns=["batch_size", "observed", "frames_per_second"])


def _stepper(env: Env):
    """Steps an env by prepared random actions (nothing in it is ever illegal); returns the games stepped."""
    generator = np.random.default_rng(0)
    shape = (_PREPARED, env.batch_size, 2)
    actions = np.stack([generator.integers(size, size=shape) for size in env.spec.action.sizes], axis=-1)
    env.reset(seed=0)
    at = 0

    def step() -> int:
        nonlocal at
        at = (at + 1) % _PREPARED
        env.step(actions[at])
        return env.batch_size

    return step


def _random_stepper(env: Env, seed: int):
    """Steps an env by legal actions drawn as it goes; returns the games stepped."""
    player, generator = RandomPlayer("random"), np.random.default_rng(seed)
    now = env.reset(seed)

    def step() -> int:
        nonlocal now
        legal = tuple(allowed.reshape(2 * env.batch_size, -1) for allowed in now.legal)
        actions = player.choose(now.observation, legal, None, generator)
        now = env.step(actions.reshape(env.batch_size, 2, -1))
        return env.batch_size

    return step


def gen1ou_stepping(seconds: float = 10.0, battles: int = 64, rounds: int = 3) -> dict[str, float]:
    """Steps per second of `gen1ou` with one Node process, beside Showdown's plain `Battle` loop in one Node process.

    Both play random legal choices with the same teams, in turns, so that neighbours disturb both alike. The env's
    figure is the whole way: choices drawn in Python, sent, played, seen by both seats as observations.

    Returns:
        `ours`, `bare` (steps per second, medians over rounds) and `ratio` (median of the rounds' ratios).
    """
    from workbench.envs.pokemon import teams
    from workbench.envs.pokemon.reference import bare_loop

    packed = [team.packed for team in teams.load("competitive")]
    pairs = []
    for number in range(rounds):
        bare = bare_loop(packed, battles=battles, seconds=seconds / rounds, seed=number)
        with make("gen1ou", batch_size=battles, processes=1) as env:
            ours = rate(_random_stepper(env, number), seconds / rounds, warm_up=20, repeats=1)
            pairs.append((ours, bare["steps"] / bare["seconds"]))
    ours, bare = np.median(pairs, axis=0)
    return {"ours": float(ours), "bare": float(bare), "ratio": float(np.median([a / b for a, b in pairs]))}
