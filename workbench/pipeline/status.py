"""What a stage is doing, as files say it and as the process table confirms it."""

from __future__ import annotations

import platform
import time
from collections import deque
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import psutil

from workbench.pipeline.files import hash_bytes, read_json

RUNNING, FINISHED, FAILED, KILLED, TIMED_OUT, INTERRUPTED, DIED = (
    "running",
    "finished",
    "failed",
    "killed",
    "timed out",
    "interrupted",
    "died",
)
"""States of a stage. `killed`: its kernel died and the supervisor saw it; `died`: nobody was left to write it down."""
UP_TO_DATE, SKIPPED, PENDING = "up to date", "skipped", "pending"
"""Further states of a stage in an experiment: finished by an earlier run; its `when` did not hold; not begun."""
DONE = (FINISHED, UP_TO_DATE, SKIPPED)
"""States of a stage that nothing is left to do for."""

BLOCKED = "blocked"
"""A stage that was not begun because what it refers to failed (`--keep-going`)."""
PAUSED, OUT_OF_ROOM = "paused", "out of room"
"""States of an experiment: over before all was done, at the hour of `--until`, or for want of disk or memory."""
UNKNOWN = "unknown"
"""Of a stage whose `status.json` is damaged."""

EXIT_CODES = {FINISHED: 0, FAILED: 1, KILLED: 4, TIMED_OUT: 5, PAUSED: 6, OUT_OF_ROOM: 7, INTERRUPTED: 130}
"""Of a stage's process and of `workbench run`: 0 all finished, 1 a cell failed, 4 a kernel or stage was killed, 5 out of
time, 6 paused at the hour of `--until`, 7 out of disk or memory, 130 stopped (143 by SIGTERM). The command line adds 2,
refused before anything started, and 3, locked."""

_SILENCE = 300.0  # seconds without a sign of a process that cannot be looked at, after which it is thought to be gone

STOP_NOTE = ".stop"
"""File in a stage's folder by which whoever stops it says why."""


def timestamp() -> str:
    """Now, UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds_of(moment: str) -> float:
    """A `timestamp` as seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()


def this_process() -> dict:
    """How another process recognises this one, even after its pid is used again: `{"pid", "started", "machine"}`."""
    process = psutil.Process()
    return {"pid": process.pid, "started": process.create_time(), "machine": this_machine()}


@cache
def this_machine() -> str:
    """A mark by which processes know whether they can see each other: of the boot of this machine, or of this container.

    It tells nobody which machine that is.
    """
    try:
        seen = Path("/proc/sys/kernel/random/boot_id").read_text() + Path("/proc/self/ns/pid").readlink().as_posix()
    except OSError:  # no Linux
        seen = f"{platform.node()} {psutil.boot_time():.0f}"
    return hash_bytes(seen)[:8]


def is_elsewhere(process: dict | None) -> bool:
    """Whether a process that `this_process` described runs on a machine that this one cannot look at."""
    return bool(process) and process.get("machine", this_machine()) != this_machine()


def read_or_nothing(path: Path | str) -> dict:
    """What a JSON file holds that is looked at, not relied on; {} where there is none or it is damaged."""
    try:
        found = read_json(path, {})
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_alive(process: dict | None) -> bool:
    """Whether the process that `this_process` described is still there (a zombie is not); of one elsewhere it is believed."""
    if not process:
        return False
    if is_elsewhere(process):
        return True
    try:
        found = psutil.Process(process["pid"])
        return abs(found.create_time() - process["started"]) < 1.0 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def read_status(folder: Path | str) -> dict:
    """A stage's `status.json`, corrected where it says `running` and its process is gone; {} where there is none.

    Where the file is damaged the state is `unknown`.
    """
    try:
        status = read_json(Path(folder) / "status.json", {})
    except ValueError:
        return {"state": UNKNOWN, "message": "its status.json is damaged"}
    if status.get("state") != RUNNING:
        return status
    silent = time.time() - seconds_of(status["updated"]) if is_elsewhere(status.get("process")) else 0.0
    if silent > _SILENCE:
        status["state"] = DIED
        status["message"] = (
            f"nothing was heard for {silent / 60:.0f} minutes of its process, which ran on another machine"
        )
    elif not is_alive(status.get("process")):
        where = f" in cell {status['cell']['index'] + 1} of {status['cell']['of']}" if status.get("cell") else ""
        status["state"] = DIED
        status["message"] = f"the process ended{where} without a word (killed, out of memory, or the machine went off)"
    return status


class Pace:
    """Units a second over a sliding window, and the time left.

    Args:
        window: seconds of history the pace is measured over.
    """

    def __init__(self, window: float = 120.0, clock=time.monotonic):
        self._window, self._clock = window, clock
        self._seen: deque[tuple[float, float]] = deque()

    def update(self, done: float, total: float | None) -> dict:
        """`{"done", "total", "pace", "eta"}`; pace in units a second, eta in seconds; None while unknown."""
        moment = self._clock()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((moment, done))
        while len(self._seen) > 2 and moment - self._seen[0][0] > self._window:
            self._seen.popleft()
        elapsed, advanced = moment - self._seen[0][0], done - self._seen[0][1]
        pace = advanced / elapsed if elapsed > 0 and advanced > 0 else None
        eta = (total - done) / pace if pace and total is not None else None
        return {"done": done, "total": total, "pace": pace, "eta": eta}
