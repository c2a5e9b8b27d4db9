"""Games whose answer is known: what the trainers reach, beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.arena import play
from workbench.envs import make
from workbench.learning import PPO, PPOSettings
from workbench.metagame.exploitability import GameTree, exploitability, expected_value, policy_table
from workbench.policies import Policy, PolicySettings


def memory_task(backbone: str, frames: int, seed: int, delay: int = 16, games: int = 64) -> dict:
    """PPO on the memory task: a cue seen once, asked for `delay` steps later; a policy without memory can only guess.

    Returns:
        backbone, seed, and `recalled`, the share of 1000 answers that are right (0.5 is guessing).
    """
    env = make("memory", batch_size=games, delay=delay)
    policy = Policy.create(
        env.spec, PolicySettings(backbone=backbone, hidden=(32,), memory=32), seed=seed, device="cpu"
    )
    settings = PPOSettings(
        steps=2 * (delay + 2), epochs=4, minibatches=4, learning_rate=3e-3, discount=0.99, total_frames=frames
    )
    ppo = PPO(env, policy, settings, seed=seed)
    while ppo.frames < frames:
        ppo.update()
    env.close()
    return {"backbone": backbone, "seed": seed, "recalled": recalled(policy, delay)}


def recalled(policy: Policy, delay: int, answers: int = 1000) -> float:
    """Share of answers that are right, taking the likeliest action."""
    with make("memory", batch_size=answers // 2, delay=delay) as env:
        timestep = env.reset(seed=12345)
        state = policy.initial_state(answers)
        total = np.zeros((answers // 2, 2))
        while not timestep.done.any():
            rows = {name: values.reshape(answers, *values.shape[2:]) for name, values in timestep.observation.items()}
            legal = tuple(allowed.reshape(answers, -1) for allowed in timestep.legal)
            decision = policy.act(rows, legal, state, temperature=0.0)
            state = decision.state
            timestep = env.step(decision.action.reshape(answers // 2, 2, 1))
            total += timestep.reward
    return float((total > 0).mean())


def kuhn_self_play(frames: int, seed: int, games: int = 128, points: int = 20) -> pd.DataFrame:
    """PPO against itself on Kuhn poker: exploitability of the last iterate as it learns.

    Returns:
        A row a measurement: seed, frames, exploitability (NashConv / 2, by our own tree walk), value for the first
        player (-1/18 in equilibrium).
    """
    env, tree = make("kuhn", batch_size=games), GameTree.of("kuhn")
    policy = Policy.create(env.spec, PolicySettings(hidden=(64, 64)), seed=seed, device="cpu")
    settings = PPOSettings(
        steps=32, learning_rate=1e-3, discount=1.0, trace=0.95, entropy_weight=0.01, total_frames=frames
    )
    ppo = PPO(env, policy, settings, seed=seed)
    rows = []
    while True:
        if ppo.frames >= len(rows) * frames / points:
            table = policy_table(policy, tree)
            rows.append((seed, ppo.frames, exploitability(tree, table), expected_value(tree, table)))
        if ppo.frames >= frames:
            break
        ppo.update()
    env.close()
    return pd.DataFrame(rows, columns=["seed", "frames", "exploitability", "value"])


def scripted_order(env_name: str, players: list[str], games: int, seed: int = 0, **env_options) -> pd.DataFrame:
    """Each scripted player against the next stronger: whether their order of strength is what their names say."""
    rows = []
    for weaker, stronger in zip(players, players[1:], strict=False):
        with make(env_name, batch_size=32, **env_options) as env:
            score = play(env, stronger, weaker, games=games, seed=seed).score(stronger, weaker)
        rows.append((stronger, weaker, score.games, score.rate, score.low, score.high))
    return pd.DataFrame(rows, columns=["player", "against", "games", "win_rate", "low", "high"])
