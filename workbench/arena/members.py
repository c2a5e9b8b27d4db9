"""The members of a population: who they are, and how the learner has fared against them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.arena.entrants import entrants
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


def scripted_members(scripted: Sequence[str], random: str | None, spec: EnvSpec | None, rating: float) -> list[Member]:
    """Members of kinds `scripted` and `random`, in this order.

    Args:
        scripted: names or folders for `load_policy`.
        random: name of the player of kind `random`, also where it stands among `scripted`; None for nobody.
        spec: the game, against which players from folders are checked.
        rating: of each.
    """
    names = dict.fromkeys(map(str, scripted))
    kinds = {"scripted": [name for name in names if name != random], "random": [] if random is None else [random]}
    found = []
    for kind, some in kinds.items():
        for entrant in entrants(some):
            player = entrant.load(spec)
            content = content_hash(player.arrays()) if hasattr(player, "arrays") else ""
            found.append(Member(player, kind, Record(rating), content))
    return found


def content_hash(arrays: dict[str, np.ndarray]) -> str:
    """32 hex digits over the names, types, shapes and bytes of arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def rebuild_snapshot(id: str, spec: dict, settings: dict, weights: dict[str, np.ndarray], content: str, device: str):
    """The frozen policy of these weights, from what a population's state says of it.

    Raises:
        ValueError: the weights' hash is not `content`.
    """
    from workbench.policies import Policy, PolicySettings  # imports torch

    if content_hash(weights) != content:
        raise ValueError(f"snapshot {id!r}: its weights are not those that were frozen; the state is damaged")
    policy = Policy.create(EnvSpec.from_json(spec), PolicySettings.from_json(settings), device=device)
    policy.load_arrays(weights)
    policy.requires_grad_(False)
    policy.id = id
    return policy
