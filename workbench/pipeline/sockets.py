"""Where kernels' unix sockets lie."""

from __future__ import annotations

import tempfile

SOCKETS_VARIABLE = "WORKBENCH_SOCKETS"
"""Environment variable by which a supervisor names the folder, to remove it if the process that uses it is killed."""


def sockets_folder() -> str:
    """A new folder with a short name that only this user can enter."""
    parent = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="wb-", dir=parent if len(parent) <= 60 else "/tmp")
