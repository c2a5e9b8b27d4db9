"""Files that are never seen half-written: atomic replacement, JSON, content hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import math
from pathlib import Path

from workbench.files import replace_file

_RESERVE, _RESERVED_BYTES = ".reserve", 512 * 1024


def write_atomic(path: Path | str, content: str | bytes, *, durable: bool = False) -> None:
    """Replace a file in one step, so that a reader finds the old content or the new, never a part.

    Args:
        durable: flush to the disk first, so that a power cut leaves the one or the other as well.

    Raises:
        OSError: as from writing (disk full, no permission); the old content is untouched.
    """
    content = content.encode() if isinstance(content, str) else content
    replace_file(path, lambda temporary: temporary.write_bytes(content), durable=durable)


def to_plain(value):
    """The JSON-able equal of a value: numpy scalars and arrays become Python's, paths text, NaN and infinities null.

    Raises:
        TypeError: a value that has no such equal.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy and torch, arrays and scalars alike
        return to_plain(value.tolist())
    raise TypeError(f"cannot be written as JSON: {value!r} of type {type(value).__name__}")


def write_json(path: Path | str, value, *, durable: bool = False) -> None:
    """Replace a JSON file in one step; indented, for people.

    These files say what happened. On a full disk they take the room that `reserve` has kept for them.
    """
    content = json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomic(path, content, durable=durable)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not _release(Path(path)):
            raise
        write_atomic(path, content, durable=durable)


def reserve(folder: Path) -> None:
    """Keep some room in a folder, so that what happens when the disk is full can still be written down.

    Raises:
        OSError: the disk is full already.
    """
    if not (folder / _RESERVE).exists():
        write_atomic(folder / _RESERVE, b"\1" * _RESERVED_BYTES, durable=True)


def _release(path: Path) -> bool:
    """Give up the room kept in a folder above the path; whether there was any."""
    for folder in list(path.resolve().parents)[:5]:
        if (folder / _RESERVE).exists():
            (folder / _RESERVE).unlink(missing_ok=True)
            return True
    return False


def read_json(path: Path | str, default=None):
    """What a JSON file holds; `default` where there is no such file.

    Raises:
        ValueError: the file is not JSON; the message names it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return default
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not readable as JSON ({error}); delete it to start over") from None


def hash_bytes(content: bytes | str) -> str:
    """16 hex digits of SHA-256."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:16]


def hash_json(value) -> str:
    """16 hex digits over a JSON-able value, independent of the order of keys."""
    return hash_bytes(json.dumps(to_plain(value), sort_keys=True, separators=(",", ":")))


def hash_path(path: Path | str) -> str:
    """16 hex digits over a file's content, or over the names and contents of all files in a folder.

    Raises:
        FileNotFoundError: nothing there.
    """
    path = Path(path)
    if path.is_file():
        return _hash_file(path).hexdigest()[:16]
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: neither a file nor a folder")
    total = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        total.update(file.relative_to(path).as_posix().encode() + b"\0" + _hash_file(file).digest())
    return total.hexdigest()[:16]


def _hash_file(path: Path):
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256")
