"""Whether disk and memory suffice: before something starts, and while it runs."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import psutil

DISK, MEMORY = 1_000_000_000, 250_000_000
"""Bytes that stay free by default: of the disk that results go to, and of the memory."""

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_LOOK_EVERY, _SAMPLE_EVERY = 1.0, 5.0  # seconds
_PATIENCE = 10.0  # seconds
_MEMORY_WORDS = "of memory"
_CGROUPS = Path("/sys/fs/cgroup")


class NoRoom(RuntimeError):
    """Too little disk or memory to begin with."""


def parse_size(text: str) -> int:
    """Bytes of `500M`, `2 GB`, `1.5g`, `0`.

    Raises:
        ValueError: not of that form.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if not found:
        raise ValueError(f"expected a size such as 500M or 2G, got {text!r}")
    return int(float(found[1]) * _UNITS[found[2]])


def size(count: float) -> str:
    """`640 kB`, `1.2 GB`."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} bytes"


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that this process and its children can still take without the machine, or its container, running out.

    Args:
        root: where `proc` and `sys` are found.
    """
    return int(min([psutil.virtual_memory().available, *_cgroups(root)]))


def _cgroups(root: Path) -> list[int]:
    """What is left in each control group this process lives in, for those that have a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return []
    found = []
    for line in lines:
        number, controllers, inside = line.split(":", 2)
        if number == "0":
            base, limit, used, prefix = "", "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            base, limit, used, prefix = "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
        else:
            continue
        top = root / _CGROUPS.relative_to("/") / base
        folder = top / inside.strip("/")
        for group in [folder, *folder.parents]:
            left = _left_in(group, limit, used, prefix)
            if left is not None:
                found.append(left)
            if group == top:
                break
    return found


def _left_in(group: Path, limit: str, used: str, prefix: str) -> int | None:
    """Bytes left in one control group, its cache of files counted as free; None where it is not there or has no limit."""
    try:
        most = int((group / limit).read_text())
        counted = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        cache = sum(int(counted.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
        return most - int((group / used).read_text()) + cache
    except (OSError, ValueError):  # no such group, or "max"
        return None


def taken(folder: Path) -> int:
    """Bytes that a folder takes on its disk."""
    return sum(item.lstat().st_blocks * 512 for item in folder.rglob("*") if not item.is_dir())


class Room:
    """Disk and memory that a run has, against what it may take.

    Args:
        folder: on the disk that results go to.
        disk, memory: bytes that have to stay free; 0 turns the check off.
    """

    def __init__(self, folder: Path, disk: int = DISK, memory: int = MEMORY):
        self.folder, self.disk, self.memory = folder, disk, memory
        self._looked, self._low = float("-inf"), 0

    def lacks(self, disk: float = 0, memory: float = 0) -> str:
        """What is missing for something that takes so much, in words; empty where nothing is.

        Args:
            disk, memory: bytes that it took before; 0 where that is not known.
        """
        free = shutil.disk_usage(self.folder).free
        if self.disk and free < self.disk + disk:
            return (
                f"{size(free)} are free on the disk of {self.folder}"
                + (f", about {size(disk)} are needed as measured before" if disk else "")
                + f", and {size(self.disk)} have to stay free (--min-disk; 0 turns this check off)"
            )
        free = free_memory()
        if self.memory and free < self.memory + memory:
            return (
                f"{size(free)} {_MEMORY_WORDS} are free"
                + (f", about {size(memory)} are needed as measured before" if memory else "")
                + f", and {size(self.memory)} have to stay free (--min-memory; 0 turns this check off)"
            )
        return ""

    def still_lacks(self, disk: float = 0, memory: float = 0) -> str:
        """As `lacks`, but memory has some seconds to come free: what ended just now may still be giving it back."""
        until = time.monotonic() + _PATIENCE
        while _MEMORY_WORDS in (lacking := self.lacks(disk, memory)) and time.monotonic() < until:
            time.sleep(0.5)
        return lacking

    def runs_out(self) -> str:
        """What is running out, in words; empty where nothing is. Looks once a second; low memory has to last two looks."""
        if time.monotonic() - self._looked < _LOOK_EVERY:
            return ""
        self._looked = time.monotonic()
        lacking = self.lacks()
        self._low = self._low + 1 if lacking else 0
        return lacking if self._low > 1 or (lacking and _MEMORY_WORDS not in lacking) else ""


class Footprint:
    """The most memory that the children of this process have held at once, in bytes; looked at every few seconds."""

    def __init__(self):
        self.memory = 0
        self._looked = time.monotonic() - _SAMPLE_EVERY + 1.0  # nothing is there in the first second

    def look(self) -> None:
        if time.monotonic() - self._looked >= _SAMPLE_EVERY:
            self._looked = time.monotonic()
            self.memory = max(self.memory, sum(map(_memory_of, psutil.Process().children(recursive=True))))


def _memory_of(process: psutil.Process) -> int:
    """A process's share of memory: what it shares with others counts in parts, where the system says so."""
    try:
        found = process.memory_full_info()
        return getattr(found, "pss", found.rss)
    except psutil.Error:
        return 0
