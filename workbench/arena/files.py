"""Texts and tables that replace their files in one step."""

from __future__ import annotations

import json
from pathlib import Path

from workbench.files import PARTIAL, replace_file


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
    for path in Path(folder).rglob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)
