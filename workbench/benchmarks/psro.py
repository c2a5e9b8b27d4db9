"""PSRO whose best responses are learned by PPO, where exploitability is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.envs import make, scripted_player
from workbench.learning import PPO, PPOSettings
from workbench.learning.exploration import towards_uniform
from workbench.metagame.exploitability import measured, policy_table
from workbench.metagame.iteration import opponents
from workbench.metagame.sequences import SequenceForm
from workbench.metagame.solvers import solve
from workbench.policies import Policy, PolicySettings
from workbench.policies.mixture import Mixture

ORACLE = PPOSettings(
    steps=16, epochs=4, minibatches=2, learning_rate=5e-3, learning_rate_schedule="linear", discount=1.0, trace=1.0,
    value_clip=None, entropy_weight=0.0,
)  # fmt: skip
EXPLORATION = 0.005  # near an equilibrium all options are nearly alike, and noise alone would give some up for good


def ppo_oracles(
    name: str, iterations: int, frames: int, seed: int, *, games_per_pair: int = 20_000, batch: int = 256
) -> pd.DataFrame:
    """PSRO from uniform play: each iteration trains a fresh policy by PPO against the Nash mixture of all before it.

    The game is played as a symmetric one: a response learns from both seats, a mixture's member plays either. Payoffs are
    means of games drawn from the exact distribution of each pair's results, as playing them would give.

    Args:
        name: `"kuhn"` or `"leduc"`.
        iterations: responses trained.
        frames: env steps of each response's training, summed over games.
        seed: of weights, games and draws.
        games_per_pair: half of them in either seat.
        batch: games at once in training.

    Returns:
        A row an iteration from 0 (uniform play alone): iteration, exploitability (NashConv / 2, exact) of the mixture,
        a member being drawn once a game by each player for himself, support (its members above 1%), and gain, what the
        response earns a game against the mixture, exactly.
    """
    game, exact, generator = SequenceForm.of(name), measured(name), np.random.default_rng(seed)
    members = [scripted_player("random")]
    plans = [game.plan(policy_table(members[0], game.tree))]
    payoffs, rows = np.zeros((1, 1)), []
    for iteration in range(iterations + 1):
        sigma = solve(payoffs).row
        chosen = np.flatnonzero(sigma > 1e-9)
        weights = sigma[chosen] / sigma[chosen].sum()
        mixture = Mixture(f"mixture-{iteration}", [members[index] for index in chosen], weights)
        row = {"iteration": iteration, **exact(mixture), "support": int((sigma > 0.01).sum()), "gain": np.nan}
        rows.append(row)
        if iteration == iterations:
            break
        response = _respond(name, mixture, frames, 1000 * seed + iteration, batch)
        plan = game.plan(policy_table(response, game.tree))
        row["gain"] = _edge(game, plan, weights @ np.stack(plans)[chosen])
        earned = np.array([[_sampled(game, plan, other, games_per_pair, generator) for other in plans]])
        payoffs = np.block([[payoffs, -earned.T], [earned, np.zeros((1, 1))]])
        members.append(response)
        plans.append(plan)
    return pd.DataFrame(rows)


def _respond(name: str, mixture: Mixture, frames: int, seed: int, batch: int) -> Policy:
    """A fresh policy that has learned against a mixture, frozen."""
    with make(name, batch) as env:
        policy = Policy.create(env.spec, PolicySettings(hidden=(64, 64)), seed, device="cpu")
        settings = replace(ORACLE, total_frames=frames)
        exploration = towards_uniform(policy.layout.starts, EXPLORATION)
        ppo = PPO(env, policy, settings, opponents(mixture), seed, exploration)
        while ppo.frames < frames:
            ppo.update()
        return policy.frozen_copy(f"response-{seed}")


def _edge(game: SequenceForm, plan: np.ndarray, other: np.ndarray) -> float:
    """What one plan earns a game against another, half of the games in either seat, exactly."""
    first, second = game.payoffs(plan[None], other[None]), game.payoffs(other[None], plan[None])
    return float(first[0, 0] - second[0, 0]) / 2


def _sampled(game: SequenceForm, plan: np.ndarray, other: np.ndarray, games: int, generator) -> float:
    """The mean of so many games drawn, half in either seat."""
    total = 0.0
    for sign, row, column in ((1, plan, other), (-1, other, plan)):
        values, counts = game.sampled(row, column, games // 2, generator)
        total += sign * float(values @ counts)
    return total / (2 * (games // 2))
