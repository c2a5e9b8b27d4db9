"""What a dataset's folder holds: every trajectory once, where to read it, and which files could not be read.

A folder is one env's (`.../gen1ou`) or the root above several. Metamon's files are the games; chunks beside them add
what those cannot hold. A battle whose file was taken out of the folder is out of the dataset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workbench.data import games, metamon
from workbench.data.files import DamagedFile
from workbench.data.metamon_views import views_from_states
from workbench.data.trajectories import UNKNOWN, Game, Trajectory
from workbench.envs.pokemon import actions as pokemon_actions
from workbench.envs.pokemon import observation as pokemon_observation
from workbench.envs.pokemon import reward as pokemon_reward
from workbench.envs.pokemon import view as pokemon_view

LOOSE_SHARD = 64  # Metamon's files without a chunk are read in groups of so many


class Entry(NamedTuple):
    """One trajectory of a folder.

    Args:
        source: the chunk it lies in, or Metamon's file.
        row: of the chunk; -1 for a file of its own.
        file: name of Metamon's file beside the chunk; empty where there is none.
        game: who and how; of a file of its own only what its name tells.
        decisions: -1 where only reading the file tells.
        illegal: actions that were not legal when chosen; -1 where nobody wrote down what was legal.
    """

    source: Path
    row: int
    file: str
    game: Game
    decisions: int
    illegal: int


@dataclass
class Folder:
    """An index of a dataset's folder.

    Args:
        path: as given.
        shards: entries grouped as they are read together, in order of names.
        skipped: files that could not be read, each with the reason.
    """

    path: Path
    shards: list[list[Entry]] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def entries(self) -> list[Entry]:
        return [entry for shard in self.shards for entry in shard]

    def select(self, wanted: Callable[[Entry], bool]) -> Folder:
        """The same folder with only the entries for which `wanted` is true."""
        kept = [[entry for entry in shard if wanted(entry)] for shard in self.shards]
        return Folder(self.path, [shard for shard in kept if shard], list(self.skipped))


def open_folder(path: str | Path) -> Folder:
    """Index a folder of games without reading the games themselves.

    Raises:
        FileNotFoundError: no such folder, or no game in it; the message says what was expected.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; expected a dataset written by a Recorder or by Metamon")
    folder = Folder(path)
    for inner in (path, *sorted(child for child in path.iterdir() if child.is_dir() and child.name[0] != ".")):
        _index(inner, folder)
    if not folder.shards and not folder.skipped:
        raise FileNotFoundError(
            f"{path}: no games; expected {games.PREFIX}*.parquet or *.json.lz4, here or one level below"
        )
    return folder


def _index(inner: Path, folder: Folder) -> None:
    names = sorted(child.name for child in inner.iterdir() if child.is_file() and child.name[0] != ".")
    battles = {name for name in names if name.endswith(metamon.SUFFIXES) and "_vs_" in name}
    for name in names:
        if not (name.startswith(games.PREFIX) and name.endswith(".parquet")):
            continue
        try:
            rows = games.read_index(inner / name)
        except DamagedFile as problem:
            folder.skipped.append((inner / name, str(problem)))
            continue
        shard = []
        for row, (file, game, decisions, illegal) in enumerate(rows):
            if file and file not in battles:
                continue
            battles.discard(file)
            shard.append(Entry(inner / name, row, file, game, decisions, illegal))
        if shard:
            folder.shards.append(shard)
    loose = []
    for name in sorted(battles):
        try:
            loose.append(Entry(inner / name, -1, name, _game_of_name(name), -1, -1))
        except DamagedFile as problem:
            folder.skipped.append((inner / name, str(problem)))
    folder.shards += [loose[at : at + LOOSE_SHARD] for at in range(0, len(loose), LOOSE_SHARD)]


def _game_of_name(name: str) -> Game:
    parts = metamon.parse_name(name)
    return Game(
        match_id=parts.battle,
        env=metamon.FORMAT,
        policy=parts.player,
        opponent=parts.opponent,
        outcome=1 if parts.result == "WIN" else -1,
    )


def add_chunks(path: str | Path) -> int:
    """Read Metamon's files that have no chunk yet once, and write chunks beside them: later readings are 20 times faster.

    The files stay as they are. May be stopped at any time and called again.

    Returns:
        How many battles were added; files that cannot be read stay without.

    Raises:
        FileNotFoundError: no games there.
    """
    folder, added = open_folder(path), 0
    for shard in folder.shards:
        if shard[0].row >= 0:
            continue
        read = read_entries(shard, skipped=[])
        there = [(entry, one) for entry, one in zip(shard, read, strict=True) if one is not None]
        if there:
            first = shard[0].source
            digest = hashlib.sha256(first.name.encode()).hexdigest()[:16]
            battles, files = [one for _, one in there], [entry.file for entry, _ in there]
            games.write_chunk(first.parent / f"{games.PREFIX}added-{digest}.parquet", battles, files, [-1] * len(there))
            added += len(there)
    return added


def read_entries(
    entries: Sequence[Entry], *, reward: str | None = None, skipped: list[tuple[Path, str]] | None = None
) -> list[Trajectory | None]:
    """The trajectories of some entries, in order; None where one cannot be read.

    Battles of a damaged chunk are read from their own files.

    Args:
        reward: gen1ou: a reward's preset, computed again from the views; by default what was recorded, and "shaped"
            for files that came without it.
        skipped: receives the files that could not be read, with the reasons; without it the first one raises.

    Raises:
        DamagedFile: a file that cannot be read, if `skipped` is not given.
    """
    found: list[Trajectory | None] = [None] * len(entries)

    def skip(path: Path, problem: DamagedFile) -> None:
        if skipped is None:
            raise problem
        skipped.append((path, str(problem)))

    by_chunk: dict[Path, list[int]] = {}
    alone = []
    for index, entry in enumerate(entries):
        if entry.row < 0:
            alone.append(index)
        else:
            by_chunk.setdefault(entry.source, []).append(index)
    for chunk, indices in by_chunk.items():
        try:
            read = games.read_chunk(chunk, [entries[index].row for index in indices])
        except DamagedFile as problem:
            if not isinstance(problem, games.OtherLayout) or not entries[indices[0]].file:
                skip(chunk, problem)
            alone += [index for index in indices if entries[index].file]
            continue
        for index, one in zip(indices, read, strict=True):
            found[index] = one if one.view is None else encoded(one, reward)
    for index in alone:
        file = entries[index].source.parent / entries[index].file
        try:
            found[index] = encoded(_read_battle(file), reward)
        except DamagedFile as problem:
            skip(file, problem)
    return found


def _read_battle(path: Path) -> Trajectory:
    """One of Metamon's files as a trajectory; observations, legal masks and rewards are worked out from its states."""
    states, actions = metamon.read_battle(path)
    try:
        views = views_from_states(states)
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        raise DamagedFile(f"{path}: not a gen1ou battle ({type(problem).__name__}: {problem})") from problem
    last = states[-1]
    game = replace(_game_of_name(path.name), length=len(actions) - 1)
    game = replace(game, outcome=int(bool(last["battle_won"])) - int(bool(last["battle_lost"])))
    chosen = np.array(actions[:-1], np.int16)[:, None]
    if chosen.min() < UNKNOWN or chosen.max() >= pokemon_view.ACTIONS:
        raise DamagedFile(
            f"{path}: actions from {chosen.min()} to {chosen.max()}; expected -1 to {pokemon_view.ACTIONS - 1}"
        )
    legal = pokemon_actions.legal(views[:-1])
    known = np.flatnonzero(chosen[:, 0] != UNKNOWN)
    legal[known, chosen[known, 0]] = True  # a state tells less than the player was told; what was done could be done
    return Trajectory(
        game=game,
        observation={},
        legal=(legal,),
        action=chosen,
        reward=rewards(views, "shaped"),
        log_prob=np.full(len(chosen), np.nan, np.float32),
        view=views,
    )


def rewards(views: np.ndarray, preset: str) -> np.ndarray:
    """float32 `[N]`: what a reward preset pays between consecutive views int16 `[N + 1, VIEW_SIZE]`."""
    return pokemon_reward.evaluate(pokemon_reward.preset(preset), views[:-1], views[1:])


def encoded(one: Trajectory, reward: str | None = None) -> Trajectory:
    """A gen1ou trajectory of views with its observation, as this version of the env shows it."""
    from workbench.envs.pokemon.env import SPEC

    return replace(
        one,
        game=replace(one.game, fingerprint=SPEC.fingerprint),
        observation=pokemon_observation.encode(one.view),
        reward=one.reward if reward is None else rewards(one.view, reward),
    )
