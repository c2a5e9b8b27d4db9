"""Weights & Biases, offline or online, fed from `metrics.jsonl` by a process of its own.

The training process starts that process, tells it once what it is about, and from then on only looks whether it lives: a
connection that hangs, a full disk or an error inside wandb cost the run nothing and never stop it. Names are CleanRL's;
what they are drawn over is `global_step`. A run that goes on after it was killed goes on under the same id.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

MODES = ("off", "offline", "online")
WANDB_VARIABLE = "WORKBENCH_WANDB"
"""Environment variable that turns W&B on where neither the experiment nor the stage says anything: a mode."""
_LOOK_EVERY = 5.0  # seconds between two looks whether the process lives
_AT_THE_END = 10.0  # seconds a stage waits for it at most
STAYS = 300.0  # seconds it may go on uploading after the stage's end


def wandb_mode(asked: str | None = None) -> str:
    """The mode a stage logs in: what was asked for, else what the environment says, else off.

    Raises:
        ValueError: no mode of that name.
    """
    mode = asked or os.environ.get(WANDB_VARIABLE) or "off"
    if mode not in MODES:
        raise ValueError(f"wandb: expected one of {', '.join(MODES)}, got {mode!r}")
    return mode


class WandbMirror:
    """What a stage has of W&B: a process that follows its metrics.

    Args:
        folder: the stage's; W&B's own files go to `wandb/` in it.
        about: `mode`, `project`, `group`, `name`, `job_type`, `config`, as `wandb.init` takes them.
    """

    def __init__(self, folder: Path, about: dict):
        self._folder, self._about = folder, about
        self._process: subprocess.Popen | None = None
        self._next_look = 0.0

    def append(self, metrics: dict, step: int, moment: float) -> None:
        """See that somebody follows the metrics.

        Raises:
            RuntimeError: wandb is not installed, or has failed; the message says how.
        """
        if self._process is None:
            self._start()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_EVERY
            if self._process.poll() is not None:
                raise RuntimeError(self._last_words())

    def rewind(self, step: int) -> None:
        """Nothing to do: lines that were sent already are not sent again."""

    def close(self, finished: bool = False) -> None:
        """Say that no more lines come, and wait a little for the rest to be sent."""
        if self._process is None or self._process.stdin.closed:
            return
        try:
            self._process.stdin.write(b"finished\n" if finished else b"failed\n")
            self._process.stdin.close()
        except BrokenPipeError:
            raise RuntimeError(self._last_words()) from None
        try:
            code = self._process.wait(_AT_THE_END)
        except subprocess.TimeoutExpired:
            warnings.warn(
                f"W&B is still sending; it goes on in the background for {STAYS / 60:g} minutes at most, and "
                f"`wandb sync {self._folder / 'wandb'}/*run-*` sends what is missing",
                stacklevel=2,
            )
        else:
            if code:
                raise RuntimeError(self._last_words())

    def _start(self) -> None:
        if importlib.util.find_spec("wandb") is None:
            raise RuntimeError("wandb is not installed: pip install -e '.[wandb]'")
        folder = self._folder / "wandb"
        folder.mkdir(exist_ok=True)
        with (folder / "mirror.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench.pipeline.wandb_process", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C and the end of the kernel do not reach it
            )
        self._process.stdin.write(json.dumps(self._about).encode() + b"\n")
        self._process.stdin.flush()

    def _last_words(self) -> str:
        log = self._folder / "wandb" / "mirror.log"
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else "its process ended without a word"
