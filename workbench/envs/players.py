"""Whoever decides for a seat: what playing asks of networks and scripted players alike, and the scripted ones by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np


class Decision(NamedTuple):
    """What a player decided for N rows.

    Args:
        action: int64 `[N, H]`.
        log_prob: float32 `[N]`; of the whole action, under the distribution it was drawn from (NaN where the player
            has none to give).
        value: float32 `[N]`; expected return of the row, NaN where the player does not estimate one.
        state: float32 `[N, S]`; to be handed to the next `act` on the same rows.
    """

    action: np.ndarray
    log_prob: np.ndarray
    value: np.ndarray
    state: np.ndarray


@runtime_checkable
class Player(Protocol):
    """Decides for any number of rows at once, each row one seat of one game.

    The recurrent state is one flat float32 row a game, all zeros when a game begins, of width 0 for a player without
    memory. Whoever drives the games zeroes the rows of games that begin.
    """

    id: str

    def initial_state(self, batch: int) -> np.ndarray:
        """Zeros, float32 `[batch, S]`."""

    def act(self, observation, legal, state, temperature=1.0, generator=None) -> Decision:
        """Decide for N rows.

        Args:
            observation: per field `[N, *shape]`, numpy.
            legal: one bool `[N, n_h]` a head.
            state: float32 `[N, S]`.
            temperature: divides the logits; 0 takes the best action. Scripted players ignore it.
            generator: the only source of randomness, a `numpy.random.Generator`; required unless temperature is 0
                (scripted players that draw always require it).
        """


class ScriptedPlayer:
    """A player without a network: subclasses write `choose`.

    Raises:
        ValueError: from `act`, if a chosen action is not legal: a scripted player that cheats is a defect.
    """

    id: str
    state_size = 0

    def __init__(self, id: str):
        self.id = id

    def initial_state(self, batch: int) -> np.ndarray:
        return np.zeros((batch, self.state_size), np.float32)

    def choose(self, observation, legal, state, generator) -> np.ndarray:
        """Int `[N, H]` legal actions; may write to `state` in place."""
        raise NotImplementedError

    def act(self, observation, legal, state, temperature=1.0, generator=None) -> Decision:
        action = np.asarray(self.choose(observation, legal, state, generator), dtype=np.int64)
        rows = np.arange(len(action))
        for head, allowed in enumerate(legal):
            if not allowed[rows, action[:, head]].all():
                row = int(np.flatnonzero(~allowed[rows, action[:, head]])[0])
                raise ValueError(
                    f"{self.id}: chose option {action[row, head]} of head {head} in row {row}; "
                    f"legal are {np.flatnonzero(allowed[row]).tolist()}"
                )
        unknown = np.full(len(action), np.nan, np.float32)
        return Decision(action, unknown, unknown, state)


class RandomPlayer(ScriptedPlayer):
    """Uniform over the legal options of each head, in any game."""

    def choose(self, observation, legal, state, generator) -> np.ndarray:
        columns = []
        for allowed in legal:
            drawn = generator.random(allowed.shape, dtype=np.float32)
            columns.append(np.where(allowed, drawn, -1.0).argmax(axis=1))
        return np.stack(columns, axis=1)

    def act(self, observation, legal, state, temperature=1.0, generator=None) -> Decision:
        decision = super().act(observation, legal, state, temperature, generator)
        log_prob = -sum(np.log(np.maximum(allowed.sum(axis=1), 1)) for allowed in legal)
        return decision._replace(log_prob=np.asarray(log_prob, np.float32))

    def probabilities(self, observation, legal) -> np.ndarray:
        """float64 `[N, n]` over the options of a single head: the same for each legal one."""
        (allowed,) = legal
        return allowed / allowed.sum(axis=1, keepdims=True)


_scripted: dict[str, Callable[[str], Player]] = {}


def register_scripted(name: str, factory: Callable[[str], Player]) -> None:
    """Make a scripted player known by `name` (`game/style`, e.g. `gen1ou/max-power`); `factory(name)` builds it."""
    if name in _scripted:
        raise ValueError(f"a scripted player named {name!r} is registered already")
    _scripted[name] = factory


def scripted_names() -> list[str]:
    """Names of all scripted players, sorted."""
    return sorted(_scripted)


def scripted_player(name: str) -> Player:
    """The scripted player of that name.

    Raises:
        KeyError: unknown name; the message gives the nearest ones.
    """
    if name not in _scripted:
        near = difflib.get_close_matches(name, _scripted, n=3, cutoff=0.4) or scripted_names()
        raise KeyError(f"no scripted player named {name!r}; did you mean {', '.join(near)}?")
    return _scripted[name](name)


register_scripted("random", RandomPlayer)
