"""Playing games between two players, and nothing else: an exact number of them, replayable from a seed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from workbench.arena.entrants import Source, distinct_ids, loaded
from workbench.arena.matches import Matches
from workbench.envs.core import SEATS, Env, TimeStep, game_seed
from workbench.envs.players import Player


class Recorder(Protocol):
    """Watches games being played: called around every `env.step`.

    A slot that has played its share shows as a slot where nobody acts and nothing ends, so a recorder that keeps what
    acting seats did until their game is done records exactly the games of the returned table.
    """

    def before_step(self, timestep: TimeStep, actions: np.ndarray, log_probs: np.ndarray) -> None:
        """`actions` int `[B, 2, H]` and `log_probs` float32 `[B, 2]` are meant where `timestep.acting`."""

    def after_step(self, timestep: TimeStep) -> None:
        """The time step that followed."""


def play(
    env: Env | Sequence[Env],
    first: Source,
    second: Source,
    *,
    games: int,
    seed: int = 0,
    temperature: float | tuple[float, float] = 1.0,
    recorder: Recorder | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Matches:
    """Exactly `games` games between `first` and `second`, each sitting in either seat half of the time.

    Every slot of the batch has a share of the games fixed beforehand and plays it to its end. Taking the first games
    to finish instead would prefer short games, and so whoever wins quickly. In slots of odd number `first` sits in
    seat 1; where the batch is a single slot, in its games of odd number.

    Args:
        env: what is played; it is reset, and left open. Several envs of one game play side by side: while one that
            offers `step_begin(actions)` and `step_end()` steps, the players decide for the next.
        first, second: players, or names and paths for `workbench.policies.registry.load_policy`. The same player
            twice decides for both seats at once.
        games: how many, at least 1; the batch need not divide it.
        seed: decides the games and all that players draw. The same seed and batch sizes give the same table, but for
            `started` and `seconds`.
        temperature: of both players, or one each.
        recorder: sees every step (only with a single env).
        progress: called with (games finished, games) whenever some finish.

    Returns:
        Matches, in the order in which games finished.

    Raises:
        ValueError: different players of one id (policies from two folders go by where their paths differ), envs of
            different games, `games` below 1, or a recorder with several envs.
    """
    envs = [env] if isinstance(env, Env) else list(env)
    _check(envs, games, recorder)
    sources = (first, second)
    first = loaded(first, envs[0].spec)
    if sources[0] is sources[1] or (isinstance(sources[0], str | Path) and sources[0] == sources[1]):
        second = first
    else:
        second = loaded(second, envs[0].spec)
        for player, id in zip((first, second), distinct_ids(sources, (first.id, second.id)), strict=True):
            if player.id != id:
                player.id = id
    temperatures = temperature if isinstance(temperature, tuple) else (temperature, temperature)
    pairing = _Pairing(first, second, int(seed), tuple(map(float, temperatures)), tuple(env.batch_size for env in envs))
    tables = _tables(envs, pairing, shares(games, sum(pairing.slots)))
    done = 0
    for table in tables:
        if table.playing:
            table.begin(recorder)
    while any(table.playing for table in tables):
        for table in tables:
            if not table.playing:
                continue
            finished = table.end(recorder)
            if finished:
                done += finished
                if progress is not None:
                    progress(done, games)
            if table.playing:
                table.begin(recorder)
    rows = sorted((row for table in tables for row in table.rows), key=lambda row: row[0])
    return Matches(pd.DataFrame([row[1] for row in rows]))


def _check(envs: list[Env], games: int, recorder: Recorder | None) -> None:
    if games < 1:
        raise ValueError(f"games={games}: expected at least 1")
    if not envs:
        raise ValueError("play needs an env; got an empty list")
    if len({env.spec.fingerprint for env in envs}) > 1:
        raise ValueError(f"envs of one call must be of one game; got {[env.spec.name for env in envs]}")
    if recorder is not None and len(envs) > 1:
        raise ValueError(f"a recorder follows one env; got {len(envs)} envs")


def shares(games: int, slots: int) -> np.ndarray:
    """How many of `games` each slot plays, int `[slots]`: even, and as many in slots of even as of odd number.

    Where `games` is odd, slots of even number play one more in all; a single slot plays them all.
    """
    share = np.zeros(slots, np.int64)
    even, odd = np.arange(0, slots, 2), np.arange(1, slots, 2)
    for some, count in ((even, games if not len(odd) else (games + 1) // 2), (odd, games // 2)):
        if len(some):
            share[some] = count // len(some)
            share[some[: count % len(some)]] += 1
    return share


@dataclass(frozen=True)
class _Pairing:
    """What is the same for all games of a call."""

    first: Player
    second: Player
    seed: int
    temperatures: tuple[float, float]
    slots: tuple[int, ...]

    def match_id(self, env: str, slot: int, game: int) -> str:
        """16 hex digits that no other call, slot or game shares."""
        what = (env, self.first.id, self.second.id, self.seed, self.temperatures, self.slots, slot, game)
        return hashlib.blake2b(repr(what).encode(), digest_size=8).hexdigest()


def _tables(envs: list[Env], pairing: _Pairing, share: np.ndarray) -> list[_Table]:
    offsets = np.cumsum([0, *pairing.slots])
    return [_Table(env, pairing, i, share[offsets[i] : offsets[i + 1]], int(offsets[i])) for i, env in enumerate(envs)]


class _Chair:
    """One player at one env: which seats are his, what he remembers, and his own source of chance."""

    def __init__(self, player: Player, temperature: float, generator: np.random.Generator, slots: int):
        self.player, self.temperature, self.generator = player, temperature, generator
        memory = player.initial_state(slots * SEATS)
        self.state = np.zeros((slots, SEATS, memory.shape[1]), np.float32)
        self.sits = np.zeros((slots, SEATS), bool)

    def decide(self, timestep: TimeStep, acting, actions, log_probs) -> None:
        """Fill in the rows of `actions` and `log_probs` where he sits and acts."""
        rows = np.nonzero(acting & self.sits)
        if not len(rows[0]):
            return
        decision = self.player.act(
            {name: values[rows] for name, values in timestep.observation.items()},
            tuple(allowed[rows] for allowed in timestep.legal),
            self.state[rows],
            self.temperature,
            self.generator,
        )
        actions[rows] = decision.action
        log_probs[rows] = decision.log_prob
        self.state[rows] = decision.state


class _Table:
    """The games of one env: who sits where, which games still count, and what came of them."""

    def __init__(self, env: Env, pairing: _Pairing, number: int, share: np.ndarray, offset: int):
        self.env, self.pairing, self.share = env, pairing, share
        self.slot = offset + np.arange(env.batch_size)
        first, second, warm = pairing.first, pairing.second, pairing.temperatures
        streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence((pairing.seed, number)).spawn(2)]
        # both seats of one player are one batch, unless he plays them at different temperatures
        self.alone = first is second and warm[0] == warm[1]
        self.chairs = [
            _Chair(player, temperature, stream, env.batch_size)
            for player, temperature, stream in zip((first, second), warm, streams, strict=True)
        ][: 1 if self.alone else 2]
        self.overlap = hasattr(env, "step_begin") and hasattr(env, "step_end")
        self.rows: list[tuple[tuple[int, int], dict]] = []
        self.steps = 0
        # env 0 is reset with the seed itself, so that a game of a single env is found again by (seed, slot, number)
        self.timestep = env.reset(pairing.seed if number == 0 else int(game_seed(pairing.seed, number, 0) >> 1))
        self.played = np.zeros(env.batch_size, np.int64)
        self.earned = np.zeros(env.batch_size)  # by seat 0, in the game under way
        self.swapped = np.zeros(env.batch_size, bool)
        self.seeds = self.timestep.game_seed.copy()
        self.started = np.full(env.batch_size, datetime.now(UTC), object)
        self.clock = np.full(env.batch_size, time.perf_counter())
        self._seat(np.ones(env.batch_size, bool))

    @property
    def playing(self) -> bool:
        return bool((self.played < self.share).any())

    def begin(self, recorder: Recorder | None) -> None:
        """Decide for all seats and, where the env can step in the background, set it off."""
        timestep = self.timestep
        live = self.played < self.share
        acting = timestep.acting & live[:, None]
        shape = (*timestep.acting.shape, len(timestep.legal))
        actions = np.zeros(shape, np.int64)
        log_probs = np.full(shape[:2], np.nan, np.float32)
        for chair in self.chairs:
            chair.decide(timestep, acting, actions, log_probs)
        idle = timestep.acting & ~live[:, None]
        if idle.any():
            for head, allowed in enumerate(timestep.legal):
                actions[..., head][idle] = allowed[idle].argmax(axis=1)
        if recorder is not None:
            recorder.before_step(_seen(timestep, live), actions, log_probs)
        self.actions = actions
        if self.overlap:
            self.env.step_begin(actions)

    def end(self, recorder: Recorder | None) -> int:
        """Take the step decided on; returns how many games that count ended in it."""
        live = self.played < self.share
        self.timestep = timestep = self.env.step_end() if self.overlap else self.env.step(self.actions)
        self.steps += 1
        if recorder is not None:
            recorder.after_step(_seen(timestep, live))
        self.earned += timestep.reward[:, 0]
        over = timestep.done & live
        if not over.any():
            return 0
        for slot in np.flatnonzero(over):
            self.rows.append(((self.steps, int(self.slot[slot])), self._row(slot)))
        self.played[over] += 1
        self.earned[timestep.done] = 0
        self.seeds[over] = timestep.game_seed[over]
        self.started[over] = datetime.now(UTC)
        self.clock[over] = time.perf_counter()
        self._seat(over)
        return int(over.sum())

    def _seat(self, begins: np.ndarray) -> None:
        """Seat the players, with empty memories, where a game begins."""
        alternate = self.played if sum(self.pairing.slots) == 1 else 0
        self.swapped = np.where(begins, (self.slot + alternate) % 2 == 1, self.swapped)
        for chair in self.chairs:
            chair.state[begins] = 0
        if self.alone:
            self.chairs[0].sits[:] = True
        else:
            self.chairs[0].sits[:] = np.stack([~self.swapped, self.swapped], axis=1)
            self.chairs[1].sits[:] = ~self.chairs[0].sits

    def _row(self, slot: int) -> dict:
        timestep, pairing = self.timestep, self.pairing
        ids = (pairing.first.id, pairing.second.id)
        first, second = ids[::-1] if self.swapped[slot] else ids
        return {
            "match_id": pairing.match_id(self.env.spec.name, int(self.slot[slot]), int(self.played[slot])),
            "seed": self.seeds[slot],
            "env": self.env.spec.name,
            "policy_0": first,
            "policy_1": second,
            "outcome": timestep.outcome[slot],
            "payoff": self.earned[slot] if self.env.spec.stakes else timestep.outcome[slot],
            "length": timestep.length[slot],
            "end_reason": self.env.spec.end_reasons[timestep.end_reason[slot]],
            "started": self.started[slot],
            "seconds": time.perf_counter() - self.clock[slot],
        }


def _seen(timestep: TimeStep, live: np.ndarray) -> TimeStep:
    """The time step with slots that have played their share at rest."""
    if live.all():
        return timestep
    return timestep._replace(
        acting=timestep.acting & live[:, None],
        terminated=timestep.terminated & live,
        truncated=timestep.truncated & live,
    )
