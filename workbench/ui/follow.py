"""Follows a `metrics.jsonl` while somebody else writes it: only what is new is read, however long the file is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import json as arrow_json

from workbench.ui.series import LIMIT, Points, Series, joined

_SLICE = 8 << 20  # bytes of an old file that are read at once
_NOT_DRAWN = ("step", "time")


class MetricsFollower:
    """The metrics of a file that grows, each in a bounded number of points.

    New lines come first: of a file that is long already when it is opened, the lines that are there are read slice by
    slice, `read` after `read`, while those that are added meanwhile are shown at once.

    Args:
        path: the `metrics.jsonl`; it need not exist yet.

    Attributes:
        lines: read so far.
        last: the newest line.
        gone: the file was there and is no more; what was read of it stays.
    """

    def __init__(self, path: Path | str, limit: int = LIMIT):
        self.path, self._limit = Path(path), limit
        self.lines, self.last, self.gone = 0, {}, False
        self._file = None
        self._forget()

    def _forget(self) -> None:
        self._past: dict[str, Series] = {}
        self._recent: dict[str, Series] = {}
        self._added: list[bytes] = []  # new lines, until the past is read up to them
        self.lines, self.last = 0, {}
        self._identity: tuple[int, int] | None = None
        self._end = self._begun = 0  # read from the end, and where that reading began
        self._read_to = 0  # of what was there before

    @property
    def names(self) -> list[str]:
        """Metrics that are numbers, in the order they first appeared."""
        return list(dict.fromkeys([*self._past, *self._recent]))

    @property
    def share_read(self) -> float:
        """How much of the file is read, 0 to 1."""
        return 1.0 if not self._end else (self._read_to + self._end - self._begun) / self._end

    def points(self, name: str) -> Points:
        """A metric's points over steps."""
        empty = Series(2).points()
        past, recent = (part[name].points() if name in part else empty for part in (self._past, self._recent))
        return joined(past, recent)

    def read(self, seconds: float = 0.5) -> bool:
        """Take in new lines, and for at most about `seconds` old ones; returns whether there was anything."""
        end = time.monotonic() + seconds
        try:
            found = self.path.stat()
        except OSError:
            changed, self.gone = self._identity is not None and not self.gone, self._identity is not None
            return changed
        self.gone = False
        if self._identity != (found.st_dev, found.st_ino) or found.st_size < self._end:  # replaced: a run went back
            self._forget()
            found = self._open()
        changed = self._read_new(found.st_size)
        while self._read_to < self._begun:
            self._read_old()
            changed = True
            if time.monotonic() > end:
                break
        return changed

    def _open(self) -> os.stat_result:
        """Open the file as it is now; new lines begin a megabyte before its end, so that something is seen at once."""
        if self._file is not None:
            self._file.close()
        self._file = self.path.open("rb", buffering=0)
        found = os.fstat(self._file.fileno())
        self._identity, size = (found.st_dev, found.st_ino), found.st_size
        start = max(0, size - (1 << 20)) if size > _SLICE else 0
        if start:
            self._file.seek(start)
            start += self._file.read(size - start).find(b"\n") + 1
        self._begun = self._end = start
        return found

    def close(self) -> None:
        """Let go of the file; `read` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file, self._identity = None, None

    def _read_new(self, size: int) -> bool:
        if size <= self._end:
            return False
        whole = self._whole_lines(self._end, size)
        if not whole:
            return False
        self._end += len(whole)
        columns = _columns(whole)
        waiting = self._read_to < self._begun
        _extend(self._recent if waiting else self._past, columns, self._limit)
        if waiting:
            self._added.append(whole)
        self.lines += whole.count(b"\n")
        self.last = json.loads(whole[whole[:-1].rfind(b"\n") + 1 :])
        return True

    def _read_old(self) -> None:
        whole = self._whole_lines(self._read_to, min(self._begun, self._read_to + _SLICE)) or self._whole_lines(
            self._read_to, self._begun
        )
        _extend(self._past, _columns(whole), self._limit)
        self.lines += whole.count(b"\n")
        self._read_to += len(whole)
        if self._read_to >= self._begun:
            for added in self._added:
                _extend(self._past, _columns(added), self._limit)
            self._recent, self._added = {}, []

    def _whole_lines(self, start: int, end: int) -> bytes:
        content = os.pread(self._file.fileno(), end - start, start)
        return content[: content.rfind(b"\n") + 1]


def _extend(into: dict[str, Series], columns: dict[str, tuple[np.ndarray, np.ndarray]], limit: int) -> None:
    for name, (steps, values) in columns.items():
        into.setdefault(name, Series(limit)).extend(steps, values)


def _columns(lines: bytes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(steps, values) of every metric that is a number somewhere in these lines."""
    if lines.count(b"\n") > 200:
        try:
            return dict(_arrow_columns(lines))
        except pa.ArrowInvalid:  # a name that is a number here and a text there
            pass
    rows = [json.loads(line) for line in lines.splitlines() if line.strip()]
    columns: dict[str, tuple[list, list]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in _NOT_DRAWN and isinstance(value, int | float) and not isinstance(value, bool):
                steps, values = columns.setdefault(name, ([], []))
                steps.append(row["step"])
                values.append(value)
    return {name: (np.array(steps, float), np.array(values, float)) for name, (steps, values) in columns.items()}


def _arrow_columns(lines: bytes) -> Iterable[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    options = arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    table = arrow_json.read_json(pa.BufferReader(lines), read_options=options)
    steps = table["step"].to_numpy().astype(float)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in _NOT_DRAWN or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            continue
        values = column.to_numpy(zero_copy_only=False).astype(float)  # null becomes NaN
        known = np.isfinite(values)
        if known.any():
            yield name, (steps[known], values[known])
