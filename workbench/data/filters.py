"""Leaves out of a dataset what should not be learned from, and says how much of it and why."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from workbench.data import games, metamon
from workbench.data.files import DamagedFile
from workbench.data.folders import Entry, Folder, open_folder, read_entries
from workbench.files import PARTIAL

STATS_FILE = "filtering_stats.json"
_MARK = "workbench"

# Reasons, in the order in which they are looked at; a trajectory counts under the first that applies.
LOAD_ERROR, TOO_SHORT, TOO_LONG, INVALID_ACTIONS = "load_error", "too_short", "too_long", "invalid_actions"
NOT_WON, UNBALANCED = "not_won", "unbalanced"
REASONS = (LOAD_ERROR, TOO_SHORT, TOO_LONG, INVALID_ACTIONS, NOT_WON, UNBALANCED)


@dataclass(frozen=True)
class Filters:
    """What a trajectory must be to stay.

    Args:
        max_invalid_rate: of its known actions, those not legal when chosen may be at most this share. Looked at only
            where the recorder wrote down what was legal.
        min_turns, max_turns: decisions of the player.
        balance_outcomes: as many wins as losses; of the more frequent, some are drawn at random to stay. Draws stay.
            A game cut by a limit counts as its outcome says, see `trajectories.Game`.
        won_only: only wins; there is nothing to balance then.
        seed: of that draw.
    """

    max_invalid_rate: float = 0.05
    min_turns: int = 10
    max_turns: int = 1000
    balance_outcomes: bool = True
    won_only: bool = False
    seed: int = 42

    def __post_init__(self):
        if not 0 <= self.max_invalid_rate <= 1:
            raise ValueError(f"max_invalid_rate is {self.max_invalid_rate}; expected 0 to 1")
        if not 0 <= self.min_turns <= self.max_turns:
            raise ValueError(f"min_turns {self.min_turns} and max_turns {self.max_turns}; expected 0 <= min <= max")


def filter_folder(
    input: str | Path,
    output: str | Path,
    *,
    max_invalid_rate: float = 0.05,
    min_turns: int = 10,
    max_turns: int = 1000,
    balance_outcomes: bool = True,
    won_only: bool = False,
    seed: int = 42,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Copy the trajectories of a folder that pass to another folder, with `filtering_stats.json` beside them.

    Each of a game's two views is judged for itself. The output appears whole at the end; an earlier output of this
    function in its place stays until then. The same input and seed give the same output.

    Args:
        input: a dataset's folder, see `folders.open_folder`. Files that cannot be read are named and left out.
        output: where to; must not hold anything else.
        max_invalid_rate, min_turns, max_turns, balance_outcomes, won_only, seed: see `Filters`.
        progress: called with (trajectories looked at, all).

    Returns:
        What was written as `filtering_stats.json`: input_count = output_count + the sum of failed_reasons. Folders in
        it are relative to its own, damaged files to the input's.

    Raises:
        FileNotFoundError: no games in the input.
        FileExistsError: the output holds something else than an earlier output of this function.
        ValueError: thresholds that make no sense, or an output inside the input.
    """
    filters = Filters(max_invalid_rate, min_turns, max_turns, balance_outcomes, won_only, seed)
    source, target = Path(input).expanduser().resolve(), Path(output).expanduser().resolve()
    _check_target(source, target)
    folder = open_folder(source)
    judged, damaged = _judge(folder, filters, progress)
    _balance(judged, filters)
    stats = _stats(source, target, filters, judged, folder.skipped + damaged)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL, dir=target.parent))
    try:
        _copy([one for one in judged if not one.reason], source, partial)
        (partial / STATS_FILE).write_text(json.dumps(stats, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.chmod(0o755)
        _put_in_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return stats


@dataclass
class _Judged:
    """A trajectory as it was found: `chunk` says whether its chunk could be read, `illegal` is -1 where unknown."""

    entry: Entry
    chunk: bool
    turns: int
    outcome: int
    illegal: int
    reason: str = ""


def _check_target(source: Path, target: Path) -> None:
    if target == source or source in target.parents or target in source.parents:
        raise ValueError(f"output {target} and input {source} lie within each other; choose separate folders")
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target} is a file; expected a folder to write to")
    if target.is_dir() and any(target.iterdir()) and not _is_ours(target):
        raise FileExistsError(f"{target} is not empty and not an earlier output of filtering; choose another folder")


def _is_ours(folder: Path) -> bool:
    try:
        return json.loads((folder / STATS_FILE).read_text(encoding="utf-8")).get("made_by") == _MARK
    except (OSError, ValueError, AttributeError):
        return False


def _judge(folder: Folder, filters: Filters, progress) -> tuple[list[_Judged], list[tuple[Path, str]]]:
    """Each trajectory with the first reason against it, and the files that could not be read, with the reasons."""
    judged: list[_Judged] = []
    damaged: list[tuple[Path, str]] = []
    total = len(folder.entries)
    for shard in folder.shards:
        chunk = shard[0].row >= 0 and _readable(shard[0].source, damaged)
        for entry in shard:
            one = _measured(entry, chunk, damaged)
            one.reason = one.reason or _reason(one, filters)
            judged.append(one)
        if progress is not None:
            progress(len(judged), total)
    return judged, damaged


def _readable(chunk: Path, damaged: list[tuple[Path, str]]) -> bool:
    try:
        games.read_chunk(chunk)
    except DamagedFile as problem:
        damaged.append((chunk, str(problem)))
        return False
    return True


def _measured(entry: Entry, chunk: bool, damaged: list[tuple[Path, str]]) -> _Judged:
    """What is known of a trajectory, from its chunk where that can be read, else from its own file."""
    file = entry.source.parent / entry.file
    try:
        if chunk:
            if entry.file:
                metamon.check_intact(file)
            return _Judged(entry, True, entry.decisions, entry.game.outcome, entry.illegal)
        if not entry.file:
            return _Judged(entry, False, 0, 0, -1, LOAD_ERROR)
        (one,) = read_entries([entry._replace(source=file, row=-1)])
        return _Judged(entry, False, len(one), one.game.outcome, -1)
    except DamagedFile as problem:
        damaged.append((file, str(problem)))
        return _Judged(entry, chunk, 0, 0, -1, LOAD_ERROR)


def _reason(one: _Judged, filters: Filters) -> str:
    if one.turns < filters.min_turns:
        return TOO_SHORT
    if one.turns > filters.max_turns:
        return TOO_LONG
    if one.illegal > filters.max_invalid_rate * one.turns:
        return INVALID_ACTIONS
    return NOT_WON if filters.won_only and one.outcome <= 0 else ""


def _balance(judged: list[_Judged], filters: Filters) -> None:
    if not filters.balance_outcomes or filters.won_only:
        return
    won = [one for one in judged if not one.reason and one.outcome > 0]
    lost = [one for one in judged if not one.reason and one.outcome < 0]
    more, fewer = (won, lost) if len(won) > len(lost) else (lost, won)
    order = np.random.default_rng(filters.seed).permutation(len(more))
    for index in order[len(fewer) :]:
        more[index].reason = UNBALANCED


def _stats(source, target, filters: Filters, judged: list[_Judged], damaged: list[tuple[Path, str]]) -> dict:
    """The figures. A damaged file of which not even the index can be read counts as one trajectory."""
    files = {one.entry.source.parent / one.entry.file for one in judged if one.entry.file}
    known = files | {one.entry.source for one in judged}
    # a chunk beside battles' own files only adds to them, and they were counted
    unnamed = [
        path
        for path, _ in damaged
        if path not in known and (path.suffix != ".parquet" or path.parent not in {file.parent for file in files})
    ]
    reasons = Counter(one.reason for one in judged if one.reason)
    reasons[LOAD_ERROR] += len(unnamed)
    kept = [one for one in judged if not one.reason]
    read = [one for one in judged if one.reason != LOAD_ERROR]
    total = len(judged) + len(unnamed)
    counted = {reason: reasons[reason] for reason in REASONS if reasons[reason]}
    if total != len(kept) + sum(counted.values()):
        raise AssertionError(f"filtering does not add up: {total} in, {len(kept)} kept, {counted}")
    return {
        "made_by": _MARK,
        "input_dir": Path(os.path.relpath(source, target)).as_posix(),  # the same wherever the run's folder lies
        "output_dir": ".",
        "input_count": total,
        "output_count": len(kept),
        "filter_rate": len(kept) / total,
        "filters": asdict(filters),
        "failed_reasons": counted,
        "games": {"input": _games(read), "output": _games(kept)},
        "outcomes": {"input": _outcomes(read), "output": _outcomes(kept)},
        "decisions": {"input": sum(one.turns for one in read), "output": sum(one.turns for one in kept)},
        "illegal_actions": {
            "input": sum(max(one.illegal, 0) for one in read),
            "output": sum(max(one.illegal, 0) for one in kept),
            "trajectories_where_unknown": sum(one.illegal < 0 for one in read),
        },
        "damaged_files": [
            {"file": path.relative_to(source).as_posix(), "problem": problem} for path, problem in damaged
        ],
    }


def _games(some: list[_Judged]) -> dict[str, int]:
    views = Counter(one.entry.game.match_id for one in some)
    both = sum(count > 1 for count in views.values())
    return {"trajectories": len(some), "games": len(views), "with_both_views": both, "with_one_view": len(views) - both}


def _outcomes(some: list[_Judged]) -> dict[str, int]:
    counts = Counter(one.outcome for one in some)
    return {"won": counts[1], "lost": counts[-1], "drawn": counts[0]}


def _copy(kept: list[_Judged], source: Path, partial: Path) -> None:
    """Copy trajectories, chunk by chunk, to the same places below `partial`."""
    by_source: dict[Path, list[_Judged]] = {}
    for one in kept:
        by_source.setdefault(one.entry.source, []).append(one)
    for path, some in by_source.items():
        place = partial / path.parent.relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        if some[0].chunk:
            trajectories = games.read_chunk(path, [one.entry.row for one in some])
            files, illegal = [one.entry.file for one in some], [one.illegal for one in some]
            games.write_chunk(place / path.name, trajectories, files, illegal)
        for one in some:
            if one.entry.file:
                shutil.copyfile(path.parent / one.entry.file, place / one.entry.file)


def _put_in_place(partial: Path, target: Path) -> None:
    """Let the new folder take the old one's name; the old one is removed only then."""
    if not target.exists():
        partial.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL, dir=target.parent))
    target.rename(old)
    try:
        partial.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
