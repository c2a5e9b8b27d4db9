"""Chunks of games: one Parquet file, one row a trajectory, zstd-compressed; nothing in it is ever unpickled.

The columns of `Game` and the short arrays (action, reward, log_prob) can be read by any tool. Observations and legal
masks are raw little-endian rows whose shapes and dtypes stand in the file's metadata. For gen1ou, chunks lie beside
Metamon's own files (column `file`) and hold the views they were written from: see `workbench.data.datasets`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.files import DamagedFile
from workbench.data.trajectories import Game, Trajectory
from workbench.files import replace_file

PREFIX = "games-"
FORMAT = 1
_GAME_TYPES = {
    "match_id": pa.string(),
    "env": pa.string(),
    "fingerprint": pa.string(),
    "seed": pa.uint64(),
    "seat": pa.int8(),
    "policy": pa.string(),
    "opponent": pa.string(),
    "outcome": pa.int8(),
    "truncated": pa.bool_(),
    "end_reason": pa.string(),
    "length": pa.int32(),
}
_INDEX = ["file", *_GAME_TYPES, "decisions", "illegal"]
_METADATA = b"workbench"
VIEW = "view"


class OtherLayout(DamagedFile):
    """A chunk of views in the layout of another version: the battles' own files can still be read."""


def write_chunk(
    path: Path,
    trajectories: Sequence[Trajectory],
    files: Sequence[str] | None = None,
    illegal: Sequence[int] | None = None,
) -> Path:
    """Replace `path` by a chunk of these trajectories, all of one env and of the same fields.

    Args:
        files: for each, the name of the file beside the chunk that holds the same game; empty where there is none.
        illegal: for each, how many actions were not legal, -1 where nobody wrote down what was; by default counted.

    Raises:
        ValueError: trajectories of several envs, or with different fields.
    """
    first = trajectories[0]
    arrays = _stored(first)
    described = {
        "format": FORMAT,
        "fields": {
            name: {"dtype": values.dtype.str, "shape": list(values.shape[1:])} for name, values in arrays.items()
        },
        "heads": [allowed.shape[1] for allowed in first.legal],
        "layout": _view_layout() if first.view is not None else "",
    }
    for one in trajectories:
        found = {name: {"dtype": a.dtype.str, "shape": list(a.shape[1:])} for name, a in _stored(one).items()}
        if found != described["fields"] or one.game.env != first.game.env:
            raise ValueError(
                f"{path.name}: one chunk holds games of one env with the same fields; game {one.game.match_id} of "
                f"{one.game.env} has {found}, game {first.game.match_id} of {first.game.env} {described['fields']}"
            )
    columns = {
        name: pa.array([getattr(t.game, name) for t in trajectories], kind) for name, kind in _GAME_TYPES.items()
    }
    columns["file"] = pa.array(files if files is not None else [""] * len(trajectories), pa.string())
    columns["decisions"] = pa.array([len(one) for one in trajectories], pa.int32())
    columns["illegal"] = pa.array([one.illegal for one in trajectories] if illegal is None else illegal, pa.int32())
    columns["action"] = _lists([one.action.reshape(-1) for one in trajectories], np.int16)
    columns["reward"] = _lists([one.reward for one in trajectories], np.float32)
    columns["log_prob"] = _lists([one.log_prob for one in trajectories], np.float32)
    for head in range(len(first.legal)):
        columns[f"legal_{head}"] = pa.array([_bits(one.legal[head]) for one in trajectories], pa.binary())
    for name in arrays:
        rows = [np.ascontiguousarray(_stored(one)[name]).tobytes() for one in trajectories]
        columns[f"field_{name}"] = pa.array(rows, pa.large_binary())
    table = pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(described).encode()})
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
    options |= {"write_statistics": False, "write_page_checksum": True}
    return replace_file(path, lambda temporary: pq.write_table(table, temporary, **options))


def read_index(path: Path) -> list[tuple[str, Game, int, int]]:
    """(file, game, decisions, illegal actions) of each trajectory of a chunk, without reading their arrays.

    Raises:
        DamagedFile: not a readable chunk; the message names it.
    """
    table = _read(path, _INDEX)[0].to_pydict()
    names = [field.name for field in fields(Game)]
    rows = zip(*(table[name] for name in names), strict=True)
    games = [Game(**dict(zip(names, row, strict=True))) for row in rows]
    return list(zip(table["file"], games, table["decisions"], table["illegal"], strict=True))


def read_chunk(path: Path, rows: Sequence[int] | None = None) -> list[Trajectory]:
    """The trajectories of a chunk, or those in the given rows, in that order; views are not encoded yet.

    Raises:
        DamagedFile: not a readable chunk; the message names it.
        OtherLayout: its views were written by another version.
    """
    table, described = _read(path, None)
    layout = described.get("layout")
    if layout not in ("", _view_layout()):
        raise OtherLayout(f"{path}: views in another layout ({layout}, here {_view_layout()})")
    wanted = range(table.num_rows) if rows is None else rows
    names = [field.name for field in fields(Game)]
    heads = described["heads"]
    trajectories = []
    try:
        for row in wanted:
            game = Game(**{name: table[name][row].as_py() for name in names})
            count = table["decisions"][row].as_py()
            arrays = {
                name: np.frombuffer(table[f"field_{name}"][row].as_buffer(), field["dtype"]).reshape(
                    count + 1, *field["shape"]
                )
                for name, field in described["fields"].items()
            }
            view = arrays.pop(VIEW, None)
            trajectories.append(
                Trajectory(
                    game=game,
                    observation=arrays,
                    legal=tuple(
                        _unpacked(table[f"legal_{head}"][row].as_buffer(), count, size)
                        for head, size in enumerate(heads)
                    ),
                    action=_list(table["action"], row, np.int16).reshape(count, len(heads)),
                    reward=_list(table["reward"], row, np.float32),
                    log_prob=_list(table["log_prob"], row, np.float32),
                    view=view,
                )
            )
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DamagedFile(f"{path}: a chunk of games whose arrays do not fit together ({error})") from error
    return trajectories


@cache
def _view_layout() -> str:
    """12 hex digits over what stands where in a view, so that rows of another version are not taken for ours."""
    from workbench.envs.pokemon import view

    described = json.dumps([view.layout(), view.EFFECTS, view.BOOSTS, view.STATS], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:12]


def _stored(one: Trajectory) -> dict[str, np.ndarray]:
    """What is kept of the observation: the view where there is one, since the observation follows from it."""
    return {VIEW: one.view} if one.view is not None else one.observation


def _read(path: Path, columns: list[str] | None) -> tuple[pa.Table, dict]:
    try:
        table = pq.read_table(path, columns=columns, use_threads=False, page_checksum_verification=True)
        described = json.loads(table.schema.metadata[_METADATA])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DamagedFile(f"{path}: not a readable chunk of games ({type(error).__name__}: {error})") from error
    if described.get("format") != FORMAT:
        raise DamagedFile(f"{path}: format {described.get('format')}; this version reads {FORMAT}")
    return table, described


def _lists(arrays: list[np.ndarray], dtype) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in arrays])]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, np.concatenate(arrays).astype(dtype))


def _list(column: pa.ChunkedArray, row: int, dtype) -> np.ndarray:
    return np.asarray(column[row].values.to_numpy(zero_copy_only=False), dtype)


def _bits(allowed: np.ndarray) -> bytes:
    return np.packbits(allowed, axis=1).tobytes()


def _unpacked(buffer: pa.Buffer, count: int, size: int) -> np.ndarray:
    packed = np.frombuffer(buffer, np.uint8).reshape(count, -1)
    return np.unpackbits(packed, axis=1, count=size).astype(bool)
