"""Who takes part: players by name, by path or as they are, each under an id of his own."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.envs.core import EnvSpec
from workbench.envs.players import Player
from workbench.policies.registry import find_policy, load_policy

Source = Player | str | Path


@dataclass(frozen=True)
class Entrant:
    """Somebody who takes part, under the id that tables of results show."""

    id: str
    source: Source

    def load(self, spec: EnvSpec | None = None) -> Player:
        """The player, called `id`; policies made for another game than `spec` are refused."""
        player = loaded(self.source, spec)
        if player.id != self.id:
            player = copy.copy(player)
            player.id = self.id
        return player


def entrants(players: Sequence[Source] | Mapping[str, Source]) -> list[Entrant]:
    """Everybody with an id of his own.

    Args:
        players: ids and players, names or paths; or only the latter, which then go by their own ids, or by what
            their paths differ in where policies in several folders have the same id.

    Raises:
        ValueError: two of one id.
    """
    if isinstance(players, Mapping):
        return [Entrant(id, source) for id, source in players.items()]
    sources = list(players)
    ids = distinct_ids(sources, [_id(source) for source in sources])
    return [Entrant(id, source) for id, source in zip(ids, sources, strict=True)]


def distinct_ids(sources: Sequence[Source], ids: Sequence[str]) -> list[str]:
    """The ids, but where players from several folders have the same one, that in which their paths differ.

    Raises:
        ValueError: two are still the same.
    """
    ids = list(ids)
    alike = [i for i, source in enumerate(sources) if ids.count(ids[i]) > 1 and isinstance(source, str | Path)]
    paths = [Path(sources[i]).absolute() for i in alike]
    if len(set(paths)) > 1:
        shared = os.path.commonpath(paths)
        for i, path in zip(alike, paths, strict=True):
            ids[i] = path.relative_to(shared).as_posix()
    twice = sorted({id for id in ids if ids.count(id) > 1})
    if twice:
        raise ValueError(
            f"players of one id could not be told apart: {', '.join(twice)}; give each an id of its own "
            "(player.id = ..., or a dict of ids and players)"
        )
    return ids


def _id(source: Source) -> str:
    return find_policy(source)[0] if isinstance(source, str | Path) else source.id


def loaded(source: Source, spec: EnvSpec | None = None) -> Player:
    """The player itself, or what the registry knows by that name or path.

    Raises:
        ValueError: made for another game than `spec`; the differences are named.
    """
    if isinstance(source, str | Path):
        return load_policy(source, spec=spec)
    if spec is not None and hasattr(source, "spec") and source.spec.fingerprint != spec.fingerprint:
        from workbench.policies.core import check_spec

        check_spec(source.spec, spec, source.id)
    return source
