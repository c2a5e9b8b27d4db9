"""The contract between games and everything that learns: specs, `TimeStep`, `Env`.

An env plays a batch of `B` two-seat games at once, in numpy. Networks, trainers, tournaments and meta-games
see games only through this module.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

SEATS = 2


@dataclass(frozen=True)
class Field:
    """One array of an observation, as one seat of one game sees it.

    Args:
        shape: without the leading `[B, 2]`.
        dtype: `"float32"` for numbers, `"int16"` or `"int32"` for tokens.
        vocabulary: number of tokens; every value lies in `[0, vocabulary)`. 0 marks a field of plain numbers.
        names: what the entries of the last axis are called, for reports and for the fingerprint; may be empty.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    vocabulary: int = 0
    names: tuple[str, ...] = ()

    @property
    def is_tokens(self) -> bool:
        return self.vocabulary > 0


@dataclass(frozen=True)
class Head:
    """One categorical choice of an action: its name and the names of its options."""

    name: str
    options: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.options)


@dataclass(frozen=True)
class ActionSpec:
    """Named categorical heads in sampling order; an action is one index a head, int `[H]`."""

    heads: tuple[Head, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(head.size for head in self.heads)

    def __len__(self) -> int:
        return len(self.heads)


@dataclass(frozen=True)
class EnvSpec:
    """What a policy must know of an env, and all that decides whether a saved policy still fits it.

    Args:
        name: the name `make` knows the env by, e.g. `"melee-mock"`.
        version: raised whenever a field keeps its shape but changes its meaning.
        observation: fields by name, in order.
        action: the heads.
        end_reasons: what the codes of `TimeStep.end_reason` mean.
        stakes: games are for different amounts (chips): a game's payoff is the sum of its rewards. Otherwise it is the
            outcome, and rewards may be shaped.
    """

    name: str
    version: int
    observation: dict[str, Field]
    action: ActionSpec
    end_reasons: tuple[str, ...] = ("rules", "time limit")
    stakes: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over everything a network's inputs and outputs depend on."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict:
        described = asdict(self)
        del described["end_reasons"], described["stakes"]
        return described

    @classmethod
    def from_json(cls, described: dict) -> EnvSpec:
        """The inverse of `to_json`."""
        fields = {
            name: Field(tuple(field["shape"]), field["dtype"], field["vocabulary"], tuple(field["names"]))
            for name, field in described["observation"].items()
        }
        heads = tuple(Head(head["name"], tuple(head["options"])) for head in described["action"]["heads"])
        return cls(described["name"], described["version"], fields, ActionSpec(heads))

    def differences(self, other: EnvSpec) -> list[str]:
        """In words, how `other` differs from this spec in what the fingerprint covers; empty where it does not."""
        found = [
            f"{what}: {mine!r} here, {theirs!r} there"
            for what, mine, theirs in (("name", self.name, other.name), ("version", self.version, other.version))
            if mine != theirs
        ]
        for kind, mine, theirs in (
            ("observation field", self.observation, other.observation),
            ("action head", {h.name: h for h in self.action.heads}, {h.name: h for h in other.action.heads}),
        ):
            for name in sorted(mine.keys() | theirs.keys()):
                if name not in theirs:
                    found.append(f"{kind} {name!r}: only here")
                elif name not in mine:
                    found.append(f"{kind} {name!r}: only there")
                elif mine[name] != theirs[name]:
                    found.append(f"{kind} {name!r}: {_changed(mine[name], theirs[name])}")
        if not found and self.fingerprint != other.fingerprint:
            found.append("the order of observation fields or action heads")
        return found


def _changed(mine, theirs) -> str:
    mine, theirs = asdict(mine), asdict(theirs)
    return ", ".join(f"{key} {mine[key]} here, {theirs[key]} there" for key in mine if mine[key] != theirs[key])


class TimeStep(NamedTuple):
    """What every seat of every game sees after a step.

    The arrays belong to the env and are overwritten by its next `step` or `reset`: copy what you keep.

    Args:
        observation: per field `[B, 2, *shape]`; what each seat may know, nothing more.
        legal: one bool `[B, 2, n_h]` a head; where `acting`, at least one option of each head is True.
        acting: bool `[B, 2]`; the seat decides now.
        reward: float32 `[B, 2]`; earned since the seat's last decision and delivered once, when the seat acts
            again or the game ends; 0 while it waits.
        terminated: bool `[B]`; the game ended by its rules in this step.
        truncated: bool `[B]`; a limit cut it in this step.
        outcome: int8 `[B]`; where done, +1 seat 0 won, -1 seat 1 won, 0 drawn.
        length: int32 `[B]`; where done, steps the ended game lasted.
        end_reason: int8 `[B]`; where done, an index into `EnvSpec.end_reasons`.
        game_seed: uint64 `[B]`; seed of the game now in the slot (where done, already the next one's).
        final_observation: as `observation`, valid in the games that ended in this step, where `observation` is
            already the next game's first (same-step autoreset). None where no game ended.
    """

    observation: dict[str, np.ndarray]
    legal: tuple[np.ndarray, ...]
    acting: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    outcome: np.ndarray
    length: np.ndarray
    end_reason: np.ndarray
    game_seed: np.ndarray
    final_observation: dict[str, np.ndarray] | None

    @property
    def done(self) -> np.ndarray:
        """bool `[B]`: ended or cut in this step."""
        return self.terminated | self.truncated


class Env(ABC):
    """A batch of two-seat games with simultaneous moves and partial observation.

    The same seed and the same actions give the same games, bit for bit. An env never shows a seat what the rules
    hide from it. `close` may be called twice; an env is also a context manager.
    """

    spec: EnvSpec
    batch_size: int

    @abstractmethod
    def reset(self, seed: int = 0) -> TimeStep:
        """Begin new games in all slots; slot b's k-th game gets seed `game_seed(seed, b, k)`."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> TimeStep:
        """Play int `[B, 2, H]` actions; rows of seats that are not acting are not read."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything `restore` needs to go on from here, bit for bit, in another process."""

    @abstractmethod
    def restore(self, state: dict[str, np.ndarray]) -> TimeStep:
        """Go on from a `state`; returns the time step that was current when it was taken."""

    def close(self) -> None:  # noqa: B027 -- most envs hold nothing that must be released
        """Release processes and memory."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def game_seed(seed: int, slot, game) -> np.ndarray:
    """The uint64 seed of a slot's game: SplitMix64 over (seed, slot, game), vectorised over slot and game.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".
    """
    mixed = _splitmix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF))
    mixed = _splitmix(mixed ^ np.asarray(slot, dtype=np.uint64))
    return _splitmix(mixed ^ np.asarray(game, dtype=np.uint64))


def _splitmix(value):
    with np.errstate(over="ignore"):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
