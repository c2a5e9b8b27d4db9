"""Trains and saves after every update; told to resume, goes on from what was saved. Run as a process of its own.

python resumable.py SCENARIO FOLDER UPDATES
"""

import sys

import numpy as np
import torch

import workbench.envs as envs
from workbench.arena.population import Population
from workbench.learning import PPO, PPOSettings
from workbench.learning.checkpoint import has_checkpoint
from workbench.policies import Policy, PolicySettings

SNAPSHOT_EVERY = 2


def trainer(scenario: str) -> PPO:
    if scenario == "kuhn":
        env = envs.make("kuhn", 8)
        settings, steps = PolicySettings(backbone="gru", hidden=(8,), memory=8, separate_critic=True), 12
        opponents = Population(scripted=["kuhn/bet"], spec=env.spec, device="cpu")
    else:
        env = envs.make("melee-mock", 4, frame_limit=50)
        settings, steps = PolicySettings(hidden=(16,), embedding=4, head="autoregressive"), 40
        opponents = Population(spec=env.spec, device="cpu")
    policy = Policy.create(env.spec, settings, device="cpu")
    return PPO(
        env, policy, PPOSettings(steps=steps, learning_rate_schedule="linear", scale_values=True), opponents, seed=3
    )


def train(scenario: str, folder, updates: int) -> PPO:
    learner = trainer(scenario)
    if has_checkpoint(folder):
        learner.restore(folder)
    while learner.updates < updates:
        learner.update()
        if learner.updates % SNAPSHOT_EVERY == 0:
            learner.collector.opponents.add_snapshot(learner.policy, f"v{learner.updates}")
        learner.save(folder)
        print(learner.updates, flush=True)
    return learner


def summary(learner: PPO) -> dict[str, np.ndarray]:
    """Everything that must agree, bit for bit."""
    described, arrays = learner.collector.state()
    arrays |= learner.policy.arrays() | {"first_moment": learner.optimizer.mean.numpy()}
    arrays["described"] = np.frombuffer(repr(described).encode(), np.uint8)
    arrays["counters"] = np.array([learner.frames, learner.decisions, learner.updates])
    return arrays


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(sys.argv[1], sys.argv[2], int(sys.argv[3]))
