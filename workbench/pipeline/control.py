"""Stopping a run from outside, and starting it again with the command it was started with.

While an experiment runs, `run.lock` names its process. `.launch.json`, which only its user may read and which is not
shared, says how that process was called.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.pipeline.files import read_json
from workbench.pipeline.status import is_alive

LAUNCH, OUTPUT = ".launch.json", "run.log"
_OURS = ("JPY_", "WORKBENCH_STAGE", "WORKBENCH_SOCKETS", "MPLBACKEND", "KERNEL_", "COLUMNS", "LINES")
"""What a kernel's environment has that a new command must not inherit."""


class ControlError(RuntimeError):
    """A run that cannot be stopped or started as asked; the message says why."""


@dataclass(frozen=True)
class Launch:
    """How a run was started: what stood after `workbench` on the command line, and in which folder."""

    arguments: tuple[str, ...]
    directory: Path

    @property
    def words(self) -> str:
        """The command as a person would type it."""
        import shlex

        return shlex.join(["workbench", *self.arguments])


def remember_launch(folder: Path) -> None:
    """Write down how this process was called, for `start_again`; nothing where it was not the command line."""
    if Path(sys.argv[0]).name not in ("workbench", "cli.py", "combination.py"):
        return
    described = {"arguments": sys.argv[1:], "directory": os.path.relpath(Path.cwd(), folder)}
    part = folder / f"{LAUNCH}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(described, file)
    part.replace(folder / LAUNCH)


def launch_of(folder: Path | str) -> Launch | None:
    """How a run was started last; None where that is not known, as of what was run from Python."""
    folder = Path(folder)
    try:
        found = read_json(folder / LAUNCH, {})
    except ValueError:
        return None
    if not found:
        return None
    return Launch(tuple(found["arguments"]), (folder / found["directory"]).resolve())


def runner_of(folder: Path | str) -> dict | None:
    """The process that runs an experiment now, `{"pid", "started", "since"}`; None where nobody does."""
    try:
        holder = read_json(Path(folder) / "run.lock", {})
    except ValueError:  # empty: the last one left in good order
        return None
    return holder if holder and is_alive(holder) else None


def stop(folder: Path | str) -> str:
    """Ask an experiment's runner to stop, as Ctrl-C would; what is finished stays.

    Returns:
        what was done, in words.

    Raises:
        ControlError: nobody runs it, or this very process does, or the process is somebody else's.
    """
    holder = runner_of(folder)
    if holder is None:
        raise ControlError("nobody runs this experiment now: there is nothing to stop")
    if holder["pid"] == os.getpid():
        raise ControlError("this very process runs it: interrupt the cell instead")
    try:
        psutil.Process(holder["pid"]).send_signal(signal.SIGINT)
    except psutil.NoSuchProcess:
        raise ControlError(f"process {holder['pid']} has just ended by itself") from None
    except psutil.AccessDenied:
        raise ControlError(f"process {holder['pid']} belongs to another user; stop it as that user") from None
    return f"asked process {holder['pid']} to stop; the stage writes down where it is, which may take some seconds"


def start_again(folder: Path | str) -> subprocess.Popen:
    """Start a run with the very command it was started with; what it says goes to `run.log` in its folder.

    The process has a session of its own: it lives on when this one ends.

    Raises:
        ControlError: it runs already, or nobody knows how it was started, or from where.
    """
    folder = Path(folder)
    if (holder := runner_of(folder)) is not None:
        raise ControlError(f"process {holder['pid']} runs it already")
    launch = launch_of(folder)
    if launch is None:
        raise ControlError("it is not known how this run was started; use the command line: workbench run ...")
    if not launch.directory.is_dir():
        raise ControlError(f"it was started in {launch.directory}, which is no more")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with (folder / OUTPUT).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "workbench.cli", *launch.arguments],
            cwd=launch.directory,
            env=environment | {"PYTHONUNBUFFERED": "1", "COLUMNS": "160"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
