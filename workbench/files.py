"""Files that are either the old ones or the new ones, never half of each. Below all rooms: everybody writes files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".part"


def replace_file(path: str | Path, write: Callable[[Path], object], *, durable: bool = True) -> Path:
    """Let `write(temporary)` fill a file beside `path`, then put it in `path`'s place in one step.

    A reader sees the old content or the new; a writer that fails or is killed leaves the old one. Missing folders are made.

    Args:
        path: what is replaced.
        write: fills the temporary file it is given.
        durable: flush to the disk first, so that a power cut leaves the one or the other as well.

    Raises:
        OSError: as from writing (disk full, no permission); the old content is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=PARTIAL)
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        if durable:
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
