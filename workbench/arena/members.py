"""The members of a population: who they are, and how the learner has fared against them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from workbench.envs.core import EnvSpec
from workbench.envs.players import Player


@dataclass
class Record:
    """How the learner has fared against a member. `recent_*` fade over about `memory` games."""

    rating: float
    games: int = 0
    wins: int = 0
    draws: int = 0
    recent_games: float = 0.0
    recent_score: float = 0.0
    open_games: int = 0

    def add(self, score: float, memory: int) -> None:
        """One game more, in which the learner scored 1, .5 or 0."""
        fade = 1 - 1 / memory
        self.games += 1
        self.wins += int(score == 1)
        self.draws += int(score == 0.5)
        self.recent_games = self.recent_games * fade + 1
        self.recent_score = self.recent_score * fade + score
        self.open_games = max(0, self.open_games - 1)

    @property
    def losses(self) -> int:
        return self.games - self.wins - self.draws

    @property
    def win_rate(self) -> float:
        """The learner's recent score a game, with one drawn game added: .5 where nothing is known."""
        return (self.recent_score + 0.5) / (self.recent_games + 1)


@dataclass
class Member:
    """A player of a population; `content` is the hash of a snapshot's weights when it was frozen, else empty.

    A `retired` one is drawn no more, and only finishes the games that are open.
    """

    player: Player
    kind: str
    record: Record
    content: str = ""
    retired: bool = False


def content_hash(arrays: dict[str, np.ndarray]) -> str:
    """32 hex digits over the names, types, shapes and bytes of arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def rebuild_snapshot(id: str, spec: dict, settings: dict, weights: dict[str, np.ndarray], device: str):
    """The frozen policy of these weights, from what a population's state says of it."""
    from workbench.policies import Policy, PolicySettings  # imports torch

    policy = Policy.create(EnvSpec.from_json(spec), PolicySettings.from_json(settings), device=device)
    policy.load_arrays(weights)
    policy.requires_grad_(False)
    policy.id = id
    return policy
