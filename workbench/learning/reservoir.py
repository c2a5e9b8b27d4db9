"""A uniform sample of all decisions ever made, in bounded memory: what an average policy is learned from.

>>> reservoir = Reservoir(env.spec, slots=100_000)
>>> reservoir.add(decisions_of(ppo.rollout, reservoir.layout))
>>> imitation = Imitation(average, reservoir, ImitationSettings(value_weight=0))

Source: Vitter 1985, "Random sampling with a reservoir", algorithm R; in self-play: Heinrich and Silver 2016,
arXiv 1603.01121.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from workbench.envs.core import EnvSpec
from workbench.learning.rollout import Rollout
from workbench.policies.encoders import Layout


class Decisions(NamedTuple):
    """Entries of a reservoir: numpy arrays `[M, longest, ...]`, what lies beyond an entry's length means nothing.

    Args:
        numbers, tokens: observations laid flat, float32 `[.., D]` and integer `[.., K]`.
        options: bool `[.., L]`, what was legal.
        action: int16 `[.., H]`.
    """

    numbers: np.ndarray
    tokens: np.ndarray
    options: np.ndarray
    action: np.ndarray


def empty_decisions(layout: Layout, count: int, longest: int) -> Decisions:
    """Room for so many entries; memory is taken as it is filled."""
    shape = (count, longest)
    return Decisions(
        np.zeros((*shape, layout.number_width), np.float32),
        np.zeros((*shape, layout.token_width), layout.token_type),
        np.zeros((*shape, layout.option_width), bool),
        np.zeros((*shape, len(layout.sizes)), np.int16),
    )


class Stretches(NamedTuple):
    """What `Imitation` reads of a batch: N stretches of up to T decisions side by side, time first.

    Args:
        observation: per field `[T, N, *shape]`.
        legal: one bool `[T, N, n_h]` a head.
        action: int64 `[T, N, H]`.
        reset: bool `[T, N]`, a game begins here.
        acting: bool `[T, N]`, there is a decision here; elsewhere a shorter stretch has ended.
        lengths: int `[N]`, at least 1.
    """

    observation: dict[str, np.ndarray]
    legal: tuple[np.ndarray, ...]
    action: np.ndarray
    reset: np.ndarray
    acting: np.ndarray
    lengths: np.ndarray


class Reservoir:
    """Holds each entry ever added with the same chance, `slots / seen`; implements `imitation.Batches`.

    An entry is one decision, or for policies with memory a whole game of one player, from its first decision on. What
    is held does not depend on how entries were divided among calls of `add`.

    Args:
        spec: of the env.
        slots: entries that fit.
        longest: decisions an entry may have.
        replacement: the least chance that a new entry takes another's place. Above 0, once `slots / seen` has fallen to
            it, what is held is no longer even: older entries fade, over `slots / replacement` new ones by a factor of e.
        seed: of its own generator, which nothing else draws from.

    Attributes:
        seen: entries added so far.
    """

    def __init__(self, spec: EnvSpec, *, slots: int, longest: int = 1, replacement: float = 0.0, seed: int = 0):
        if slots < 1 or longest < 1:
            raise ValueError(f"slots={slots}, longest={longest}: expected at least 1")
        if not 0 <= replacement <= 1:
            raise ValueError(f"replacement={replacement}: expected a chance in [0, 1]")
        self.spec, self.slots, self.longest, self.replacement = spec, slots, longest, replacement
        self.layout = Layout(spec)
        # whoever plays may have been given the same seed
        self.generator = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        self.seen = 0
        self._kept = empty_decisions(self.layout, slots, longest)
        self._lengths = np.zeros(slots, np.int32)

    def __len__(self) -> int:
        """Entries held."""
        return min(self.seen, self.slots)

    def __repr__(self) -> str:
        size = sum(array.nbytes for array in self._kept) / 1e6
        kind = "decisions" if self.longest == 1 else f"games of up to {self.longest} decisions"
        return (
            f"Reservoir of {len(self):,} {kind}, room for {self.slots:,} ({size:,.0f} MB when full), {self.seen:,} seen"
        )

    def add(self, entries: Decisions, lengths: np.ndarray | None = None) -> None:
        """Offer M entries, in order.

        Args:
            entries: arrays `[M, longest, ...]`.
            lengths: int `[M]`, how many decisions of each count; all by default.

        Raises:
            ValueError: entries of another shape.
        """
        count = len(entries.action)
        for name, array, mine in zip(Decisions._fields, entries, self._kept, strict=True):
            if array.shape[1:] != mine.shape[1:]:
                raise ValueError(f"{name} has shape {array.shape}, expected {(count, *mine.shape[1:])}")
        which, where = self._places(count)
        for mine, array in zip(self._kept, entries, strict=True):
            mine[where] = array[which]
        self._lengths[where] = self.longest if lengths is None else lengths[which]

    def _places(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Which of the next `count` entries are held once all have been offered, and in which slots."""
        number = self.seen + np.arange(count)  # of entries before each
        slot = number.copy()
        late = number >= self.slots
        # entry n + 1 is held with this chance, in any slot alike; beyond the last slot lies "not held"
        chance = np.maximum(self.slots / (number[late] + 1), self.replacement)
        slot[late] = (self.generator.random(int(late.sum())) / chance * self.slots).astype(np.int64)
        self.seen += count
        held = np.flatnonzero(slot < self.slots)
        # of those that fell on one slot the last stays
        where, last = np.unique(slot[held][::-1], return_index=True)
        return held[::-1][last], where

    def batch(self, count: int) -> Stretches:
        """`count` entries, drawn with replacement.

        Raises:
            ValueError: nothing was added yet.
        """
        if not self.seen:
            raise ValueError("the reservoir is empty: add decisions before learning from it")
        drawn = self.generator.integers(len(self), size=count)
        lengths = self._lengths[drawn].astype(np.int64)
        steps = int(lengths.max())
        numbers, tokens, options, action = (
            np.ascontiguousarray(array[drawn, :steps].swapaxes(0, 1)) for array in self._kept
        )
        acting = np.arange(steps)[:, None] < lengths
        reset = np.zeros((steps, count), bool)
        reset[0] = True
        starts = self.layout.starts
        legal = tuple(options[..., first:end] for first, end in pairwise(starts))
        return Stretches(self._fields(numbers, tokens), legal, action.astype(np.int64), reset, acting, lengths)

    def _fields(self, numbers: np.ndarray, tokens: np.ndarray) -> dict[str, np.ndarray]:
        """Observations by field, as views of flat arrays `[T, N, ...]`."""
        found = {}
        for flat, fields in ((numbers, self.layout.numbers), (tokens, self.layout.tokens)):
            start = 0
            for name, size in fields:
                part = flat[..., start : start + size]
                found[name] = part.reshape(*part.shape[:2], *self.spec.observation[name].shape)
                start += size
        return found

    def state(self) -> dict:
        """JSON-able: what decides which entries come next; the entries themselves are in `arrays`."""
        return {
            "seen": self.seen,
            "slots": self.slots,
            "longest": self.longest,
            "replacement": self.replacement,
            "random": self.generator.bit_generator.state,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Entries held, `[len(self), longest, ...]`, and their lengths."""
        held = {name: array[: len(self)] for name, array in zip(Decisions._fields, self._kept, strict=True)}
        return held | {"lengths": self._lengths[: len(self)]}

    def restore(self, state: dict) -> None:
        """Go on from a `state`, once `take_arrays` has the entries.

        Raises:
            ValueError: of a reservoir of another size.
        """
        for name in ("slots", "longest", "replacement"):
            if state[name] != getattr(self, name):
                raise ValueError(
                    f"saved with {name}={state[name]} of the reservoir, this one has {getattr(self, name)}"
                )
        self.seen = state["seen"]
        self.generator.bit_generator.state = state["random"]

    def take_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over the entries that `arrays` gave."""
        for name, mine in zip((*Decisions._fields, "lengths"), (*self._kept, self._lengths), strict=True):
            mine[: len(arrays[name])] = arrays[name]


def decisions_of(rollout: Rollout, layout: Layout) -> Decisions:
    """All decisions of a rollout's learner, each an entry of its own, step by step."""
    cells = np.nonzero(rollout.deciding)
    return Decisions(*(np.ascontiguousarray(array[cells])[:, None] for array in _grids(rollout, layout)))


class OpenGames:
    """Puts the decisions of each row together, rollout after rollout, until its game ends.

    Args:
        layout: of the policy.
        rows: of the rollouts.
        longest: decisions that are kept of a game, its first ones; a memory that begins with the game needs them.

    Attributes:
        left_out: decisions beyond those, so far.
    """

    def __init__(self, layout: Layout, rows: int, longest: int):
        self.layout, self.longest, self.left_out = layout, longest, 0
        self._open = empty_decisions(layout, rows, longest)
        self._lengths = np.zeros(rows, np.int32)

    def take(self, rollout: Rollout) -> tuple[Decisions, np.ndarray]:
        """The games in which the learner decided something and that ended in this rollout, and their lengths."""
        grids, ended = _grids(rollout, self.layout), []
        for t, deciding in enumerate(rollout.deciding):
            rows = np.flatnonzero(deciding & (self._lengths < self.longest))
            self.left_out += int(deciding.sum()) - len(rows)
            for mine, grid in zip(self._open, grids, strict=True):
                mine[rows, self._lengths[rows]] = grid[t, rows]
            self._lengths[rows] += 1
            over = np.flatnonzero(rollout.ended[t] & (self._lengths > 0))
            if len(over):
                ended.append((*(mine[over] for mine in self._open), self._lengths[over].copy()))
                for mine in (*self._open, self._lengths):
                    mine[over] = 0
        if not ended:
            return Decisions(*(mine[:0] for mine in self._open)), self._lengths[:0]
        *entries, lengths = (np.concatenate(parts) for parts in zip(*ended, strict=True))
        return Decisions(*entries), lengths

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON-able counters, and arrays; `restore` goes on from them."""
        used = int(self._lengths.max(initial=0))
        arrays = {name: mine[:, :used] for name, mine in zip(Decisions._fields, self._open, strict=True)}
        return {"left_out": self.left_out}, arrays | {"lengths": self._lengths}

    def restore(self, counters: dict, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a `state`."""
        self.left_out = counters["left_out"]
        self._lengths[:] = arrays["lengths"]
        for name, mine in zip(Decisions._fields, self._open, strict=True):
            mine[:, : arrays[name].shape[1]] = arrays[name]


def _grids(rollout: Rollout, layout: Layout) -> Decisions:
    """A rollout's own arrays, `[T, R, ...]`."""
    options = rollout.options
    if options is None:
        options = np.broadcast_to(True, (*rollout.deciding.shape, layout.option_width))
    return Decisions(*rollout.inputs, options, rollout.action)
