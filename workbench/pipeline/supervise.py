"""Runs one notebook's process to its end, whatever that is, and sees that nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from workbench.pipeline import status as states
from workbench.pipeline.files import write_atomic, write_json
from workbench.pipeline.outcome import mark_abandoned
from workbench.pipeline.sockets import SOCKETS_VARIABLE, remember, remove_remembered, sockets_folder
from workbench.pipeline.stage import REQUEST_VARIABLE
from workbench.pipeline.status import (
    EXIT_CODES,
    STOP_NOTE,
    is_alive,
    is_elsewhere,
    read_or_nothing,
    read_status,
    timestamp,
)

_GRACE = 15.0  # seconds a stage has to write down how it ended
_QUIET = 15.0  # seconds without a change of `status.json`, which is written every five, from another machine


class Supervised:
    """A notebook's process.

    Args:
        folder: the stage's, with its `request.json`.
        time_limit: seconds after which the stage, having had its chance to end by itself, is killed.
        environment: variables in which the process's differs from this one's; None for one that it does not get.
        directory: the one that it works in; this process's by default.
    """

    def __init__(
        self,
        folder: Path,
        time_limit: float | None = None,
        *,
        environment: dict[str, str | None] | None = None,
        directory: Path | None = None,
    ):
        self.folder = folder
        self._deadline = time.monotonic() + time_limit + _GRACE if time_limit else float("inf")
        self._log = (folder / "log.txt").open("ab")
        sockets = sockets_folder()
        remember(folder, sockets)
        variables = {
            **os.environ,
            SOCKETS_VARIABLE: sockets,
            REQUEST_VARIABLE: str((folder / "request.json").resolve()),
            "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),  # the order of sets is part of a result
            **(environment or {}),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbench.pipeline.execute", str(folder)],
            env={name: value for name, value in variables.items() if value is not None},
            cwd=directory,
            stdin=subprocess.PIPE,  # held open: its end tells the process that this one is gone
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process only, which then stops the stage in good order
        )

    def wait(self, tick, interval: float = 0.25) -> str:
        """Wait for the end, calling `tick(status)` now and then; returns the state the stage ended in."""
        while self._process.poll() is None:
            if time.monotonic() > self._deadline:
                self._kill()
                return self._settle("it went on beyond its time limit and did not stop when asked", states.TIMED_OUT)
            tick(read_or_nothing(self.folder / "status.json"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(interval)
        return self._settle(_how(self._process.returncode))

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Ask the stage to end, kill it if it does not; returns the state it ended in."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._kill()
        return self._settle("stopped with the runner", states.INTERRUPTED)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _settle(self, how: str, state: str = states.KILLED) -> str:
        """Make sure that files say how it ended and that no process of the stage is left."""
        self._log.close()
        remove_remembered(self.folder)
        if self._process.stdin:
            self._process.stdin.close()
        if self._process.returncode != 0:
            end_leftovers(self.folder)
        found = read_or_nothing(self.folder / "status.json")
        known = found.get("state") in EXIT_CODES and EXIT_CODES[found["state"]] == self._process.returncode
        return found["state"] if known else write_end(self.folder, state, how)


def write_end(folder: Path, state: str, how: str) -> str:
    """Write into `status.json` and the executed notebook how a stage ended that could not do so itself."""
    found = read_or_nothing(folder / "status.json")
    cell = found["cell"]["index"] if found.get("cell") else None
    executed, tail = folder / "notebook.ipynb", ""
    if executed.exists():
        tail = mark_abandoned(executed, state, how, cell)
    error = {"cell": cell, "error": how, "tail": tail or _log_tail(folder)}
    found.update(state=state, message=how, ended=timestamp(), error=error)
    write_json(folder / "status.json", found)
    return state


def note_stop(folder: Path, reason: str) -> None:
    """Leave word why a stage is about to be asked to stop, for its process to say so."""
    write_atomic(folder / STOP_NOTE, reason)


def end_leftovers(folder: Path) -> int:
    """End every process that an earlier run of this stage has left here; returns how many there were.

    They are known by the environment variable that all of a stage's processes inherit. For one on another machine it is
    waited: what it was run by stops it when the runner is gone.

    Raises:
        RuntimeError: the one on another machine goes on: nobody else may write to the folder.
    """
    if is_elsewhere(read_or_nothing(folder / "status.json").get("process")) and not wait_until_gone(folder):
        raise RuntimeError(f"{folder.name}: its process on another machine is still at work; stop it there first")
    wanted = str((folder / "request.json").resolve())
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(REQUEST_VARIABLE) == wanted:
                left.append(process)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    remove_remembered(folder)
    return len(left)


def wait_until_gone(folder: Path, seconds: float = 120.0) -> bool:
    """Wait until a stage's process, wherever it is, has ended; of one on another machine its silence is taken for that.

    Returns:
        whether it has; False if it goes on after so many seconds.
    """
    deadline, quiet_since, heard = time.monotonic() + seconds, time.monotonic(), None
    while time.monotonic() < deadline:
        status = read_status(folder)
        process = status.get("process")
        if status.get("state") != states.RUNNING and (is_elsewhere(process) or not is_alive(process)):
            return True  # one here that has written its end takes a moment more to close
        if status.get("updated") != heard:
            quiet_since, heard = time.monotonic(), status.get("updated")
        elif is_elsewhere(process) and time.monotonic() - quiet_since > _QUIET:
            return True
        time.sleep(0.2)
    return False


def _how(code: int) -> str:
    if code == -9:
        return "its process was killed (SIGKILL): out of memory, or somebody's kill -9"
    if code < 0:
        return f"its process was killed by signal {-code}"
    return f"its process ended with exit code {code} and left no word; see log.txt"


def _log_tail(folder: Path) -> str:
    path = folder / "log.txt"
    return "\n".join(path.read_text(errors="replace").splitlines()[-20:]) if path.exists() else ""
