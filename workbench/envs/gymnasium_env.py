"""Single-agent Gymnasium environments as envs of ours: seat 0 plays, seat 1 never acts.

Every game is seeded by itself, autoreset happens in the same step, a time limit truncates, and nothing is stored for
a step in which Gymnasium would only have reset.
"""

from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

from workbench.envs.core import ActionSpec, Env, EnvSpec, Field, Head
from workbench.envs.vectorised import Played, VectorisedEnv, uniforms


class CartPoleEnv(VectorisedEnv):
    """CartPole-v1 on Gymnasium's own numpy physics: 1 a step, over when pole or cart leaves its range.

    Args:
        batch_size: games at once.
        max_steps: after which a game is truncated; 500 in CartPole-v1.

    The outcome is always 0: nobody wins.

    Source: Barto, Sutton, Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning control
    problems"; constants and integration are those of `gymnasium.envs.classic_control.cartpole`.
    """

    def __init__(self, batch_size: int = 64, *, max_steps: int = 500):
        names = ("cart position", "cart velocity", "pole angle", "pole angular velocity")
        spec = EnvSpec(
            name="cartpole",
            version=1,
            observation={"state": Field((4,), names=names)},
            action=ActionSpec((Head("push", ("left", "right")),)),
        )
        super().__init__(spec, batch_size, {"physics": np.zeros((batch_size, 4), np.float64)})
        self.max_steps = max_steps
        self._physics = CartPoleVectorEnv(batch_size)
        self._physics.reset(seed=0)
        self._reward_each = np.zeros((batch_size, 2))
        self._reward_each[:, 0] = 1.0
        self._nobody = np.zeros(batch_size, np.int8)
        self._acting[:, 0] = True
        self._legal[0][:, 0] = True

    def _begin(self, rows, seeds):
        # CartPole-v1 starts uniformly within 0.05 of upright rest
        self._game["physics"][rows] = 0.1 * uniforms(seeds, 4) - 0.05

    def _play(self, actions):
        physics = self._physics
        physics.state = self._game["physics"].T
        # its own autoreset acts on games marked here: none, ours has replaced them already
        physics.prev_done[:] = False
        _, _, terminated, _, _ = physics.step(actions[:, 0, 0])
        self._game["physics"][:] = physics.state.T
        truncated = (self._steps + 1 >= self.max_steps) & ~terminated
        return Played(self._reward_each, terminated, truncated, self._nobody)

    def _observe(self, rows):
        self._observation["state"][rows, 0] = self._game["physics"][rows]


class SingleAgentEnv(VectorisedEnv):
    """Any Gymnasium environment with discrete actions, a batch of instances stepped one after another.

    Args:
        factory: builds one Gymnasium environment.
        batch_size: games at once.
        name: the spec's name.
        max_steps: after which a game is truncated; by default the limit the environment is registered with.

    `state()` holds the actions each running game has seen; `restore` plays them again from the game's seed, so the
    environment must be deterministic given `reset(seed=...)`. The outcome is always 0: nobody wins.

    Raises:
        ValueError: an observation or action space that has no counterpart here, or no step limit is known.
    """

    def __init__(
        self, factory: Callable[[], gymnasium.Env], batch_size: int = 64, *, name: str, max_steps: int | None = None
    ):
        self._envs = [factory() for _ in range(batch_size)]
        first = self._envs[0]
        limit = max_steps or (first.spec.max_episode_steps if first.spec else None)
        if not limit:
            raise ValueError(f"{name}: no step limit is registered; give max_steps")
        self.max_steps = limit
        space = first.observation_space
        self._fields = dict(space.spaces) if isinstance(space, spaces.Dict) else {"observation": space}
        self._is_dict = isinstance(space, spaces.Dict)
        self._action_space = first.action_space
        heads = _heads(first.action_space, name)
        spec = EnvSpec(
            name=name,
            version=1,
            observation={key: _field(part, f"{name}: {key}") for key, part in self._fields.items()},
            action=ActionSpec(heads),
        )
        super().__init__(spec, batch_size, {"taken": np.zeros((batch_size, limit, len(heads)), np.int32)})
        self._acting[:, 0] = True
        for allowed in self._legal:
            allowed[:, 0] = True

    def close(self):
        for env in self._envs:
            env.close()

    def _begin(self, rows, seeds):
        for row, seed in zip(rows, seeds, strict=True):
            observation, _ = self._envs[row].reset(seed=_gymnasium_seed(seed))
            self._write(row, observation)

    def _play(self, actions):
        reward = np.zeros((self.batch_size, 2))
        terminated, truncated = np.zeros(self.batch_size, bool), np.zeros(self.batch_size, bool)
        self._game["taken"][self._all, self._steps] = actions[:, 0]
        for row, env in enumerate(self._envs):
            observation, earned, ended, cut, _ = env.step(self._native(actions[row, 0]))
            self._write(row, observation)
            reward[row, 0] = earned
            terminated[row] = ended
            truncated[row] = cut and not ended
        truncated |= (self._steps + 1 >= self.max_steps) & ~terminated
        return Played(reward, terminated, truncated, np.zeros(self.batch_size, np.int8))

    def _observe(self, rows):
        """Nothing is left to do: `_begin`, `_play` and `_rebuild` write what Gymnasium hands out."""

    def _rebuild(self):
        for row, env in enumerate(self._envs):
            observation, _ = env.reset(seed=_gymnasium_seed(self._game_seed[row]))
            for action in self._game["taken"][row, : self._steps[row]]:
                observation = env.step(self._native(action))[0]
            self._write(row, observation)

    def _native(self, action: np.ndarray):
        """One of our actions, int `[H]`, as Gymnasium's action space has it."""
        if isinstance(self._action_space, spaces.Discrete):
            return int(action[0]) + int(self._action_space.start)
        return action.astype(self._action_space.dtype)

    def _write(self, row: int, observation) -> None:
        for name, space in self._fields.items():
            value = observation[name] if self._is_dict else observation
            offset = int(space.start) if isinstance(space, spaces.Discrete) else 0
            self._observation[name][row, 0] = np.asarray(value) - offset


def from_gymnasium(env_id: str, batch_size: int = 64, *, max_steps: int | None = None, **options) -> Env:
    """The Gymnasium environment of that id as an env; `options` go to `gymnasium.make`.

    >>> env = from_gymnasium("Acrobot-v1", batch_size=8)

    CartPole-v1 without options is the batched `CartPoleEnv`.
    """
    if env_id == "CartPole-v1" and not options:
        return CartPoleEnv(batch_size, max_steps=max_steps or 500)
    return SingleAgentEnv(lambda: gymnasium.make(env_id, **options), batch_size, name=env_id, max_steps=max_steps)


def _gymnasium_seed(seed: np.uint64) -> int:
    # Gymnasium's seeding takes any non-negative int; some environments hand it on to generators of 32 bits
    return int(seed) & 0x7FFFFFFF


def _field(space: spaces.Space, where: str) -> Field:
    if isinstance(space, spaces.Box):
        return Field(space.shape or (1,))
    if isinstance(space, spaces.MultiBinary):
        return Field(space.shape)
    if isinstance(space, spaces.Discrete):
        return Field((1,), "int32", int(space.n))
    if isinstance(space, spaces.MultiDiscrete) and not space.start.any():
        return Field(space.shape, "int32", int(space.nvec.max()))
    raise ValueError(f"{where} is {space}, expected Box, Discrete, MultiDiscrete from 0, MultiBinary or a Dict of them")


def _heads(space: spaces.Space, name: str) -> tuple[Head, ...]:
    if isinstance(space, spaces.Discrete):
        return (_head("action", int(space.n)),)
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
        return tuple(_head(f"action {index}", int(size)) for index, size in enumerate(space.nvec))
    raise ValueError(f"{name}: actions are {space}, expected Discrete, or MultiDiscrete in one row from 0")


def _head(name: str, size: int) -> Head:
    return Head(name, tuple(str(option) for option in range(size)))
