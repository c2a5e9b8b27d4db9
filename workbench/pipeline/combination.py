"""Runs one combination of a sweep: `python -m workbench.pipeline.combination run ...`, as `workbench run ...` would.

It stops when its standard input ends, so that it never outlives the sweep that started it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_GRACE = 60.0  # seconds to stop in good order


def _end_with_the_sweep() -> None:
    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    _end_with_the_sweep()
    sys.argv[0] = "workbench"
    from workbench.cli import app

    app()


if __name__ == "__main__":
    main()
