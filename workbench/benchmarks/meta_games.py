"""Meta-games and damping where the answer is known: double oracle, sampled payoffs, mirror descent, damped PPO."""

from __future__ import annotations

import itertools
import tempfile
import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from workbench.envs import make
from workbench.learning import PPO, Damping, PPOSettings
from workbench.learning.damping import PRESETS, DampingSettings
from workbench.learning.trial import run_trial
from workbench.metagame.analysis import equilibrium, mean_profile
from workbench.metagame.double_oracle import double_oracle
from workbench.metagame.exploitability import GameTree, measured, nash_conv
from workbench.metagame.mirror_descent import Descent, mirror_descent
from workbench.metagame.payoffs import EmpiricalGame
from workbench.metagame.sequences import SequenceForm
from workbench.metagame.solvers import Profile, solve
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


@dataclass(frozen=True, kw_only=True)
class SelfPlay:
    """Settings of PPO against itself on a small game; both arms share all but the damping."""

    games: int
    hidden: tuple[int, ...]
    ppo: PPOSettings
    damping: DampingSettings


_CHIPS = {  # stakes are small and games short: returns are the outcome, and advantages keep their size in chips
    "steps": 16, "epochs": 8, "minibatches": 1, "clip": 0.1, "discount": 1.0, "trace": 1.0, "normalise": "none",
    "entropy_weight": 0.0, "value_clip": None, "learning_rate": 3e-3,
}  # fmt: skip
SELF_PLAY = {
    "kuhn": SelfPlay(games=512, hidden=(64, 64), ppo=PPOSettings(**_CHIPS), damping=PRESETS["magnet"]),
    "leduc": SelfPlay(
        games=1024, hidden=(128, 128), ppo=PPOSettings(**_CHIPS | {"trace": 0.9}, learning_rate_schedule="linear"),
        damping=replace(
            PRESETS["magnet"], kl=1.0, kl_max=1.0, reference_step=0.02, entropy=0.1, entropy_power=0.0,
        ),
    ),
}  # fmt: skip
"""The magnet follows the policy, slowly; Leduc's larger pots pull harder, and its many infostates need exploration."""


def oracle_curve(name: str, iterations: int) -> pd.Series:
    """Exact NashConv by iteration of exact double oracle, from 0."""
    steps = itertools.islice(double_oracle(SequenceForm.of(name)), iterations + 1)
    return pd.Series([step.nash_conv for step in steps], name=name).rename_axis("iteration")


class Sampled:
    """Payoffs that are means of games played, `games` each time two plans meet; see `double_oracle.Payoffs`.

    Args:
        resampled: over how many games as they may as well have been the equilibria are averaged, which hedges against
            what the sample says by chance; 0 solves the means.
    """

    def __init__(self, game: SequenceForm, games: int, seed: int, resampled: int):
        self.game, self.games, self.resampled = game, games, resampled
        self.generator = np.random.default_rng(seed)
        self.values = np.unique(np.concatenate([game.endings.gain, -game.endings.gain, (0.0,)]))
        self.counts = np.zeros((0, 0, len(self.values)), np.int64)
        self.matrix = self.exact = np.zeros((0, 0))

    def play(self, rows: np.ndarray, columns: np.ndarray, row: int, column: int) -> None:
        more = [(0, new - old) for new, old in zip((len(rows), len(columns)), self.counts.shape[:2], strict=True)]
        self.counts = np.pad(self.counts, [*more, (0, 0)])
        for i, j in dict.fromkeys([(row, j) for j in range(len(columns))] + [(i, column) for i in range(len(rows))]):
            values, counted = self.game.sampled(rows[i], columns[j], self.games, self.generator)
            self.counts[i, j, np.searchsorted(self.values, values)] += counted
        self.matrix, self.exact = self.empirical.payoffs(), self.game.payoffs(rows, columns)

    @property
    def empirical(self) -> EmpiricalGame:
        rows, columns = self.counts.shape[:2]
        names = tuple(f"row {number}" for number in range(rows)), tuple(f"column {number}" for number in range(columns))
        return EmpiricalGame(*names, self.values, self.counts, symmetric=False)

    def solve(self) -> Profile:
        drawn = self.empirical.resampled(self.resampled, self.generator) if self.resampled else self.matrix[None]
        return mean_profile([solve(one) for one in drawn])

    @property
    def covered(self) -> float:
        """The share of pairs whose 95% interval holds the exact payoff."""
        low, high = self.empirical.intervals()
        return float(((low <= self.exact) & (self.exact <= high)).mean())


def sampled_oracle(name: str, iterations: int, games: int, resampled: int, seed: int) -> pd.DataFrame:
    """Double oracle whose payoffs are means of games.

    Args:
        games, resampled: as `Sampled`.

    Returns:
        One row: `nash_conv` after the last iteration, exact; `covered`, the share of entries whose 95% interval holds
        the exact payoff; `games` in all.
    """
    game = SequenceForm.of(name)
    payoffs = Sampled(game, games, seed, resampled)
    last = next(itertools.islice(double_oracle(game, payoffs), iterations, None))
    return pd.DataFrame(
        {"nash_conv": [last.nash_conv], "covered": [payoffs.covered], "games": [int(payoffs.counts.sum())]}
    )


def descent_curves(name: str, iterations: int, points: int = 60) -> pd.DataFrame:
    """Last-iterate NashConv of tabular mirror descent: a row a measured iteration, a column for each of `DESCENTS[name]`."""
    tree = GameTree.of(name)
    at = {*np.geomspace(1, iterations, points).astype(int).tolist(), *(100, 1000, 3000, iterations)}
    curves = {
        label: {number: nash_conv(tree, table) for number, table in enumerate(itertools.islice(mirror_descent(tree, how), iterations), 1) if number in at}
        for label, how in DESCENTS[name].items()
    }  # fmt: skip
    return pd.DataFrame(curves).rename_axis("iteration")


def self_play_curve(name: str, arm: str, frames: int, seed: int) -> pd.DataFrame:
    """PPO against itself, `"damped"` or `"undamped"`: exploitability of the last iterate as it learns.

    Args:
        name: a key of `SELF_PLAY`.

    Returns:
        arm, step (frames), exploitability (NashConv / 2): some twenty rows.
    """
    recipe = SELF_PLAY[name]
    with make(name, recipe.games) as env, tempfile.TemporaryDirectory() as folder:
        policy = Policy.create(env.spec, PolicySettings(hidden=recipe.hidden), seed, device="cpu")
        settings = replace(recipe.ppo, total_frames=frames)
        damping = Damping(policy, recipe.damping) if arm == "damped" else None
        ppo = PPO(env, policy, settings, seed=seed, damping=damping)
        history = run_trial(ppo, frames, folder, measure=measured(name), save_every=10**9)
    rows = [(arm, row["step"], row["exploitability"]) for row in history if "exploitability" in row]
    return pd.DataFrame(rows, columns=["arm", "step", "exploitability"])


def solver_time(policies: int, resampled: int, seed: int = 0) -> tuple[float, float]:
    """How long the equilibrium of a population takes, in milliseconds, and of its game resampled so often, in seconds.

    The population is made up: policies of two skills each, of which one ranks them and the other lets them go in circles;
    200 games a pair.
    """
    generator = np.random.default_rng(seed)
    skill, (across, along) = generator.normal(size=policies), generator.normal(size=(2, policies))
    edge = skill[:, None] - skill + np.outer(across, along) - np.outer(along, across)
    wins = np.triu(generator.binomial(200, 1 / (1 + np.exp(-edge))), 1)
    losses = np.triu(200 - wins, 1)
    counts = np.stack([losses + wins.T, np.zeros_like(wins), wins + losses.T], axis=-1)
    names = tuple(f"policy {number}" for number in range(policies))
    game = EmpiricalGame(names, names, np.array([-1.0, 0.0, 1.0]), counts, symmetric=True)
    equilibrium(game, bootstraps=1)
    began = time.perf_counter()
    equilibrium(game, bootstraps=0)
    solved = time.perf_counter()
    equilibrium(game, bootstraps=resampled)
    return 1000 * (solved - began), time.perf_counter() - solved
