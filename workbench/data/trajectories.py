"""One player's view of one game, in memory, and padded batches of them for learning.

Decisions are indexed 0 .. N-1; observation N is the last one, after the last decision. Actions of -1 are unknown (human
replays do not reveal every choice) and must be masked by whoever learns from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from workbench.envs.core import EnvSpec
from workbench.markup import table_html

UNKNOWN = -1


@dataclass(frozen=True)
class Game:
    """What is known of a game and of the seat it is seen from, without its decisions.

    Args:
        match_id: the same for both views of a game, and different between games.
        env, fingerprint: name and fingerprint of the `EnvSpec` it was played with; fingerprint empty where unknown.
        seed: the game's seed, 0 where unknown.
        seat: 0 or 1; whose view this is.
        policy, opponent: ids of who played this seat and the other.
        outcome: +1 this seat won, -1 it lost, 0 drawn; of a game that was cut, the env's own verdict, as in the table
            of matches (melee-mock: whoever led; gen1ou: drawn).
        truncated: cut by a limit, not ended by the rules; its values go on beyond the end whatever the outcome.
        end_reason: the env's word for how it ended.
        length: env steps the game lasted (both seats' decisions; at least this seat's).
    """

    match_id: str
    env: str
    fingerprint: str = ""
    seed: int = 0
    seat: int = 0
    policy: str = ""
    opponent: str = ""
    outcome: int = 0
    truncated: bool = False
    end_reason: str = ""
    length: int = 0


@dataclass(frozen=True, eq=False)
class Trajectory:
    """N decisions of one player in one game.

    Args:
        game: who, what, and how it ended.
        observation: per field `[N + 1, *shape]`.
        legal: one bool `[N, n_h]` a head.
        action: int16 `[N, H]`, -1 where unknown.
        reward: float32 `[N]`; earned between decision t and the next one or the end.
        log_prob: float32 `[N]`, behaviour log-probability of the whole action, NaN where unknown.
        view: int16 `[N + 1, VIEW_SIZE]`, for envs whose observation is computed from such rows (gen1ou); else None.
        ends: the last decision is the game's last; False for a stretch of a game that was cut before.
    """

    game: Game
    observation: dict[str, np.ndarray]
    legal: tuple[np.ndarray, ...]
    action: np.ndarray
    reward: np.ndarray
    log_prob: np.ndarray
    view: np.ndarray | None = None
    ends: bool = True

    def __len__(self) -> int:
        return len(self.action)

    def window(self, start: int, length: int) -> Trajectory:
        """Decisions `start` to `start + length` (or the end) as a trajectory of its own; views, not copies."""
        if not 0 <= start < len(self):
            raise IndexError(f"window starts at {start}; the trajectory has {len(self)} decisions")
        end = min(start + length, len(self))
        return replace(
            self,
            observation={name: values[start : end + 1] for name, values in self.observation.items()},
            legal=tuple(allowed[start:end] for allowed in self.legal),
            action=self.action[start:end],
            reward=self.reward[start:end],
            log_prob=self.log_prob[start:end],
            view=None if self.view is None else self.view[start : end + 1],
            ends=self.ends and end == len(self),
        )

    def stretches(self, length: int) -> list[Trajectory]:
        """The trajectory in as few stretches of at most `length` decisions as possible, all about equally long."""
        edges = np.linspace(0, len(self), -(-len(self) // length) + 1).astype(int).tolist()
        return [self.window(begin, end - begin) for begin, end in pairwise(edges)]

    def _repr_html_(self) -> str:
        game, known = self.game, int((self.action != UNKNOWN).all(axis=1).sum())
        outcome = {1: "won", 0: "drawn", -1: "lost"}[game.outcome] + (", cut by a limit" if game.truncated else "")
        rows = [
            ("game", f"{game.env}, {game.match_id}, seat {game.seat}"),
            ("players", f"{game.policy or 'somebody'} against {game.opponent or 'somebody'}"),
            ("outcome", f"{outcome}; reward {self.reward.sum():.4g} in all"),
            ("decisions", f"{len(self):,}, {known:,} with a known action, {self.illegal:,} illegal"),
            ("observation", ", ".join(f"{name} {list(values.shape)}" for name, values in self.observation.items())),
        ]
        return table_html(("", ""), rows, left=(0, 1), caption="One player's view of one game")

    @property
    def illegal(self) -> int:
        """How many known actions were not legal when they were chosen."""
        rows = np.arange(len(self))
        wrong = np.zeros(len(self), bool)
        for head, allowed in enumerate(self.legal):
            chosen = self.action[:, head]
            wrong |= (chosen != UNKNOWN) & ~allowed[rows, np.maximum(chosen, 0)]
        return int(wrong.sum())


@dataclass(frozen=True, eq=False)
class Batch:
    """N trajectories side by side, padded at the end to the longest, time first.

    Args:
        observations: per field `[T + 1, N, *shape]`; row n's last observation is at `lengths[n]`, zeros after it.
        legal: one bool `[T, N, n_h]` a head; everything legal in the padding.
        action: int64 `[T, N, H]`; -1 where unknown and in the padding.
        reward: float32 `[T, N]`; 0 in the padding.
        log_prob: float32 `[T, N]`; NaN where unknown and in the padding.
        acting: bool `[T, N]`; a decision, not padding.
        known: bool `[T, N]`; a decision whose action is known.
        reset: bool `[T, N]`; the row's first decision, before which memory is empty (a stretch from the middle of a
            game too begins without memory).
        outcome: int8 `[N]` for the seat the row is seen from; as in `Game`, also of games that were cut.
        truncated: bool `[N]`.
        ended: bool `[T, N]`; the game ended by its rules right after this decision.
        lengths: int64 `[N]` decisions.
        games: one `Game` a row.
    """

    observations: dict[str, np.ndarray]
    legal: tuple[np.ndarray, ...]
    action: np.ndarray
    reward: np.ndarray
    log_prob: np.ndarray
    acting: np.ndarray
    known: np.ndarray
    reset: np.ndarray
    outcome: np.ndarray
    truncated: np.ndarray
    ended: np.ndarray
    lengths: np.ndarray
    games: tuple[Game, ...]

    @property
    def observation(self) -> dict[str, np.ndarray]:
        """Per field `[T, N, *shape]`: what each decision was taken on."""
        return {name: values[:-1] for name, values in self.observations.items()}

    @property
    def next_observation(self) -> dict[str, np.ndarray]:
        """Per field `[T, N, *shape]`: what was seen at the next decision, or at the end."""
        return {name: values[1:] for name, values in self.observations.items()}

    def __len__(self) -> int:
        return len(self.games)


def pad(trajectories: Sequence[Trajectory]) -> Batch:
    """Put trajectories, at least one and all of the same env, side by side in one `Batch`.

    Raises:
        ValueError: none were given, or they are of different envs.
    """
    if not trajectories:
        raise ValueError("a batch needs at least one trajectory; got none")
    kinds = {(one.game.env, one.game.fingerprint) for one in trajectories}
    if len(kinds) > 1:
        raise ValueError(f"one batch holds trajectories of one env; got {sorted(kinds)}")
    first, count = trajectories[0], len(trajectories)
    lengths = np.array([len(one) for one in trajectories])
    steps = int(lengths.max())
    observations = {
        name: np.zeros((steps + 1, count, *values.shape[1:]), values.dtype)
        for name, values in first.observation.items()
    }
    legal = tuple(np.ones((steps, count, allowed.shape[1]), bool) for allowed in first.legal)
    action = np.full((steps, count, first.action.shape[1]), UNKNOWN, np.int64)
    reward = np.zeros((steps, count), np.float32)
    log_prob = np.full((steps, count), np.nan, np.float32)
    for row, one in enumerate(trajectories):
        length = len(one)
        for name, values in one.observation.items():
            observations[name][: length + 1, row] = values
        for padded, allowed in zip(legal, one.legal, strict=True):
            padded[:length, row] = allowed
        action[:length, row] = one.action
        reward[:length, row] = one.reward
        log_prob[:length, row] = one.log_prob
    acting = np.arange(steps)[:, None] < lengths
    games = tuple(one.game for one in trajectories)
    truncated = np.array([game.truncated for game in games])
    complete = np.array([one.ends for one in trajectories])
    last = np.arange(steps)[:, None] == lengths - 1
    return Batch(
        observations=observations,
        legal=legal,
        action=action,
        reward=reward,
        log_prob=log_prob,
        acting=acting,
        known=acting & (action >= 0).all(axis=2),
        reset=np.broadcast_to(np.arange(steps)[:, None] == 0, acting.shape).copy(),
        outcome=np.array([game.outcome for game in games], np.int8),
        truncated=truncated,
        ended=last & (complete & ~truncated),
        lengths=lengths,
        games=games,
    )


def held_out(match_id: str, fraction: float, seed: int = 0) -> bool:
    """Whether a game belongs to the validation set: both views of it always do, or neither.

    Depends on the game's id and the seed alone, so that a folder may grow without games changing sides.
    """
    digest = hashlib.blake2b(f"{seed} {match_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < fraction * 2**64


def check_fits(trajectory: Trajectory, spec: EnvSpec) -> None:
    """Refuse a trajectory whose arrays are not what the spec describes.

    Raises:
        ValueError: names the game and the differences.
    """
    wrong = []
    for name, field in spec.observation.items():
        values = trajectory.observation.get(name)
        found = "missing" if values is None else f"{values.dtype} {list(values.shape[1:])}"
        if found != f"{field.dtype} {list(field.shape)}":
            wrong.append(f"field {name!r} is {found}, expected {field.dtype} {list(field.shape)}")
    wrong += [f"field {name!r} is unknown to {spec.name}" for name in trajectory.observation.keys() - spec.observation]
    sizes = tuple(allowed.shape[1] for allowed in trajectory.legal)
    if sizes != spec.action.sizes or trajectory.action.shape[1] != len(spec.action):
        wrong.append(f"heads of {list(sizes)} options, expected {list(spec.action.sizes)}")
    if wrong:
        raise ValueError(f"game {trajectory.game.match_id} does not fit {spec.name}: {'; '.join(wrong)}")
