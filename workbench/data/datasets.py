"""Datasets that are streamed from folders: mixed by weights, shuffled, resumable bit for bit, in bounded memory.

>>> dataset = Dataset(["selfplay/v1", "replays"], weights=[0.5, 0.5], spec=env.spec, length=128, seed=1)
>>> batch = dataset.batch(64)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from workbench.data.folders import Entry, Folder, open_folder, read_entries
from workbench.data.trajectories import Batch, Trajectory, check_fits, held_out, pad
from workbench.envs.core import EnvSpec
from workbench.markup import Cell, table_html

WINDOW_SHARDS = 16
SPLITS = ("all", "train", "validation")


class EmptyDataset(ValueError):
    """Nothing is left to learn from; the message says of what."""


class Dataset:
    """Trajectories of one env from one or several folders.

    `sample` and `batch` draw without end: each draw picks a folder by weight, then takes that folder's next stretch of a
    game. A folder is gone through in an order shuffled anew each epoch, every decision once: chunks of games come in
    random order, `WINDOW_SHARDS` of them in memory at a time and mixed among themselves.

    Args:
        folders: written by a `Recorder`, by a filter, or by Metamon; an env's folder or the root above it.
        weights: of each folder; how often a sample comes from it. By default in proportion to trajectories.
        spec: of the env to learn for; what does not fit is refused. None takes what the first trajectory is.
        length: longer games are cut into stretches of at most so many decisions; by default games stay whole.
        seed: of all that is random.
        split: "train" or "validation" leave out the other part, "all" nothing. Both views of a game are in the same
            part.
        validation_fraction: of the games.
        split_seed: decides which; not `seed`, so that another shuffle does not mix what was held out with the rest.
        won_only: only the winners' views (filtered imitation), leaders of games cut by a limit among them.
        reward: gen1ou: a reward's preset computed again from what was seen; by default what was recorded.
        seen_from: for each folder the id of the player whose views are taken, None for everybody's; by default
            everybody's of all.

    Attributes:
        skipped: (path, reason) of files that could not be read, so far.

    Raises:
        FileNotFoundError: a folder without games.
        EmptyDataset: a folder of which nothing is left.
        ValueError: weights that are no weights; an unknown split; players that are not one a folder.
    """

    def __init__(
        self,
        folders: str | Path | Sequence[str | Path],
        weights: Sequence[float] | None = None,
        *,
        spec: EnvSpec | None = None,
        length: int | None = None,
        seed: int = 0,
        split: str = "all",
        validation_fraction: float = 0.1,
        split_seed: int = 0,
        won_only: bool = False,
        reward: str | None = None,
        seen_from: Sequence[str | None] | None = None,
    ):
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
        if length is not None and length < 1:
            raise ValueError(f"length is {length}; expected at least 1, or None for whole games")
        paths = [folders] if isinstance(folders, str | Path) else list(folders)
        if not paths:
            raise ValueError("a dataset needs at least one folder")
        players = [None] * len(paths) if seen_from is None else list(seen_from)
        if len(players) != len(paths):
            raise ValueError(f"seen_from={players}: expected a player, or None, for each of {len(paths)} folders")

        def wanted(entry: Entry, player: str | None) -> bool:
            if won_only and entry.game.outcome <= 0:
                return False
            if player is not None and entry.game.policy != player:
                return False
            return split == "all" or held_out(entry.game.match_id, validation_fraction, split_seed) == (
                split == "validation"
            )

        self.folders = [
            open_folder(path).select(partial(wanted, player=player))
            for path, player in zip(paths, players, strict=True)
        ]
        self.skipped = [item for folder in self.folders for item in folder.skipped]
        for folder, player in zip(self.folders, players, strict=True):
            if not folder.shards:
                whose = "" if player is None else f"seen from {player!r}, "
                what = f"{whose}{'wins of ' if won_only else ''}split {split!r}, {len(folder.skipped)} files unreadable"
                raise EmptyDataset(f"{folder.path}: no trajectories left ({what})")
        self._weights = _normalised(weights, self.folders)
        self._spec, self._reward = spec, reward
        self._kind: tuple[str, str] | None = None if spec is None else (spec.name, spec.fingerprint)
        self._seed, self._generator = seed, np.random.default_rng(seed)
        self._length = length
        self._streams = [_Stream(self, number) for number in range(len(self.folders))]

    def __len__(self) -> int:
        """Trajectories (two of most games)."""
        return sum(len(folder.entries) for folder in self.folders)

    @property
    def games(self) -> int:
        """Games, each counted once however many views of it are there."""
        return len({entry.game.match_id for folder in self.folders for entry in folder.entries})

    def sample(self, count: int) -> list[Trajectory]:
        """The next `count` games, or stretches of games, of the mixture."""
        chosen = self._generator.choice(len(self._streams), size=count, p=self._weights)
        return [self._streams[folder].draw() for folder in chosen]

    def batch(self, count: int) -> Batch:
        """The next `count` games, or stretches of games, side by side."""
        return pad(self.sample(count))

    def __iter__(self) -> Iterator[Trajectory]:
        """Every trajectory once, folder by folder, in the order of the files; changes no state."""
        for folder in self.folders:
            for shard in folder.shards:
                yield from (one for one in self._read(shard) if one is not None)

    def batches(self, count: int) -> Iterator[Batch]:
        """Every trajectory once, `count` side by side, in the order of the files; changes no state."""
        waiting: list[Trajectory] = []
        for one in self:
            waiting.append(one)
            if len(waiting) == count:
                yield pad(waiting)
                waiting = []
        if waiting:
            yield pad(waiting)

    def in_batches(self, count: int) -> InBatches:
        """`batches(count)` that can be gone through again and again, reading anew: for validation."""
        return InBatches(self, count)

    def lengths(self) -> dict[str, list[int]]:
        """Decisions of each trajectory by who played it, where that is known without reading the games."""
        lengths: dict[str, list[int]] = {}
        for folder in self.folders:
            for entry in folder.entries:
                if entry.decisions >= 0:
                    lengths.setdefault(entry.game.policy, []).append(entry.decisions)
        return lengths

    def all_lengths(self) -> list[int]:
        """Decisions of each trajectory, whoever played it."""
        return [length for lengths in self.lengths().values() for length in lengths]

    def __repr__(self) -> str:
        decisions = sum(self.all_lengths())
        skipped = f", {len(self.skipped)} files skipped" if self.skipped else ""
        return f"{len(self):,} trajectories of {self.games:,} games, {decisions:,} decisions{skipped}"

    def _repr_html_(self) -> str:
        rows = []
        for folder in self.folders:
            lengths = np.array([entry.decisions for entry in folder.entries if entry.decisions >= 0])
            outcomes = [entry.game.outcome for entry in folder.entries]
            players = list(dict.fromkeys(entry.game.policy for entry in folder.entries if entry.game.policy))
            rows.append(
                (
                    Cell(folder.path.name, str(folder.path)),
                    Cell(", ".join(players[:3]) + (" …" if len(players) > 3 else ""), ", ".join(players)),
                    f"{len({entry.game.match_id for entry in folder.entries}):,}",
                    f"{len(folder.entries):,}",
                    " / ".join(str(outcomes.count(outcome)) for outcome in (1, 0, -1)),
                    f"{lengths.sum():,}" if len(lengths) else "",
                    Cell(
                        f"{np.median(lengths):.0f} ({lengths.min()} – {lengths.max()})" if len(lengths) else "",
                        "decisions of a trajectory: median (shortest – longest)",
                    ),
                )
            )
        names = (
            "folder",
            "seen from",
            "games",
            "trajectories",
            "won / drawn / lost",
            "decisions",
            "length",
        )
        skipped = f"{len(self.skipped)} files could not be read: see `skipped`." if self.skipped else ""
        return table_html(names, rows, left=(0, 1), caption=repr(self), note=skipped)

    def state(self) -> dict:
        """JSON-able; with it, `restore` on the same folders goes on with the very same samples."""
        return {
            "seed": self._seed,
            "generator": self._generator.bit_generator.state,
            "streams": [list(stream.place) for stream in self._streams],
            "trajectories": len(self),
            "length": self._length,
        }

    def restore(self, state: dict) -> None:
        """Go on where `state` was taken.

        Raises:
            ValueError: the folders do not hold what they held then.
        """
        then = (len(state["streams"]), state["trajectories"], state["length"])
        now = (len(self._streams), len(self), self._length)
        if then != now:
            raise ValueError(
                "the dataset's state is of {} folders with {} trajectories, length {}; ".format(*then)
                + "here are {} with {}, length {}".format(*now)
            )
        self._seed, self._generator.bit_generator.state = state["seed"], state["generator"]
        for stream, place in zip(self._streams, state["streams"], strict=True):
            stream.go_to(*place)

    def _read(self, entries: Sequence[Entry]) -> list[Trajectory | None]:
        skipped: list[tuple[Path, str]] = []
        read = read_entries(entries, reward=self._reward, skipped=skipped)
        self.skipped += [item for item in skipped if item not in self.skipped]
        for entry, one in zip(entries, read, strict=True):
            if one is not None:
                self._check(entry, one)
        # what is learned from is the observation; views would double the memory
        return [one if one is None else replace(one, view=None) for one in read]

    def _check(self, entry: Entry, one: Trajectory) -> None:
        kind = (one.game.env, one.game.fingerprint)
        if self._kind is None:
            self._kind = kind
        if kind != self._kind:
            raise ValueError(
                f"{entry.source}: games of {kind[0]} ({kind[1]}) do not belong to a dataset for {self._kind[0]} "
                f"({self._kind[1]}); record them again with this version of the env, or leave the folder out"
            )
        if self._spec is not None:
            check_fits(one, self._spec)


class InBatches:
    """Every trajectory of a dataset once, `count` side by side, each time it is gone through; holds none of them."""

    def __init__(self, dataset: Dataset, count: int):
        if count < 1:
            raise ValueError(f"count is {count}; expected at least 1 trajectory a batch")
        self.dataset, self.count = dataset, count

    def __iter__(self) -> Iterator[Batch]:
        return self.dataset.batches(self.count)

    def __len__(self) -> int:
        """Batches; fewer come if files cannot be read."""
        return -(-len(self.dataset) // self.count)


def _normalised(weights: Sequence[float] | None, folders: Sequence[Folder]) -> np.ndarray:
    given = [len(folder.entries) for folder in folders] if weights is None else list(weights)
    values = np.array(given, np.float64)
    if len(values) != len(folders) or not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise ValueError(f"weights are {given}; expected {len(folders)} numbers, none negative, not all 0")
    return values / values.sum()


class _Stream:
    """One folder without end; where it stands are three numbers: an epoch, a window of it, and an index into that."""

    def __init__(self, dataset: Dataset, number: int):
        self.dataset, self.number = dataset, number
        self.shards = dataset.folders[number].shards
        self.windows = -(-len(self.shards) // WINDOW_SHARDS)
        self.go_to(0, 0, 0)

    @property
    def place(self) -> tuple[int, int, int]:
        return self.epoch, self.window, self.index

    def go_to(self, epoch: int, window: int, index: int) -> None:
        self.epoch, self.window, self.index = epoch, window, index
        self._stretches: list[Trajectory] | None = None

    def draw(self) -> Trajectory:
        """The next stretch of a game that can be read.

        Raises:
            EmptyDataset: all windows of an epoch went by without one.
        """
        for _ in range(self.windows + 1):
            if self._stretches is None:
                self._stretches = self._load()
            if self.index < len(self._stretches):
                self.index += 1
                return self._stretches[self.index - 1]
            last = self.window + 1 == self.windows
            self.go_to(self.epoch + last, 0 if last else self.window + 1, 0)
        raise EmptyDataset(f"{self.dataset.folders[self.number].path}: no trajectory can be read; see Dataset.skipped")

    def _load(self) -> list[Trajectory]:
        """The stretches of the current window, in the order that the seed and the place decide."""
        seed = (self.dataset._seed, self.number, self.epoch)
        order = np.random.default_rng(seed).permutation(len(self.shards))
        chosen = order[self.window * WINDOW_SHARDS : (self.window + 1) * WINDOW_SHARDS]
        games = [
            one for one in self.dataset._read([e for shard in chosen for e in self.shards[shard]]) if one is not None
        ]
        length = self.dataset._length
        stretches = games if length is None else [part for one in games for part in one.stretches(length)]
        return [stretches[at] for at in np.random.default_rng((*seed, self.window)).permutation(len(stretches))]
