"""What numpy games share: slots, seeds, same-step autoreset, delivery of rewards, saving and restoring."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from workbench.envs.core import SEATS, Env, EnvSpec, TimeStep, game_seed

TIME_LIMIT = 1  # index into the default `EnvSpec.end_reasons`


class Played(NamedTuple):
    """What one step of the rules did.

    Args:
        reward: `[B, 2]` earned in this step, whether or not the seat acts next.
        terminated, truncated: bool `[B]`; never both.
        outcome: `[B]`; read where done.
    """

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    outcome: np.ndarray


class VectorisedEnv(Env):
    """A game written as arrays with a leading batch axis; subclasses write the rules and nothing else.

    Args:
        spec: the game's spec.
        batch_size: games at once, at least 1.
        game: the arrays that hold all games' state, by name, each `[B, ...]`; subclasses write to them in place.

    The arrays of `state()` all lead with the batch, so rows of it can be picked and restored in an env of another
    batch size. `restore` computes observation, legal options and who acts from the arrays under `game/`, so a state
    whose `game/` entries were edited (a forced deal, say) shows what the rules say of the edited game.
    """

    def __init__(self, spec: EnvSpec, batch_size: int, game: dict[str, np.ndarray]):
        if batch_size < 1:
            raise ValueError(f"{spec.name}: batch_size is {batch_size}, expected at least 1")
        self.spec = spec
        self.batch_size = batch_size
        self._game = game
        self._all = np.arange(batch_size)
        self._observation = _allocate(spec, batch_size)
        self._final = _allocate(spec, batch_size)
        self._legal = tuple(np.zeros((batch_size, SEATS, size), bool) for size in spec.action.sizes)
        self._acting = np.zeros((batch_size, SEATS), bool)
        self._seed = 0
        self._games = np.zeros(batch_size, np.int64)
        self._steps = np.zeros(batch_size, np.int32)
        self._bank = np.zeros((batch_size, SEATS), np.float64)
        self._reward = np.zeros((batch_size, SEATS), np.float32)
        self._terminated = np.zeros(batch_size, bool)
        self._truncated = np.zeros(batch_size, bool)
        self._outcome = np.zeros(batch_size, np.int8)
        self._length = np.zeros(batch_size, np.int32)
        self._end_reason = np.zeros(batch_size, np.int8)
        self._game_seed = np.zeros(batch_size, np.uint64)
        self._begun = False

    @abstractmethod
    def _begin(self, rows: np.ndarray, seeds: np.ndarray) -> None:
        """Set up new games in `rows` (int `[R]`) from their uint64 `seeds` `[R]`."""

    @abstractmethod
    def _play(self, actions: np.ndarray) -> Played:
        """Advance all games by int64 `[B, 2, H]` legal actions; rows of waiting seats hold 0."""

    @abstractmethod
    def _observe(self, rows: np.ndarray) -> None:
        """Write `self._observation`, `self._legal` and `self._acting` of `rows` from the games' state."""

    def _rebuild(self) -> None:
        """After a restore, derive what is held outside the game's arrays; most games hold nothing there."""

    def reset(self, seed: int = 0) -> TimeStep:
        self._seed = int(seed) & 0xFFFFFFFFFFFFFFFF
        for array in (self._games, self._steps, self._bank, self._reward, self._terminated, self._truncated):
            array[...] = 0
        for array in (self._outcome, self._length, self._end_reason):
            array[...] = 0
        self._begun = True
        self._new_games(self._all)
        return self._timestep()

    def step(self, actions: np.ndarray) -> TimeStep:
        """Play int `[B, 2, H]` actions.

        Raises:
            ValueError: wrong shape or dtype, or an acting seat's option is not legal.
            RuntimeError: before the first `reset`.
        """
        if not self._begun:
            raise RuntimeError(f"{self.spec.name}: step() before reset(); call reset(seed) first")
        played = self._play(self._checked(actions))
        self._steps += 1
        self._bank += played.reward
        self._terminated[:] = played.terminated
        self._truncated[:] = played.truncated
        self._observe(self._all)
        done = self._terminated | self._truncated
        delivered = self._acting | done[:, None]
        np.multiply(self._bank, delivered, out=self._reward, casting="same_kind")
        self._bank[delivered] = 0.0
        rows = np.flatnonzero(done)
        if len(rows):
            self._outcome[:] = np.where(done, played.outcome, 0)
            self._length[:] = np.where(done, self._steps, 0)
            self._end_reason[:] = np.where(self._truncated, TIME_LIMIT, 0)
            for name, final in self._final.items():
                final[rows] = self._observation[name][rows]
            self._games[rows] += 1
            self._steps[rows] = 0
            self._new_games(rows)
        else:
            self._outcome[:] = 0
            self._length[:] = 0
            self._end_reason[:] = 0
        return self._timestep()

    def state(self) -> dict[str, np.ndarray]:
        arrays = {name: array.copy() for name, array in self._state_arrays().items()}
        arrays["seed"] = np.full(self.batch_size, self._seed, np.uint64)
        return arrays

    def restore(self, state: dict[str, np.ndarray]) -> TimeStep:
        """Go on from a `state`.

        Raises:
            ValueError: arrays are missing, unknown, or of another shape or dtype; nothing is changed then.
        """
        held = self._state_arrays()
        expected = {name: (array.shape, array.dtype) for name, array in held.items()}
        expected["seed"] = ((self.batch_size,), np.dtype(np.uint64))
        if state.keys() != expected.keys():
            raise ValueError(
                f"{self.spec.name}: the state lacks {sorted(expected.keys() - state.keys())} "
                f"and has unknown {sorted(state.keys() - expected.keys())}"
            )
        for name, (shape, dtype) in expected.items():
            if state[name].shape != shape or state[name].dtype != dtype:
                raise ValueError(
                    f"{self.spec.name}: state[{name!r}] is {state[name].dtype} {state[name].shape}, "
                    f"expected {dtype} {shape}"
                )
        for name, array in held.items():
            array[...] = state[name]
        self._seed = int(state["seed"][0])
        self._begun = True
        self._rebuild()
        self._observe(self._all)
        return self._timestep()

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {
            "games": self._games,
            "steps": self._steps,
            "bank": self._bank,
            "reward": self._reward,
            "terminated": self._terminated,
            "truncated": self._truncated,
            "outcome": self._outcome,
            "length": self._length,
            "end_reason": self._end_reason,
            "game_seed": self._game_seed,
            **{f"game/{name}": array for name, array in self._game.items()},
            **{f"final/{name}": array for name, array in self._final.items()},
        }

    def _new_games(self, rows: np.ndarray) -> None:
        self._game_seed[rows] = game_seed(self._seed, rows, self._games[rows])
        self._begin(rows, self._game_seed[rows])
        self._observe(rows)

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        """A copy of `actions` with 0 in the rows of waiting seats."""
        actions = np.asarray(actions)
        expected = (self.batch_size, SEATS, len(self.spec.action))
        if actions.shape != expected or actions.dtype.kind not in "iu":
            raise ValueError(
                f"{self.spec.name}: actions are {actions.dtype} {actions.shape}, expected integers {expected}"
            )
        actions = np.where(self._acting[:, :, None], actions, 0).astype(np.int64, copy=False)
        for head, allowed in enumerate(self._legal):
            chosen = actions[:, :, head]
            inside = (chosen >= 0) & (chosen < allowed.shape[2])
            legal = np.take_along_axis(allowed, np.where(inside, chosen, 0)[:, :, None], axis=2)[:, :, 0]
            bad = self._acting & ~(inside & legal)
            if bad.any():
                row, seat = np.argwhere(bad)[0]
                raise ValueError(
                    f"{self.spec.name}: game {row}, seat {seat}: option {chosen[row, seat]} of head "
                    f"{self.spec.action.heads[head].name!r} is not legal; legal are "
                    f"{np.flatnonzero(allowed[row, seat]).tolist()}"
                )
        return actions

    def _timestep(self) -> TimeStep:
        ended = (self._terminated | self._truncated).any()
        return TimeStep(
            self._observation,
            self._legal,
            self._acting,
            self._reward,
            self._terminated,
            self._truncated,
            self._outcome,
            self._length,
            self._end_reason,
            self._game_seed,
            self._final if ended else None,
        )


def uniforms(seeds: np.ndarray, count: int) -> np.ndarray:
    """Float64 `[R, count]` numbers in [0, 1) drawn from uint64 `seeds` `[R]`, the same for a seed in any batch."""
    drawn = game_seed(0, np.arange(count), seeds[:, None])
    return (drawn >> np.uint64(11)) * 2.0**-53


def _allocate(spec: EnvSpec, batch_size: int) -> dict[str, np.ndarray]:
    return {name: np.zeros((batch_size, SEATS, *field.shape), field.dtype) for name, field in spec.observation.items()}
