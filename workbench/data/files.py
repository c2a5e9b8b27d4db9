"""Files of a dataset: replaced in one step, found in their folders, named when damaged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".part"


class DamagedFile(ValueError):
    """A file that cannot be read as what its name says; the message names it."""


def replace_file(path: Path, write: Callable[[Path], None]) -> Path:
    """Let `write(temporary)` fill a file beside `path`, then put it in `path`'s place in one step.

    A reader sees the old content or the new one; a writer that fails or is killed leaves the old one.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=PARTIAL)
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
