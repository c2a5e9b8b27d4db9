"""Whole stages on the workers of a Dask cluster.

A stage that runs elsewhere writes to the same folder as it would here, so its machine has to see that folder, and the folder
the command was given in, under the same paths: a shared file system. Status, log, executed notebook and result are then as
truthful as they are here. Stages stay here if no worker sees the folder; their matches may go to the cluster nevertheless.

A worker that dies takes the stage's process with it. The scheduler gives the stage to another one, which waits until nothing is
left of it there, and goes on from what it has done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from workbench.arena.executors import EXECUTOR_VARIABLE, Cluster, ClusterError, scheduler_address
from workbench.pipeline import status as states
from workbench.pipeline.dependencies import code_files
from workbench.pipeline.files import hash_json, read_json, write_atomic, write_json
from workbench.pipeline.folder import prepare_to_go_on
from workbench.pipeline.sockets import SOCKETS_VARIABLE
from workbench.pipeline.stage import REQUEST_VARIABLE
from workbench.pipeline.status import EXIT_CODES, read_or_nothing, this_process, timestamp
from workbench.pipeline.supervise import Supervised, end_leftovers, wait_until_gone, write_end

MARK = ".elsewhere"  # in a stage's folder: what it is known by, to see that a worker sees the same folder
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ANSWER = 20.0  # seconds that workers have to answer
_KEY = "stage-"  # how the tasks that are stages are called
_MOST_LOST = 3  # workers that may die with a stage before it is given up
_ASK_EVERY = 2.0  # seconds between two looks at which workers there are
_STOP = 40.0  # seconds that a stage on a worker has to stop


class StagesOnCluster:
    """Starts stages on a cluster's workers.

    Args:
        address: `dask://host:port`; with `?stages=here` behind it stages run here, and only their matches go there.

    Raises:
        ValueError, ClusterError: as `workbench.arena.executors.executor_at`.
    """

    def __init__(self, address: str):
        self.address, _, option = address.partition("?")
        if option not in ("", "stages=here"):
            raise ValueError(f"executor {address!r}: ?{option} is not known; there is ?stages=here")
        scheduler_address(self.address)
        self._here = option == "stages=here"
        self._cluster = Cluster.connect(self.address)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it says of a lost scheduler we say

    def __call__(self, folder: Path, time_limit: float | None = None):
        """Start a stage: there, or here where it has to be."""
        if self._here:
            return Supervised(folder, time_limit, environment={EXECUTOR_VARIABLE: self.address})
        return StageOnCluster(self._cluster, folder, time_limit)


@dataclass(frozen=True)
class Asked:
    """What a worker needs to run a stage.

    Args:
        folder, directory: the stage's, and the one the command was given in; absolute.
        mark: what stands in the stage's folder, by which the worker sees that it is the same.
        code: hash of the library's code, which has to be the same there.
        environment: variables of ours.
    """

    folder: str
    directory: str
    mark: str
    code: str
    time_limit: float | None
    environment: dict[str, str | None]

    def objection(self) -> str:
        """Why the stage cannot run on this machine, in words; empty where it can."""
        try:
            seen = (Path(self.folder) / MARK).read_text()
        except OSError:
            seen = ""
        if seen != self.mark or not Path(self.directory).is_dir():
            return "does not see the folder of the experiment; stages need a file system that all machines share"
        if hash_json(code_files()) != self.code:
            return "has other code of the library than here"
        return ""


class StageOnCluster:
    """A stage on a worker, or here if all workers there are object. It waits and stops as `Supervised` does.

    Args:
        folder, time_limit: as of `Supervised`.
        say: called with what a person should know, in words.
    """

    def __init__(self, cluster: Cluster, folder: Path, time_limit: float | None = None, say=print):
        self.folder, self._cluster, self._say = folder, cluster, say
        self._asked = Asked(
            str(folder.absolute()),
            str(Path.cwd()),
            secrets.token_hex(8),
            hash_json(code_files()),
            time_limit,
            _environment(),
        )
        write_atomic(folder / MARK, self._asked.mark)
        self._future, self._worker = None, ""  # the task, and the address of the worker that it was given to
        self._lost = 0  # workers that died with it
        self._here: Supervised | None = None
        self._objections: dict[str, str] = {}  # by worker, what it has against running the stage; empty for nothing
        self._asked_at = float("-inf")
        self._place()

    def wait(self, tick, interval: float = 0.25) -> str:
        """Wait for the end, calling `tick(status)` now and then; returns the state the stage ended in."""
        while self._future is None or not self._future.done():
            if self._here is None and time.monotonic() - self._asked_at > _ASK_EVERY:
                self._place()
            if self._here is not None:
                return self._here.wait(tick, interval)
            if self._cluster.client.status == "closed" or self._lost > _MOST_LOST:
                break
            tick(self._status())
            time.sleep(interval)
        return self._outcome()

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Ask the stage to end; returns the state it ended in."""
        if self._here is not None:
            return self._here.stop(number)
        if self._future is None:
            return write_end(self.folder, states.INTERRUPTED, "stopped before a worker took it")
        deadline = time.monotonic() + _STOP
        with contextlib.suppress(ClusterError):  # whoever has lost the scheduler stops by himself
            running = any(self._on_workers(ask_to_stop, self._asked.folder, int(number)).values())
            if not running and not self._future.done():
                self._future.cancel()
                return write_end(self.folder, states.INTERRUPTED, "stopped before a worker took it")
        while not self._future.done() and time.monotonic() < deadline:
            time.sleep(0.1)
        if self._future.done():
            return self._outcome()
        self._future.cancel()
        return write_end(self.folder, states.INTERRUPTED, "stopped with the runner; its worker did not answer")

    def _place(self) -> None:
        """See that the stage is with a worker, or will be when one comes that can run it; else run it here."""
        self._asked_at = time.monotonic()
        try:
            if self._worker and (self._worker in self._cluster.addresses() or self._future.done()):
                return
            self._objections = self._on_workers(_objection, self._asked)
            able = [name for name, why in self._objections.items() if not why]
            if able:
                self._submit(self._least_busy(able))
        except ClusterError:
            return  # a scheduler that stays away ends the wait
        if self._objections and not able and self._future is None:
            name, why = next(iter(self._objections.items()))
            self._say(f"{self.folder.name} runs here: {name} {why}")
            limit, environment = self._asked.time_limit, {EXECUTOR_VARIABLE: self._cluster.address}
            self._here = Supervised(self.folder, limit, environment=environment)

    def _submit(self, worker: str) -> None:
        """Give the stage to a worker; to another one, if it was with one that is gone."""
        if self._future is not None:
            self._future.cancel()
            self._lost += 1
        if self._lost <= _MOST_LOST:
            key, self._worker = f"{_KEY}{self.folder.name}-{secrets.token_hex(8)}", worker
            self._future = self._cluster.client.submit(run_stage, self._asked, key=key, pure=False, workers=[worker])

    def _least_busy(self, workers: list[str]) -> str:
        """The worker with the fewest stages; any of several."""
        tasks = self._cluster.tasks()
        stages = {name: sum(key.startswith(_KEY) for key in tasks.get(name, ())) for name in workers}
        return secrets.choice([name for name in workers if stages[name] == min(stages.values())])

    def _status(self) -> dict:
        """`status.json`; before a worker has taken the stage, that it waits for one."""
        found = read_or_nothing(self.folder / "status.json")
        if found and not found.get("waits"):
            return found
        note = f"waits for a worker{'' if self._worker else f': {self._why_not()}'}"
        if found.get("note") != note:
            request = read_json(self.folder / "request.json")
            found = {key: request.get(key) for key in ("stage", "experiment", "generation", "attempt")}
            found |= {"state": states.RUNNING, "message": "", "note": note, "waits": True, "cell": None, "error": None}
            found |= {"process": this_process(), "started": timestamp(), "updated": timestamp(), "ended": None}
            write_json(self.folder / "status.json", found)
        return found

    def _why_not(self) -> str:
        return next((f"the one there {why}" for why in self._objections.values() if why), "none has joined yet")

    def _on_workers(self, function, *arguments) -> dict:
        """What a function says on each worker, within a while.

        Raises:
            ClusterError: nobody answered in time.
        """
        pool = ThreadPoolExecutor(1)
        try:
            call = pool.submit(self._cluster.client.run, function, *arguments, on_error="ignore")
            return call.result(timeout=_ANSWER)
        except Exception as error:
            raise ClusterError(f"{self._cluster.address}: {type(error).__name__}: {error}") from error
        finally:
            pool.shutdown(wait=False)

    def _outcome(self) -> str:
        """The state it ended in; the reason is written down where nobody could."""
        future = self._future
        status = future.status if future is not None else "lost"
        if status == "finished":
            return future.result()
        if status == "error":
            error = future.exception()
            return write_end(self.folder, states.FAILED, f"on a worker: {type(error).__name__}: {error}")
        if self._lost > _MOST_LOST:
            return write_end(self.folder, states.KILLED, f"{self._lost} workers died with it: out of memory, or killed")
        wait_until_gone(self.folder)
        return write_end(self.folder, states.KILLED, "the cluster's scheduler is gone, and the stage with it")


def _environment() -> dict[str, str | None]:
    """What a stage's process has to find in its environment on a worker as it would here."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("WORKBENCH_")}
    return {
        **{name: value for name, value in ours.items() if name not in (REQUEST_VARIABLE, SOCKETS_VARIABLE)},
        **{name: os.environ.get(name) for name in _THREADS},  # of which Dask allows its workers one
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),
    }


# -- on the worker -------------------------------------------------------------------------------------------------------

_to_stop: dict[str, int] = {}  # by folder of the stages that run in this process: the signal to stop with, 0 for none
_guard = threading.Lock()


class _Stop(Exception):
    """The stage has to stop."""

    def __init__(self, number: int):
        self.number = number


def _objection(asked: Asked) -> str:
    return asked.objection()


def ask_to_stop(folder: str, number: int) -> bool:
    """Have the stage in that folder stop, if it runs in this process; whether it does."""
    with _guard:
        if folder in _to_stop:
            _to_stop[folder] = number
        return folder in _to_stop


def run_stage(asked: Asked) -> str:
    """Run a stage in this worker, and return the state it ended in. The worker goes on taking other tasks meanwhile.

    Raises:
        RuntimeError: it cannot run here.
    """
    from distributed import get_worker, secede

    worker = get_worker()
    key = worker.get_current_task()
    if asked.objection():
        raise RuntimeError(f"the worker that took it {asked.objection()}")
    folder = Path(asked.folder)
    with _guard:
        _to_stop[asked.folder] = 0
    try:
        secede()
        if ended := _take_up(folder, asked):
            return ended
        process = Supervised(
            folder,
            asked.time_limit,
            environment={**asked.environment, EXECUTOR_VARIABLE: worker.scheduler.address.replace("tcp://", "dask://")},
            directory=Path(asked.directory),
        )

        def look(status: dict) -> None:
            task = worker.state.tasks.get(key)
            unwanted = task is None or task.state in ("cancelled", "released", "forgotten")
            number = _to_stop[asked.folder] or (signal.SIGTERM if unwanted else 0)
            if number:
                raise _Stop(number)

        try:
            return process.wait(look)
        except _Stop as stop:
            return process.stop(stop.number)
    finally:
        with _guard:
            _to_stop.pop(asked.folder, None)


def _take_up(folder: Path, asked: Asked) -> str:
    """Make a stage ready that another worker may have begun and died with; see that nothing of it is left there.

    Returns:
        the state the stage ended in, if the other worker had only not come to say so; empty where it has to run.
    """
    begun = folder / f"{MARK}.begun"
    if not begun.exists() or begun.read_text() != asked.mark:
        (folder / "status.json").unlink(missing_ok=True)  # that it waits for a worker
        write_atomic(begun, asked.mark)
        return ""
    end_leftovers(folder)
    ended = read_or_nothing(folder / "status.json").get("state", "")
    if ended in EXIT_CODES and ended != states.INTERRUPTED:
        return ended
    request = read_json(folder / "request.json")
    prepare_to_go_on(folder)
    write_json(folder / "request.json", {**request, "attempt": request.get("attempt", 1) + 1, "resuming": True})
    return ""
