"""Where kernels' unix sockets lie."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

SOCKETS_VARIABLE = "WORKBENCH_SOCKETS"
"""Environment variable by which a supervisor names the folder, to remove it if the process that uses it is killed."""
_NOTE = ".sockets"


def sockets_folder() -> str:
    """A new folder with a short name that only this user can enter."""
    parent = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="wb-", dir=parent if len(parent) <= 60 else "/tmp")


def remember(stage_folder: Path, sockets: str) -> None:
    """Note in a stage's folder where its kernel's sockets lie, for whoever finds it abandoned."""
    (stage_folder / _NOTE).write_text(sockets)


def remove_remembered(stage_folder: Path) -> None:
    """Remove the sockets' folder that `remember` noted; nothing else, whatever the note says."""
    note = stage_folder / _NOTE
    if note.exists():
        folder = Path(note.read_text())
        ours = re.fullmatch(r"wb-\w+", folder.name) and folder.parent in (Path(tempfile.gettempdir()), Path("/tmp"))
        if ours and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        note.unlink(missing_ok=True)
