"""Whether what a stage reads is what was made for it: before it begins, and still so when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workbench.pipeline.files import hash_json, hash_path


def signature(path: Path) -> str:
    """16 hex digits over the names, sizes and times of change of a file or a folder's files; cheap, reads no content."""
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    found = [(item.relative_to(path).as_posix(), item.stat().st_size, item.stat().st_mtime_ns) for item in files]
    return hash_json(found)


class Inputs:
    """The artifacts that a stage refers to.

    Args:
        hashes: of their content, as made, by reference.
        paths: where they lie, by reference, relative to `folder`.
        folder: the experiment's.
    """

    def __init__(self, hashes: Mapping[str, str], paths: Mapping[str, str], folder: Path):
        self._hashes = hashes
        self._places = {label: folder / path for label, path in paths.items()}
        self._trusted: dict[str, str] = {}

    def altered(self) -> str:
        """The reference to the first artifact that is not as it was made; empty where all are.

        Content is read once, and again only where a file's size or time of change is another.
        """
        for label, place in self._places.items():
            if not place.exists():
                return label
            now = signature(place)
            if self._trusted.get(label) != now:
                if hash_path(place) != self._hashes[label]:
                    return label
                self._trusted[label] = now
        return ""

    def seen(self) -> dict[str, str]:
        """The signatures of all artifacts, by reference."""
        return {label: signature(place) if place.exists() else "" for label, place in self._places.items()}
