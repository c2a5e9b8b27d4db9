"""Our envs as Gymnasium and PettingZoo environments, so that other libraries' trainers can play them.

>>> env = GymnasiumEnv("leduc", seat=0, opponent="leduc/call")
>>> observation, info = env.reset(seed=1)
>>> env.step(env.action_space.sample(mask=info["action_mask"]))

Legal options stand in `info["action_mask"]`, in the form that `action_space.sample(mask=...)` takes. An option that is
not legal is replaced by the first legal one and `info["illegal_action"]` is True; with `illegal="raise"` it is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from pettingzoo import ParallelEnv

from workbench.envs import make
from workbench.envs.core import SEATS, Env, EnvSpec, TimeStep
from workbench.envs.players import Player, scripted_names, scripted_player

ILLEGAL = ("replace", "raise")


class GymnasiumEnv(gymnasium.Env):
    """One seat of one game; the other seat is played by `opponent`, and steps in which this seat waits are skipped.

    Args:
        env: a name that `make` knows, or `factory(batch_size, **options)`.
        seat: 0 or 1.
        opponent: a player, or the name of a scripted one.
        illegal: what an illegal option meets, `"replace"` or `"raise"`.
        options: the env's own.

    Observations are a `Dict` of the spec's fields, actions `Discrete` for one head and `MultiDiscrete` for several.
    At the end of a game `info` holds `outcome` (+1 this seat won, -1 lost, 0 drawn) and `end_reason`.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
        env: str | Callable[..., Env],
        seat: int = 0,
        opponent: str | Player = "random",
        *,
        illegal: str = "replace",
        **options,
    ):
        self.game = _build(env, 1, options)
        self.seat = _checked_seat(seat)
        self.observation_space = observation_space(self.game.spec)
        self.action_space = action_space(self.game.spec)
        self._opponent = _Opponent(self.game, opponent, 1 - seat)
        self._legality = _Legality(self.game.spec, illegal)
        self._timestep: TimeStep | None = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self._timestep = self.game.reset(int(self.np_random.integers(2**63)))
        self._opponent.begin(int(self.np_random.integers(2**63)))
        while not self._timestep.acting[0, self.seat]:
            self._advance(None)
        return self._observation(self._timestep.observation), self._info()

    def step(self, action):
        chosen, was_illegal = self._legality.legal_row(action, self._timestep, 0, self.seat)
        reward = self._advance(chosen)
        while not self._timestep.done[0] and not self._timestep.acting[0, self.seat]:
            reward += self._advance(None)
        done = bool(self._timestep.done[0])
        shown = self._timestep.final_observation if done else self._timestep.observation
        info = self._info() | {"illegal_action": was_illegal}
        if done:
            sign = 1 if self.seat == 0 else -1
            info["outcome"] = sign * int(self._timestep.outcome[0])
            info["end_reason"] = self.game.spec.end_reasons[self._timestep.end_reason[0]]
        ended, cut = bool(self._timestep.terminated[0]), bool(self._timestep.truncated[0])
        return self._observation(shown), reward, ended, cut, info

    def close(self):
        self.game.close()

    def _advance(self, chosen: np.ndarray | None) -> float:
        actions = np.zeros((1, SEATS, len(self.game.spec.action)), np.int64)
        if chosen is not None:
            actions[0, self.seat] = chosen
        self._opponent.act(self._timestep, actions)
        self._timestep = self.game.step(actions)
        self._opponent.after(self._timestep)
        return float(self._timestep.reward[0, self.seat])

    def _observation(self, observation: dict) -> dict:
        return {name: array[0, self.seat].copy() for name, array in observation.items()}

    def _info(self) -> dict:
        mask = self._legality.mask(self._timestep, 0, self.seat)
        return {"action_mask": mask, "game_seed": int(self._timestep.game_seed[0])}


class GymnasiumVectorEnv(VectorEnv):
    """One seat of many games at once, with autoreset in the same step.

    Arguments as for `GymnasiumEnv`, and `num_envs`. All games step together, so where the seat waits its action is not
    read; `infos["acting"]` (bool `[num_envs]`) says where it decides next, `infos["action_mask"]` holds one bool
    `[num_envs, n]` a head. Last observations of games that ended are in `infos["final_obs"]`, one array a field,
    valid where `infos["_final_obs"]`.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        env: str | Callable[..., Env],
        num_envs: int = 64,
        seat: int = 0,
        opponent: str | Player = "random",
        *,
        illegal: str = "replace",
        **options,
    ):
        self.game = _build(env, num_envs, options)
        self.num_envs = num_envs
        self.seat = _checked_seat(seat)
        self.single_observation_space = observation_space(self.game.spec)
        self.single_action_space = action_space(self.game.spec)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._opponent = _Opponent(self.game, opponent, 1 - seat)
        self._legality = _Legality(self.game.spec, illegal)
        self._timestep: TimeStep | None = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self._timestep = self.game.reset(int(self.np_random.integers(2**63)))
        self._opponent.begin(int(self.np_random.integers(2**63)))
        return self._observation(self._timestep.observation), self._infos()

    def step(self, actions):
        chosen = np.asarray(actions, np.int64).reshape(self.num_envs, -1)
        chosen, was_illegal = self._legality.legal_rows(chosen, self._timestep, self.seat)
        both = np.zeros((self.num_envs, SEATS, chosen.shape[1]), np.int64)
        both[:, self.seat] = chosen
        self._opponent.act(self._timestep, both)
        self._timestep = timestep = self.game.step(both)
        self._opponent.after(timestep)
        infos = self._infos() | {"illegal_action": was_illegal}
        if timestep.final_observation is not None:
            infos["final_obs"] = self._observation(timestep.final_observation)
            infos["_final_obs"] = timestep.done
            infos["outcome"] = timestep.outcome * np.int8(1 if self.seat == 0 else -1)
        reward = timestep.reward[:, self.seat].astype(np.float64)
        observation = self._observation(timestep.observation)
        return observation, reward, timestep.terminated.copy(), timestep.truncated.copy(), infos

    def close_extras(self, **kwargs):
        self.game.close()

    def _observation(self, observation: dict) -> dict:
        return {name: array[:, self.seat].copy() for name, array in observation.items()}

    def _infos(self) -> dict:
        mask = tuple(allowed[:, self.seat].copy() for allowed in self._timestep.legal)
        return {"action_mask": mask, "acting": self._timestep.acting[:, self.seat].copy()}


class PettingZooEnv(ParallelEnv):
    """Both seats of one game as agents `seat_0` and `seat_1`.

    Args:
        env: a name that `make` knows, or `factory(batch_size, **options)`.
        illegal: what an illegal option meets, `"replace"` or `"raise"`.
        options: the env's own.

    Both agents live until the game ends. The action of an agent that waits is not read and may be left out;
    `infos[agent]["acting"]` says whether it decides next.
    """

    def __init__(self, env: str | Callable[..., Env], *, illegal: str = "replace", **options):
        self.game = _build(env, 1, options)
        self.metadata = {"name": f"{self.game.spec.name}_v{self.game.spec.version}", "render_modes": []}
        self.render_mode = None
        self.possible_agents = [f"seat_{seat}" for seat in range(SEATS)]
        self.agents: list[str] = []
        self._observation_spaces = {agent: observation_space(self.game.spec) for agent in self.possible_agents}
        self._action_spaces = {agent: action_space(self.game.spec) for agent in self.possible_agents}
        self._legality = _Legality(self.game.spec, illegal)
        self._generator = np.random.default_rng()
        self._timestep: TimeStep | None = None

    def observation_space(self, agent: str) -> spaces.Dict:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None):
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self._timestep = self.game.reset(int(self._generator.integers(2**63)))
        self.agents = list(self.possible_agents)
        return self._observations(self._timestep.observation), self._infos([False] * SEATS)

    def step(self, actions: dict):
        if not self.agents:
            raise RuntimeError(f"{self.game.spec.name}: the game is over; call reset() to begin the next")
        both = np.zeros((1, SEATS, len(self.game.spec.action)), np.int64)
        illegal = [False] * SEATS
        for seat, agent in enumerate(self.possible_agents):
            if self._timestep.acting[0, seat]:
                if agent not in actions:
                    raise KeyError(f"{agent} must act; actions are given for {sorted(actions)}")
                both[0, seat], illegal[seat] = self._legality.legal_row(actions[agent], self._timestep, 0, seat)
        self._timestep = timestep = self.game.step(both)
        done = bool(timestep.done[0])
        observations = self._observations(timestep.final_observation if done else timestep.observation)
        rewards = {agent: float(timestep.reward[0, seat]) for seat, agent in enumerate(self.possible_agents)}
        terminations = dict.fromkeys(self.possible_agents, bool(timestep.terminated[0]))
        truncations = dict.fromkeys(self.possible_agents, bool(timestep.truncated[0]))
        infos = self._infos(illegal)
        if done:
            self.agents = []
            for sign, agent in zip((1, -1), self.possible_agents, strict=True):
                infos[agent]["outcome"] = sign * int(timestep.outcome[0])
        return observations, rewards, terminations, truncations, infos

    def close(self):
        self.game.close()

    def _observations(self, observation: dict) -> dict:
        return {
            agent: {name: array[0, seat].copy() for name, array in observation.items()}
            for seat, agent in enumerate(self.possible_agents)
        }

    def _infos(self, illegal: list[bool]) -> dict:
        return {
            agent: {
                "action_mask": self._legality.mask(self._timestep, 0, seat),
                "acting": bool(self._timestep.acting[0, seat]),
                "illegal_action": illegal[seat],
            }
            for seat, agent in enumerate(self.possible_agents)
        }


def observation_space(spec: EnvSpec) -> spaces.Dict:
    """What one seat sees, as a Gymnasium space: numbers unbounded, tokens within their vocabulary."""
    return spaces.Dict(
        {
            name: spaces.Box(0, field.vocabulary - 1, field.shape, np.dtype(field.dtype))
            if field.is_tokens
            else spaces.Box(-np.inf, np.inf, field.shape, np.float32)
            for name, field in spec.observation.items()
        }
    )


def action_space(spec: EnvSpec) -> spaces.Discrete | spaces.MultiDiscrete:
    """`Discrete` for one head, `MultiDiscrete` for several."""
    if len(spec.action) == 1:
        return spaces.Discrete(spec.action.sizes[0])
    return spaces.MultiDiscrete(spec.action.sizes)


class _Legality:
    """Gymnasium's masks from ours, and the answer to illegal options."""

    def __init__(self, spec: EnvSpec, illegal: str):
        if illegal not in ILLEGAL:
            raise ValueError(f"{spec.name}: illegal is {illegal!r}, expected one of {', '.join(ILLEGAL)}")
        self.spec, self.refuse = spec, illegal == "raise"

    def mask(self, timestep: TimeStep, row: int, seat: int):
        """int8 `[n]`, or a tuple of one such a head; all 0 where the seat waits."""
        acting = timestep.acting[row, seat]
        masks = tuple((allowed[row, seat] & acting).astype(np.int8) for allowed in timestep.legal)
        return masks[0] if len(masks) == 1 else masks

    def legal_row(self, action, timestep: TimeStep, row: int, seat: int) -> tuple[np.ndarray, bool]:
        """The action of one acting seat, int64 `[H]`, and whether it had to be replaced."""
        legal = tuple(allowed[row : row + 1, seat] for allowed in timestep.legal)
        chosen, illegal = self._replaced(np.asarray(action, np.int64).reshape(1, -1), legal, np.ones(1, bool))
        return chosen[0], bool(illegal[0])

    def legal_rows(self, actions: np.ndarray, timestep: TimeStep, seat: int) -> tuple[np.ndarray, np.ndarray]:
        """As `legal_row` for int64 `[B, H]`; rows where the seat waits are passed through."""
        return self._replaced(actions, tuple(allowed[:, seat] for allowed in timestep.legal), timestep.acting[:, seat])

    def _replaced(self, actions, legal, acting):
        if actions.shape[1] != len(legal):
            raise ValueError(f"{self.spec.name}: an action has {actions.shape[1]} parts, expected {len(legal)}")
        chosen, illegal = actions.copy(), np.zeros(len(actions), bool)
        for head, allowed in enumerate(legal):
            column = actions[:, head]
            inside = (column >= 0) & (column < allowed.shape[1])
            fits = inside & np.take_along_axis(allowed, np.where(inside, column, 0)[:, None], axis=1)[:, 0]
            wrong = acting & ~fits
            if self.refuse and wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise ValueError(
                    f"{self.spec.name}: option {column[row]} of head {self.spec.action.heads[head].name!r} is not "
                    f"legal; legal are {np.flatnonzero(allowed[row]).tolist()}"
                )
            chosen[:, head] = np.where(wrong, allowed.argmax(axis=1), column)
            illegal |= wrong
        return chosen, illegal


class _Opponent:
    """The player in the other seat, with its memory and its randomness."""

    def __init__(self, env: Env, player: str | Player, seat: int):
        self.player = _scripted(player, env) if isinstance(player, str) else player
        self.seat = seat
        self.batch_size = env.batch_size

    def begin(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.state = self.player.initial_state(self.batch_size)

    def act(self, timestep: TimeStep, actions: np.ndarray) -> None:
        """Write the player's decisions into int `[B, 2, H]` actions."""
        rows = np.flatnonzero(timestep.acting[:, self.seat])
        if not len(rows):
            return
        observation = {name: array[rows, self.seat] for name, array in timestep.observation.items()}
        legal = tuple(allowed[rows, self.seat] for allowed in timestep.legal)
        decision = self.player.act(observation, legal, self.state[rows], generator=self.generator)
        actions[rows, self.seat] = decision.action
        self.state[rows] = decision.state

    def after(self, timestep: TimeStep) -> None:
        """Forget the games that ended."""
        self.state[timestep.done] = 0


def _build(env: str | Callable[..., Env], batch_size: int, options: dict) -> Env:
    return make(env, batch_size, **options) if isinstance(env, str) else env(batch_size, **options)


def _checked_seat(seat: int) -> int:
    if seat not in range(SEATS):
        raise ValueError(f"seat is {seat!r}, expected 0 or 1")
    return seat


def _scripted(name: str, env: Env) -> Player:
    """A scripted player; those of the larger games are registered by the module `scripted` beside the env's own."""
    if name not in scripted_names():
        module = f"{type(env).__module__.rpartition('.')[0]}.scripted"
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module)
    return scripted_player(name)
