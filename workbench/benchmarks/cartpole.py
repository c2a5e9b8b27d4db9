"""PPO on CartPole-v1 beside Stable-Baselines3: the same settings, in the same run, on one thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch

from workbench.envs import make
from workbench.learning import PPO, PPOSettings
from workbench.policies import Policy, PolicySettings


@dataclass(frozen=True)
class CartPoleSettings:
    """What both are given.

    Args:
        envs, steps: a rollout is of `envs * steps` steps.
        minibatch: steps in a minibatch.
        decay: learning rate and clip fall linearly to 0.
    """

    envs: int
    steps: int
    minibatch: int
    epochs: int
    learning_rate: float
    discount: float
    trace: float
    decay: bool
    clip: float = 0.2
    entropy_weight: float = 0.0


# source: Stable-Baselines3's zoo, hyperparams/ppo.yml, CartPole-v1
ZOO = CartPoleSettings(8, 32, 256, 20, 1e-3, 0.98, 0.8, decay=True)
# source: CleanRL's defaults
PLAIN_8 = CartPoleSettings(8, 128, 256, 4, 2.5e-4, 0.99, 0.95, decay=False)
PLAIN_64 = CartPoleSettings(64, 128, 2048, 4, 2.5e-4, 0.99, 0.95, decay=False)
HIDDEN = (64, 64)


def train_ours(settings: CartPoleSettings, frames: int, seed: int) -> tuple[Policy, float]:
    """A policy trained for `frames` steps, and steps per second of all but the first update."""
    env = make("cartpole", batch_size=settings.envs)
    policy = Policy.create(env.spec, PolicySettings(hidden=HIDDEN, separate_critic=True), seed=seed, device="cpu")
    schedule = "linear" if settings.decay else "constant"
    ppo = PPO(
        env,
        policy,
        PPOSettings(
            steps=settings.steps,
            epochs=settings.epochs,
            minibatches=settings.envs * settings.steps // settings.minibatch,
            learning_rate=settings.learning_rate,
            learning_rate_schedule=schedule,
            clip_schedule=schedule,
            total_frames=frames,
            discount=settings.discount,
            trace=settings.trace,
            clip=settings.clip,
            value_clip=None,
            value_weight=1.0,  # of half the squared error: Stable-Baselines3's 0.5 of the whole
            entropy_weight=settings.entropy_weight,
        ),
        seed=seed,
    )
    ppo.update()
    began, already = time.perf_counter(), ppo.frames
    while ppo.frames < frames:
        ppo.update()
    speed = (ppo.frames - already) / (time.perf_counter() - began)
    env.close()
    return policy, speed


def train_sb3(settings: CartPoleSettings, frames: int, seed: int):
    """Stable-Baselines3's model trained the same way, and steps per second of all but the first update.

    Its envs are Gymnasium's CartPole in its own `DummyVecEnv` with a monitor, as its users run them; ours step as one
    batch of arrays.
    """
    from stable_baselines3 import PPO as Theirs
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Clock(BaseCallback):
        began = already = None

        def _on_step(self):
            return True

        def _on_rollout_start(self):
            if self.num_timesteps > 0 and self.began is None:
                self.began, self.already = time.perf_counter(), self.num_timesteps

    decaying = lambda start: (lambda left: left * start) if settings.decay else start  # noqa: E731
    clock = Clock()
    model = Theirs(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=settings.envs, seed=seed),
        n_steps=settings.steps,
        batch_size=settings.minibatch,
        n_epochs=settings.epochs,
        learning_rate=decaying(settings.learning_rate),
        clip_range=decaying(settings.clip),
        gamma=settings.discount,
        gae_lambda=settings.trace,
        ent_coef=settings.entropy_weight,
        policy_kwargs={"net_arch": list(HIDDEN)},
        device="cpu",
        seed=seed,
    )
    model.learn(frames, callback=clock)
    return model, (model.num_timesteps - clock.already) / (time.perf_counter() - clock.began)


def reference_installed() -> bool:
    """Whether Stable-Baselines3 is there; `pip install -e '.[bench]'` installs it."""
    return find_spec("stable_baselines3") is not None


def evaluate(policy: Policy, episodes: int = 100, seed: int = 1000) -> np.ndarray:
    """Returns of `episodes` episodes played greedily, each slot of the batch playing one."""
    with make("cartpole", batch_size=episodes) as env:
        timestep = env.reset(seed)
        state = policy.initial_state(episodes)
        actions = np.zeros((episodes, 2, 1), np.int64)
        returns, running = np.zeros(episodes), np.ones(episodes, bool)
        while running.any():
            observation = {name: values[:, 0] for name, values in timestep.observation.items()}
            legal = tuple(allowed[:, 0] for allowed in timestep.legal)
            actions[:, 0] = policy.act(observation, legal, state, temperature=0.0).action
            timestep = env.step(actions)
            returns += timestep.reward[:, 0] * running
            running &= ~timestep.done
    return returns


def speeds(settings: CartPoleSettings, frames: int, rounds: int = 3) -> dict[str, float]:
    """Steps per second of both, taken in turns so that neighbours disturb both alike; medians, and their ratio."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pairs = [
            (train_ours(settings, frames, seed)[1], train_sb3(settings, frames, seed)[1]) for seed in range(rounds)
        ]
    finally:
        torch.set_num_threads(threads)
    ours, theirs = np.median(pairs, axis=0)
    return {"ours": ours, "sb3": theirs, "ratio": float(np.median([a / b for a, b in pairs]))}
