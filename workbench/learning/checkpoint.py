"""Checkpoints of trainers: a JSON file and arrays beside it, replaced as one, verified when read.

An interrupted save leaves the checkpoint before it in place; a damaged one is refused by name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.policies.storage import read_pair, write_pair

NAME = "checkpoint"


def save_checkpoint(folder: str | Path, kind: str, described: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write a checkpoint of a trainer of some `kind` into `folder`, replacing the one before."""
    write_pair(folder, NAME, arrays, {"kind": kind, **described})


def load_checkpoint(folder: str | Path, kind: str) -> tuple[dict, dict[str, np.ndarray]]:
    """What `save_checkpoint` was given.

    Raises:
        FileNotFoundError: no checkpoint there.
        CorruptFileError: damaged or half-written, the file is named.
        ValueError: another kind of trainer wrote it.
    """
    arrays, described = read_pair(folder, NAME)
    if described.get("kind") != kind:
        raise ValueError(f"{folder}: a checkpoint of {described.get('kind')!r}, expected one of {kind!r}")
    return described, arrays


def has_checkpoint(folder: str | Path) -> bool:
    """Whether there is anything to resume from."""
    return (Path(folder) / f"{NAME}.json").exists()


def under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with `prefix/` before their names."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def beneath(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those arrays whose names begin with `prefix/`, without it: the inverse of `under`."""
    start = len(prefix) + 1
    return {name[start:]: array for name, array in arrays.items() if name.startswith(f"{prefix}/")}
