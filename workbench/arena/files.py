"""Files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_PARTIAL = ".part"


def replace_file(path: str | Path, write: Callable[[Path], None]) -> Path:
    """Let `write(temporary)` fill a file beside `path`, then put it in `path`'s place in one step.

    A reader sees the old content or the new; a writer that fails leaves the old one. Missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=_PARTIAL)
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Replace `path` by `text` (UTF-8)."""
    return replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, content) -> Path:
    """Replace `path` by `content` as indented JSON; NaN is refused, since JSON has none."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: str | Path, table) -> Path:
    """Replace `path` by a DataFrame without its index, lines ending in a newline on every system."""
    return replace_file(path, lambda temporary: table.to_csv(temporary, index=False, lineterminator="\n"))


def remove_partial(folder: str | Path) -> None:
    """Remove, at any depth, the files that writers left half written when they were killed."""
    for path in Path(folder).rglob(f".*{_PARTIAL}"):
        path.unlink(missing_ok=True)
