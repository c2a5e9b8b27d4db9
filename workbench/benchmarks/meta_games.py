"""Meta-games and damping where the answer is known: double oracle, sampled payoffs, mirror descent, damped PPO."""

from __future__ import annotations

import itertools
import tempfile

import numpy as np
import pandas as pd

from workbench.envs import make
from workbench.learning import PPO, Damping, PPOSettings
from workbench.learning.damping import PRESETS
from workbench.learning.trial import run_trial
from workbench.metagame.double_oracle import double_oracle
from workbench.metagame.exploitability import GameTree, measured, nash_conv
from workbench.metagame.mirror_descent import Descent, mirror_descent
from workbench.metagame.payoffs import EmpiricalGame
from workbench.metagame.sequences import SequenceForm
from workbench.policies import Policy, PolicySettings

DESCENTS = {
    "kuhn": {
        "damped": Descent(step=1, damping=1),
        "moving magnet": Descent(step=0.2, damping=0.5, decay=0, magnet_step=0.05),
        "undamped": Descent(step=1, damping=0, decay=0),
    },
    "leduc": {
        "damped": Descent(step=1, damping=5),
        "moving magnet": Descent(step=0.05, damping=1, decay=0, magnet_step=0.01),
        "undamped": Descent(step=1, damping=0, decay=0),
    },
}
"""Of arXiv 2206.05825's schedules, and the control without a magnet."""


def oracle_curve(name: str, iterations: int) -> pd.Series:
    """Exact NashConv by iteration of exact double oracle, from 0."""
    steps = itertools.islice(double_oracle(SequenceForm.of(name)), iterations + 1)
    return pd.Series([step.nash_conv for step in steps], name=name).rename_axis("iteration")


def sampled_oracle(name: str, iterations: int, games: int, seed: int) -> dict[str, float]:
    """Double oracle whose payoffs are means of so many games an entry.

    Returns:
        `nash_conv` after the last iteration, exact; `covered`, the share of entries whose 95% interval holds the exact
        payoff; `entries`.
    """
    game, generator = SequenceForm.of(name), np.random.default_rng(seed)
    inside, entries = 0, 0

    def play(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        nonlocal inside, entries
        found = [[game.sampled(row, column, games, generator) for column in columns] for row in rows]
        values = np.unique(np.concatenate([game.endings.gain, -game.endings.gain, (0.0,)]))
        counts = np.zeros((len(rows), len(columns), len(values)), np.int64)
        for i, j in np.ndindex(counts.shape[:2]):
            known, counted = found[i][j]
            counts[i, j, np.searchsorted(values, known)] = counted
        names = [
            tuple(f"{side}{number}" for number in range(len(plans))) for side, plans in (("r", rows), ("c", columns))
        ]
        empirical = EmpiricalGame(*names, values, counts, symmetric=False)
        low, high = empirical.intervals()
        exact = game.payoffs(rows, columns)
        inside += int(((low <= exact) & (exact <= high)).sum())
        entries += exact.size
        return empirical.payoffs()

    last = next(itertools.islice(double_oracle(game, payoffs=play), iterations, None))
    return {"nash_conv": last.nash_conv, "covered": inside / entries, "entries": entries}


def descent_curves(name: str, iterations: int, points: int = 60) -> pd.DataFrame:
    """Last-iterate NashConv of tabular mirror descent: a row a measured iteration, a column for each of `DESCENTS[name]`."""
    tree = GameTree.of(name)
    at = np.unique(np.geomspace(1, iterations, points).astype(int))
    curves = {
        label: {number: nash_conv(tree, table) for number, table in enumerate(itertools.islice(mirror_descent(tree, how), iterations), 1) if number in at}
        for label, how in DESCENTS[name].items()
    }  # fmt: skip
    return pd.DataFrame(curves).rename_axis("iteration")


def damped_self_play(name: str, damped: bool, frames: int, seed: int, games: int = 512) -> pd.DataFrame:
    """PPO against itself, with the preset `magnet` or without: exploitability of the last iterate as it learns.

    Returns:
        frames and exploitability (NashConv / 2), some twenty rows.
    """
    with make(name, games) as env, tempfile.TemporaryDirectory() as folder:
        policy = Policy.create(env.spec, PolicySettings(hidden=(64, 64)), seed, device="cpu")
        settings = PPOSettings(
            steps=16, epochs=8, minibatches=1, learning_rate=3e-3, total_frames=frames, clip=0.1, discount=1.0, trace=1.0,
            normalise="none", entropy_weight=0.0, value_clip=None,
        )  # fmt: skip
        damping = Damping(policy, PRESETS["magnet"]) if damped else None
        history = run_trial(
            PPO(env, policy, settings, seed=seed, damping=damping),
            frames,
            folder,
            measure=measured(name),
            save_every=10**9,
        )
    rows = [(row["step"], row["exploitability"]) for row in history if "exploitability" in row]
    return pd.DataFrame(rows, columns=["frames", "exploitability"])
