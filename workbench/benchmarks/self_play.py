"""How fast PPO self-play learns on `melee-mock`, end to end, beside the same network's arithmetic with no env at all."""

from __future__ import annotations

import time

import torch

from workbench.envs import env_spec, make
from workbench.learning import PPO, PPOSettings
from workbench.policies import Policy, PolicySettings

HIDDEN = (64, 64)
EPOCHS = 4


def melee_self_play(updates: int = 12, games: int = 256, steps: int = 64, minibatches: int = 4, seed: int = 0) -> dict:
    """Both seats learning, one frame a decision: frames and decisions per second of all updates but the first two.

    Returns:
        `frames_per_second`, `decisions_per_second`, and the share of time spent on collecting.
    """
    with make("melee-mock", batch_size=games) as env:
        policy = Policy.create(env.spec, PolicySettings(hidden=HIDDEN), seed=seed, device="cpu")
        settings = PPOSettings(steps=steps, epochs=EPOCHS, minibatches=minibatches)
        ppo = PPO(env, policy, settings, seed=seed)
        for _ in range(2):
            ppo.update()
        began, frames, decisions, collecting = time.perf_counter(), ppo.frames, ppo.decisions, 0.0
        for _ in range(updates):
            collecting += ppo.update()["charts/collect_seconds"]
        seconds = time.perf_counter() - began
    return {
        "frames_per_second": (ppo.frames - frames) / seconds,
        "decisions_per_second": (ppo.decisions - decisions) / seconds,
        "collecting": collecting / seconds,
    }


def bare_network(rows: int = 8192, updates: int = 12, threads: int = 1) -> float:
    """Decisions per second of a plain torch network of the same sizes: a forward pass, then `EPOCHS` forward and backward
    passes with Adam, on random numbers; no env, no masks, no advantages."""
    spec = env_spec("melee-mock")
    width = Policy.create(spec, PolicySettings(hidden=HIDDEN), device="cpu").encoder.width
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layers = [torch.nn.Linear(width, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh()]
        network = torch.nn.Sequential(*layers, torch.nn.Linear(64, sum(spec.action.sizes) + 1))
        adam = torch.optim.Adam(network.parameters(), foreach=True)
        seen = torch.randn(rows, width)
        action = torch.stack([torch.randint(size, (rows,)) for size in spec.action.sizes], dim=1)
        for update in range(updates + 2):
            if update == 2:
                began = time.perf_counter()
            with torch.no_grad():
                network(seen)
            for _ in range(EPOCHS):
                output = network(seen)
                logits = output[:, :-1].split(list(spec.action.sizes), dim=1)
                losses = [torch.nn.functional.cross_entropy(part, action[:, i]) for i, part in enumerate(logits)]
                (sum(losses) + output[:, -1].square().mean()).backward()
                adam.step()
                adam.zero_grad()
        return rows * updates / (time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
