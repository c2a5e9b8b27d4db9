"""Whether two artifacts say the same but for when and where they were made."""

from __future__ import annotations

import json
import re
from pathlib import Path

_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d\d-\d\d-\d{4}-\d\d:?\d\d:?\d\d"
)  # of logs, and of Metamon's file names
_CLOCKED = ("second", "sps", "duration", "wall", "cpu", "_ms", "started", "finished", "updated")
_LARGEST = 500_000_000  # bytes; what is larger is not looked into


def is_clocked(name: str) -> bool:
    """Whether what is called so is measured by a clock, which no two runs have in common."""
    return any(word in name.lower() for word in _CLOCKED)


def differing_files(first: Path, second: Path) -> list[str] | None:
    """Which files of two artifacts (files or folders) differ in more than times and places.

    Returns:
        names relative to the artifacts; None where they cannot be looked into: gone, or too large.
    """
    if not (first.exists() and second.exists()) or max(_size(first), _size(second)) > _LARGEST:
        return None
    if first.is_file() or second.is_file():
        return [] if first.is_file() and second.is_file() and _same(first, second) else [first.name]
    one, other = _by_name(first), _by_name(second)
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if len(one.get(name, [])) != len(other.get(name, []))
        or not all(map(_same, one.get(name, []), other.get(name, [])))
    ]


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Files by their names without times."""
    found: dict[str, list[Path]] = {}
    for file in sorted(item for item in folder.rglob("*") if item.is_file()):
        found.setdefault(_timeless(file.relative_to(folder).as_posix()), []).append(file)
    return found


def _timeless(text: str) -> str:
    return _MOMENT.sub("<time>", text)


def _same(first: Path, second: Path) -> bool:
    one, other = first.read_bytes(), second.read_bytes()
    if one == other:
        return True
    try:
        if first.suffix == ".json":
            return _plain(json.loads(one)) == _plain(json.loads(other))
        if first.suffix in (".csv", ".parquet"):
            return _table(first).equals(_table(second))
    except ValueError:  # not of the format that it is named after
        return False
    return False


def _plain(value):
    """A JSON value without times, and with the names of files instead of their paths."""
    if isinstance(value, dict):
        return {_timeless(key): _plain(item) for key, item in value.items() if not is_clocked(key)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _timeless(value.rstrip("/").rpartition("/")[2]) if isinstance(value, str) else value


def _table(path: Path):
    """A table's columns that no clock has filled, times in their texts taken out."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.csv
    import pyarrow.parquet

    read = pyarrow.csv.read_csv if path.suffix == ".csv" else pyarrow.parquet.read_table
    table = read(path)
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pyarrow.types.is_string(column.type):
            column = pyarrow.compute.replace_substring_regex(column, _MOMENT.pattern, "<time>")
        if not is_clocked(name) and not pyarrow.types.is_timestamp(column.type):
            columns[name] = column
    return pyarrow.table(columns)
