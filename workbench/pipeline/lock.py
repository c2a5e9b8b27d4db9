"""One runner an experiment: a lock that dies with its process."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from workbench.pipeline.status import this_process, timestamp


class Locked(RuntimeError):
    """Somebody else runs this experiment now."""


class Lock:
    """Held while an experiment runs; released by the system when the process ends, in whichever way.

    Args:
        path: the lock file; it names the process that holds it, or the last one that did.

    Raises:
        Locked: on entering, if another process holds it; the message says which, and since when.
    """

    def __init__(self, path: Path):
        self.path = path
        self.previous: dict | None = None
        self._handle: int | None = None

    def __enter__(self) -> Lock:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            holder = self._read() or {}
            raise Locked(
                f"{self.path.parent} is being run by process {holder.get('pid', '?')} since {holder.get('since', '?')}; "
                "wait for it, or stop it with Ctrl-C or kill"
            ) from None
        self._handle, self.previous = handle, self._read()
        text = json.dumps({**this_process(), "since": timestamp()})
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)
        return self

    def __exit__(self, *exception) -> None:
        os.ftruncate(self._handle, 0)  # an empty file: the last holder left in good order
        os.close(self._handle)

    def _read(self) -> dict | None:
        try:
            return json.loads(self.path.read_text())
        except (json.JSONDecodeError, FileNotFoundError):
            return None
