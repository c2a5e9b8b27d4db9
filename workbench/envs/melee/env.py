"""`melee-mock`: Melee as a batch of two-seat games on a compiled core.

>>> env = MeleeMockEnv(batch_size=256, characters="fox", stage="battlefield")
>>> timestep = env.reset(seed=1)
>>> timestep = env.step(np.zeros((256, 2, 4), np.int64))
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from workbench.envs.core import Env, EnvSpec, TimeStep
from workbench.envs.melee.characters import character_id, character_table
from workbench.envs.melee.controller import ACTION_SPEC
from workbench.envs.melee.game import BEGIN, END_REASONS, SETTINGS, SHOW, STEP, advance
from workbench.envs.melee.observation import FIELDS
from workbench.envs.melee.render import frame_html, frame_svg
from workbench.envs.melee.reward import RewardWeights
from workbench.envs.melee.stages import stage_id, stage_table
from workbench.envs.melee.state import FIGHTER, GAME

SPEC = EnvSpec("melee-mock", 1, FIELDS, ACTION_SPEC, END_REASONS)
MATCH_FRAMES = 8 * 60 * 60  # tournament rules: 8 minutes

_OUTPUTS = ("reward", "terminated", "truncated", "outcome", "length", "end_reason", "seeds")


class MeleeMockEnv(Env):
    """Two fighters on a stage, `batch_size` games at once; a step is `frames_per_decision` frames of 1/60 s.

    Args:
        batch_size: games at once.
        characters: a fighter's name (`character_names()` lists them), or several to draw from for each seat and game.
        opponent_characters: the same for seat 1 alone; None: as `characters`.
        stage: a stage's name (`stage_names()`), or several to draw from for each game.
        frames_per_decision: frames for which a choice is held.
        frame_limit: frames after which a game is cut (`truncated`); None: only the match's own clock ends it.
        time_limit: frames of the match clock, at which the game ends by the rules: more stocks win, then less damage.
        stocks: lives each fighter begins with, 1 to 99.
        observe: False leaves observations unwritten, for measuring the play alone.
        reward: weights of the reward's terms.
        threads: among which the games are divided; what is played does not depend on it.

    Raises:
        KeyError: unknown character or stage; the message gives the nearest names.
        ValueError: a number out of its range.
    """

    spec = SPEC

    def __init__(
        self,
        batch_size: int = 64,
        *,
        characters="fox",
        opponent_characters=None,
        stage="final_destination",
        frames_per_decision: int = 1,
        frame_limit: int | None = None,
        time_limit: int = MATCH_FRAMES,
        stocks: int = 4,
        observe: bool = True,
        reward: RewardWeights | None = None,
        threads: int = 1,
    ):
        for name, value, low, high in (
            ("batch_size", batch_size, 1, 1 << 24),
            ("frames_per_decision", frames_per_decision, 1, 600),
            ("frame_limit", frame_limit if frame_limit is not None else 1, 1, 1 << 30),
            ("time_limit", time_limit, 1, 1 << 30),
            ("stocks", stocks, 1, 99),
            ("threads", threads, 1, 1024),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; expected {low} to {high}")
        self.batch_size = batch_size
        self.reward_weights = reward if reward is not None else RewardWeights()
        self._settings = np.zeros(1, SETTINGS)
        self._settings["frames_per_decision"] = frames_per_decision
        self._settings["stocks"] = stocks
        self._settings["time_limit"] = time_limit
        self._settings["frame_limit"] = frame_limit or 0
        self._settings["observe"] = observe
        self._settings["weights"] = self.reward_weights.as_array()
        choices_0 = _ids(characters, character_id)
        choices_1 = choices_0 if opponent_characters is None else _ids(opponent_characters, character_id)
        self._games = np.zeros(batch_size, GAME)
        self._fighters = np.zeros(2 * batch_size, FIGHTER)
        self._actions = np.zeros((batch_size, 2, len(ACTION_SPEC)), np.int64)
        self._observation = self._empty_observation()
        self._final = self._empty_observation()
        self._reward = np.zeros((batch_size, 2), np.float32)
        self._terminated = np.zeros(batch_size, bool)
        self._truncated = np.zeros(batch_size, bool)
        self._outcome = np.zeros(batch_size, np.int8)
        self._length = np.zeros(batch_size, np.int32)
        self._end_reason = np.zeros(batch_size, np.int8)
        self._seeds = np.zeros(batch_size, np.uint64)
        # Nothing a fighter can press is ever forbidden: these are written once
        self._acting = np.ones((batch_size, 2), bool)
        self._legal = tuple(np.ones((batch_size, 2, size), bool) for size in ACTION_SPEC.sizes)
        shared = (
            self._settings, character_table(), stage_table(), choices_0, choices_1,
            _ids(stage, stage_id),
        )  # fmt: skip
        written = (
            *self._observation.values(), *self._final.values(), self._reward, self._terminated, self._truncated,
            self._outcome, self._length, self._end_reason, self._seeds,
        )  # fmt: skip
        self._shares = []
        cuts = np.linspace(0, batch_size, min(threads, batch_size) + 1).astype(int)
        for first, last in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            part = slice(first, last)
            owned = self._games[part], self._fighters[2 * first : 2 * last], self._actions[part]
            self._shares.append((first, *owned, *shared, *(array[part] for array in written)))
        self._pool = ThreadPoolExecutor(len(self._shares)) if len(self._shares) > 1 else None
        self._timestep = self._make_timestep(None)
        self._timestep_final = self._make_timestep(self._final)
        self._sizes = np.array(ACTION_SPEC.sizes)

    def _empty_observation(self) -> dict[str, np.ndarray]:
        return {
            name: np.zeros((self.batch_size, 2, *field.shape), field.dtype)
            for name, field in self.spec.observation.items()
        }

    def _make_timestep(self, final) -> TimeStep:
        return TimeStep(
            self._observation, self._legal, self._acting, self._reward, self._terminated, self._truncated,
            self._outcome, self._length, self._end_reason, self._seeds, final,
        )  # fmt: skip

    def reset(self, seed: int = 0) -> TimeStep:
        """Begin new games in all slots; slot b's k-th game gets seed `game_seed(seed, b, k)`."""
        self._settings["seed"] = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
        self._games["number"] = 0
        for name in ("reward", "terminated", "truncated", "outcome", "length", "end_reason"):
            getattr(self, f"_{name}")[...] = 0
        self._run(BEGIN)
        return self._timestep

    def step(self, actions: np.ndarray) -> TimeStep:
        """Play one choice of each seat; int `[B, 2, 4]`.

        Raises:
            ValueError: another shape, no integers, or an index outside its head.
        """
        if actions.shape != self._actions.shape or actions.dtype.kind not in "iu":
            raise ValueError(
                f"actions have shape {actions.shape} of {actions.dtype}; "
                f"expected integers {self._actions.shape} (games, seats, heads)"
            )
        self._actions[...] = actions
        if self._pool is not None and not ((actions >= 0) & (actions < self._sizes)).all():
            ended = -1  # one share must not play while another refuses
        else:
            ended = self._run(STEP)
        if ended < 0:
            b, seat, head = (int(v) for v in np.argwhere((actions < 0) | (actions >= self._sizes))[0])
            raise ValueError(
                f"game {b}, seat {seat}: {actions[b, seat, head]} for head {ACTION_SPEC.heads[head].name!r}; "
                f"expected 0 to {self._sizes[head] - 1}"
            )
        return self._timestep_final if ended else self._timestep

    def _run(self, command: int) -> int:
        if self._pool is None:
            return advance(command, *self._shares[0])
        return sum(self._pool.map(lambda share: advance(command, *share), self._shares))

    def close(self) -> None:
        """End the threads, if there are any."""
        if self._pool is not None:
            self._pool.shutdown()

    def state(self) -> dict[str, np.ndarray]:
        """Fighters and games as bytes `[B, …]`, the base seed, and what the last step said of ended games."""
        kept = {
            "games": self._games.view(np.uint8).reshape(self.batch_size, -1).copy(),
            "fighters": self._fighters.view(np.uint8).reshape(self.batch_size, 2, -1).copy(),
            "seed": self._settings["seed"].copy(),
        }
        for name in _OUTPUTS:
            kept[name] = getattr(self, f"_{name}").copy()
        if self._terminated.any() or self._truncated.any():
            kept |= {f"final_{name}": array.copy() for name, array in self._final.items()}
        return kept

    def restore(self, state: dict[str, np.ndarray]) -> TimeStep:
        """Go on from a `state` of an env with the same batch size and options.

        Raises:
            ValueError: the state is of another batch size or of another version of the core.
        """
        for name, expected in (
            ("games", (self.batch_size, GAME.itemsize)),
            ("fighters", (self.batch_size, 2, FIGHTER.itemsize)),
        ):
            if state[name].shape != expected:
                raise ValueError(f"state of {name} has shape {state[name].shape}; expected {expected}")
        self._games[...] = np.ascontiguousarray(state["games"]).reshape(-1).view(GAME)
        self._fighters[...] = np.ascontiguousarray(state["fighters"]).reshape(-1).view(FIGHTER)
        self._settings["seed"] = state["seed"]
        for name in _OUTPUTS:
            getattr(self, f"_{name}")[...] = state[name]
        for name, array in self._final.items():
            array[...] = state.get(f"final_{name}", 0)
        self._run(SHOW)
        return self._timestep_final if (self._terminated | self._truncated).any() else self._timestep

    def fighters(self) -> np.ndarray:
        """A copy of all that the core keeps of the fighters, `FIGHTER` records `[B, 2]`, for reports and tests."""
        return self._fighters.reshape(self.batch_size, 2).copy()

    def games(self) -> np.ndarray:
        """A copy of the games' own records, `GAME` `[B]`."""
        return self._games.copy()

    def render_frame(self, slot: int = 0) -> str:
        """The game of a slot as an SVG picture: stage, hurt rectangles, active hit circles, percent and stocks."""
        return frame_svg(self._games[slot], self._fighters[2 * slot : 2 * slot + 2])

    def _repr_html_(self) -> str:
        return frame_html([self.render_frame(slot) for slot in range(min(self.batch_size, 4))])


def _ids(names, lookup) -> np.ndarray:
    """Ids of one name or of several, int64."""
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise ValueError("an empty list of characters or stages; expected at least one name")
    return np.array([lookup(name) for name in names], np.int64)
