"""Trains by neural fictitious self-play and saves after every rollout; told to, goes on. Run as a process of its own.

python resumable_nfsp.py SCENARIO FOLDER UPDATES
"""

import sys

import numpy as np
import torch

import workbench.envs as envs
from workbench.learning import ImitationSettings, PPOSettings, has_checkpoint
from workbench.metagame.nfsp import NFSP, NFSPSettings
from workbench.policies import Policy, PolicySettings


def trainer(scenario: str) -> NFSP:
    """`kuhn`: a GRU's average, of whole games; `melee-mock`: several heads, tokens and a full reservoir."""
    if scenario == "kuhn":
        env = envs.make("kuhn", 8)
        network = PolicySettings(backbone="gru", hidden=(8,), memory=8)
        settings = NFSPSettings(anticipation=0.4, capacity=80, longest_game=2, average_updates=2)
    else:
        env = envs.make("melee-mock", 4, frame_limit=50)
        network = PolicySettings(hidden=(16,), embedding=4, head="autoregressive")
        settings = NFSPSettings(capacity=150, average_updates=2)
    learner, average = (Policy.create(env.spec, network, seed, device="cpu") for seed in (0, 1))
    return NFSP(
        env, learner, average, settings, ppo=PPOSettings(steps=13, learning_rate_schedule="linear", scale_values=True),
        imitation=ImitationSettings(batch_size=16, value_weight=0.0, learning_rate_schedule="linear", average=0.9), seed=3,
    )  # fmt: skip


def train(scenario: str, folder, updates: int) -> NFSP:
    nfsp = trainer(scenario)
    if has_checkpoint(folder):
        nfsp.restore(folder)
    while nfsp.updates < updates:
        nfsp.update()
        nfsp.save(folder)
        print(nfsp.updates, flush=True)
    return nfsp


def summary(nfsp: NFSP) -> dict[str, np.ndarray]:
    """Everything that must agree, bit for bit."""
    described, arrays = nfsp.state()
    return arrays | {"described": np.frombuffer(repr(described).encode(), np.uint8)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(sys.argv[1], sys.argv[2], int(sys.argv[3]))
