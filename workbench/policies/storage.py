"""A folder holding arrays and their description, replaced as one, verified when read, never unpickled.

`<name>.json` is the truth: it names the arrays' digest. The arrays are written beside the old ones, then the JSON is
replaced, then the arrays: whatever the moment of a crash, either the old pair or the new one can be read. Arrays that a
crash left beside their place are moved into it before the next write begins, so that a second crash finds a whole pair.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

DIGEST = "arrays_sha256"


class CorruptFileError(ValueError):
    """A file is damaged, half-written or not what its name says; the message names it."""


def write_pair(folder: str | Path, name: str, arrays: dict[str, np.ndarray], description: dict) -> None:
    """Write `<name>.safetensors` and `<name>.json` into `folder`, replacing an earlier pair atomically."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # a view that is not contiguous would be written in the wrong order; 0-d arrays stay 0-d
    data = save({key: np.require(value, requirements="C") for key, value in arrays.items()})
    described = {DIGEST: hashlib.sha256(data).hexdigest(), **description}
    text = json.dumps(described, indent=2, allow_nan=True)
    _complete(folder, name)
    _write(folder / f"{name}.safetensors.new", data)
    _write(folder / f"{name}.json.new", text.encode())
    (folder / f"{name}.json.new").replace(folder / f"{name}.json")
    (folder / f"{name}.safetensors.new").replace(folder / f"{name}.safetensors")


def _complete(folder: Path, name: str) -> None:
    """Finish a write that was cut off after its JSON was in place: the arrays it names follow."""
    waiting, described = folder / f"{name}.safetensors.new", folder / f"{name}.json"
    if not waiting.exists() or not described.exists():
        return
    try:
        digest = read_description(folder, name)[DIGEST]
    except CorruptFileError:  # names no arrays: there is no pair to complete, and a new one is about to replace it
        return
    if hashlib.sha256(waiting.read_bytes()).hexdigest() == digest:
        waiting.replace(folder / f"{name}.safetensors")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_pair(folder: str | Path, name: str) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and description of a pair.

    Raises:
        FileNotFoundError: there is none.
        CorruptFileError: a file is unreadable, or the arrays are not the ones the JSON was written with.
    """
    folder = Path(folder)
    description = read_description(folder, name)
    candidates = [path for end in ("", ".new") if (path := folder / f"{name}.safetensors{end}").exists()]
    if not candidates:
        raise FileNotFoundError(f"{folder}: {name}.json is there, {name}.safetensors is missing; copy the whole folder")
    for path in candidates:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == description[DIGEST]:
            try:
                return load(data), description
            except SafetensorError as error:
                raise CorruptFileError(f"{path}: not a safetensors file ({error})") from error
    raise CorruptFileError(
        f"{candidates[0]}: damaged or half-written: its SHA-256 is not the one {name}.json was saved with; "
        "take it from a backup or save it anew"
    )


def read_description(folder: str | Path, name: str) -> dict:
    """The description of a pair, without its arrays.

    Raises:
        FileNotFoundError: there is none.
        CorruptFileError: the JSON is unreadable or was not written by `write_pair`.
    """
    path = Path(folder) / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        description = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptFileError(f"{path}: damaged or half-written, not JSON ({error})") from error
    if not isinstance(description, dict) or DIGEST not in description:
        raise CorruptFileError(f"{path}: lacks {DIGEST!r}: not written by this workbench, or half-written")
    return description
