"""The process that sends a stage's metrics to Weights & Biases: `python -m workbench.pipeline.wandb_process STAGE_FOLDER`.

Its standard input says first what the run is about, as JSON in a line, and at last `finished` or `failed`; if it ends
without a word, the stage was killed.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from pathlib import Path

from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.wandb_mirror import STAYS


class _Lines:
    """The lines of a `metrics.jsonl`, each once, though the file may be replaced by a shorter one and grow again.

    Args:
        given: how many lines were given before, by an earlier process.
    """

    def __init__(self, path: Path, given: int):
        self.path, self.given = path, given
        self._identity, self._offset, self._passed = None, 0, 0

    def new(self) -> list[dict]:
        """Whole lines that were not given yet."""
        try:
            with self.path.open("rb") as file:
                identity = os.fstat(file.fileno()).st_ino
                if identity != self._identity:
                    self._identity, self._offset, self._passed = identity, 0, 0
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = whole.splitlines()
        fresh = lines[max(0, self.given - self._passed) :]
        self._passed += len(lines)
        self.given = max(self.given, self._passed)
        return [json.loads(line) for line in fresh if line.strip()]


def follow(folder: Path) -> None:
    """Send a stage's metrics until standard input ends, then close the run."""
    with os.fdopen(os.dup(0), "rb", buffering=0) as first:  # unbuffered: what follows the first line stays to be read
        about = json.loads(first.readline())
    end = _End()
    state_file = folder / "wandb" / "run.json"
    state = read_json(state_file) or {"id": secrets.token_hex(6), "sent": 0}
    write_json(state_file, state)
    run = _open_run(folder, about, state["id"])
    lines = _Lines(folder / "metrics.jsonl", state["sent"])

    def send() -> None:
        fresh = lines.new()
        for line in fresh:
            step, moment = line.pop("step"), line.pop("time")
            known = {name: value for name, value in line.items() if value is not None}
            run.log({**known, "global_step": step, "_timestamp": moment})
        if fresh:
            write_json(state_file, {**state, "sent": lines.given})

    while not end.came.wait(1.0):
        send()
    send()
    run.finish(exit_code=0 if end.word == b"finished" else 1)


class _End:
    """The end of the stage, as standard input tells it; from then on this process has only so long, whatever it waits for."""

    def __init__(self):
        self.came, self.word = threading.Event(), b""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        self.word = os.read(0, 64).strip()
        self.came.set()
        time.sleep(STAYS)
        os._exit(3)


def _open_run(folder: Path, about: dict, identity: str):
    import wandb

    settings = wandb.Settings(  # nothing about the person, the host or the code
        console="off", disable_git=True, save_code=False, x_disable_meta=True, x_disable_stats=True, x_save_requirements=False,
        silent=True, host="workbench",
    )  # fmt: skip
    run = wandb.init(dir=folder, id=identity, resume="allow", settings=settings, **about)
    run.define_metric("global_step", hidden=True)
    run.define_metric("*", step_metric="global_step")
    return run


if __name__ == "__main__":
    follow(Path(sys.argv[1]))
