"""Papermill's way to local files, with writes that no reader ever sees half done."""

from __future__ import annotations

from pathlib import Path

from papermill.iorw import LocalHandler, papermill_io

from workbench.pipeline.files import write_atomic


class AtomicHandler(LocalHandler):
    """Papermill's local handler, replacing files in one step."""

    def write(self, buf, path):
        target = Path(self._cwd or ".") / path
        if not target.parent.is_dir():
            raise FileNotFoundError(f"{target}: the folder {target.parent} does not exist; make it first")
        write_atomic(target, buf)


def register() -> None:
    """Make papermill write local files through `AtomicHandler`."""
    others = [(scheme, handler) for scheme, handler in papermill_io._handlers if scheme != "local"]
    papermill_io.reset()
    papermill_io._handlers += others
    papermill_io.register("local", AtomicHandler())  # of several for one scheme papermill would take the oldest
