"""Where parallel work goes: processes of this machine, or a Dask cluster by its address.

    executor_at("")                        # local processes, one a core
    executor_at("dask://10.0.0.5:8786")    # the workers of the scheduler that listens there

Whatever plays many games (`round_robin`, `collect`, `play_many`) takes such an executor, and without one asks
`chosen_executor`: `workbench run --executor ADDRESS` names the cluster to a notebook's kernel in the environment variable
`WORKBENCH_EXECUTOR`, so that the notebook's own code, with its `workers=2` for this machine, stays as it is.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.util
import os
import re
import signal
import threading
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path
from typing import ClassVar

EXECUTOR_VARIABLE = "WORKBENCH_EXECUTOR"
"""Environment variable that names the executor of a process that is not given one: an address, or nothing."""
CONNECT_SECONDS = 10.0
_ADDRESS = re.compile(r"(dask|tcp|tls)://(.+:\d+)")
# Memory that workers free goes back to the system: about 50 MB less each while collecting gen1ou.
_FRUGAL = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


class ClusterError(RuntimeError):
    """A cluster that cannot be used: not installed, nobody there, or gone in the middle."""


class SerialExecutor(Executor):
    """Runs what is submitted at once, in this process: for a few short tasks, for debugging, and for tests."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future: Future = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def local_executor(workers: int | None = None) -> Executor:
    """Processes on this machine, one a core by default, kept for the next call and let go when idle (loky)."""
    from joblib.externals.loky import cpu_count, get_reusable_executor  # its count heeds containers' limits

    return get_reusable_executor(
        max_workers=workers or cpu_count(), timeout=60, env=_FRUGAL, initializer=_leave_interrupts_to_the_parent
    )


def _leave_interrupts_to_the_parent() -> None:
    """A notebook's stop button reaches its kernel's children too: one stopped amid `import torch` would never work again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def chosen_executor(workers: int | None = None, executor: Executor | None = None) -> Executor:
    """The executor that was given, else the one that the environment names, else so many local processes.

    `workers` counts processes of this machine. On a cluster its own workers count, and `workers` is not read.

    Raises:
        ValueError: both workers and an executor, or an address that is none.
        ClusterError: the cluster cannot be reached.
    """
    if workers is not None and executor is not None:
        raise ValueError(
            f"workers={workers} and an executor: expected one of them, since an executor has its own workers"
        )
    if executor is not None:
        return executor
    address = os.environ.get(EXECUTOR_VARIABLE, "")
    return executor_at(address) if address else local_executor(workers)


def executor_at(address: str) -> Executor:
    """The executor of that address; one connection a process and address.

    Args:
        address: `dask://host:port` of a Dask scheduler (`tls://host:port` where it asks for certificates, which Dask's own
            configuration names); empty for local processes.

    Raises:
        ValueError: of another form.
        ClusterError: Dask is not installed, or no scheduler answers there.
    """
    return Cluster.connect(address).executor() if address else local_executor()


class Cluster:
    """A connection to a Dask scheduler, made once a process and shared.

    Attributes:
        address: as it was asked for.
        client: the `distributed.Client`.
    """

    _connected: ClassVar[dict[str, Cluster]] = {}
    _lock = threading.Lock()

    def __init__(self, address: str):
        self.address = address
        self.client = _client(address)

    @classmethod
    def connect(cls, address: str) -> Cluster:
        """The cluster at an address.

        Raises:
            ValueError, ClusterError: as `executor_at`.
        """
        with cls._lock:
            known = cls._connected.get(address)
            if known is None or known.client.status != "running":
                known = cls._connected[address] = cls(address)
            return known

    @property
    def workers(self) -> int:
        """How many tasks it can do at once now; 0 while no worker has joined."""
        return sum(self.client.nthreads().values())

    def close(self) -> None:
        """Give the connection up; the next `connect` makes a new one."""
        with self._lock:
            self._connected.pop(self.address, None)
        _close(self.client)

    def addresses(self) -> set[str]:
        """Of the workers there are now.

        Raises:
            ClusterError: the scheduler does not answer.
        """
        return set(self._asked(self.client.nthreads))

    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Names of the tasks that workers are at, by the worker's address.

        Raises:
            ClusterError: the scheduler does not answer.
        """
        return dict(self._asked(self.client.processing))

    def _asked(self, question):
        try:
            return question()
        except OSError as error:
            raise ClusterError(f"{self.address}: the scheduler does not answer ({type(error).__name__})") from None

    def executor(self) -> Executor:
        """An executor whose tasks a worker that dies does not take along: they are done again by another.

        A worker that runs other code of the library than this process refuses them.
        """
        return _SameCode(self.client.get_executor(pure=False))


class _SameCode(Executor):
    """Gives tasks on to another executor, with a mark of the code that they are meant for."""

    def __init__(self, executor: Executor):
        self._executor = executor

    def submit(self, fn, /, *args, **kwargs) -> Future:
        return self._executor.submit(run_with_code, library_mark(), fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait and not cancel_futures)


def run_with_code(mark: str, function, *args, **kwargs):
    """Call a function, in a process whose code is the one that the mark is of.

    Raises:
        ClusterError: it is not.
    """
    if library_mark() != mark:
        raise ClusterError(
            f"the worker with process {os.getpid()} runs other code of the library than was asked for: bring it up to date and "
            "start it again"
        )
    return function(*args, **kwargs)


@cache
def library_mark() -> str:
    """A hash of the library's code that computes, as it was when this process first asked: what it has imported."""
    package = Path(__file__).resolve().parents[1]
    total = hashlib.blake2b(digest_size=8)
    for room in ("arena", "data", "envs", "learning", "metagame", "policies"):
        for file in sorted((package / room).rglob("*.py")):
            total.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def scheduler_address(address: str) -> str:
    """What Dask calls an address: `tcp://host:port` for `dask://host:port`.

    Raises:
        ValueError: not of that form.
    """
    found = _ADDRESS.fullmatch(address.strip())
    if found is None:
        raise ValueError(
            f"executor {address!r}: expected the address of a Dask scheduler, such as dask://10.0.0.5:8786, or nothing for "
            "processes of this machine"
        )
    return f"{'tcp' if found[1] == 'dask' else found[1]}://{found[2]}"


def _client(address: str):
    where = scheduler_address(address)
    if importlib.util.find_spec("distributed") is None:
        raise ClusterError(f"{address}: Dask is not installed here; pip install 'workbench[dask]' brings it")
    from distributed import Client

    try:
        client = Client(where, timeout=CONNECT_SECONDS, set_as_default=False, name="workbench")
    except OSError as error:
        raise ClusterError(
            f"{address}: no Dask scheduler answers there within {CONNECT_SECONDS:g} s ({type(error).__name__}); start one with "
            "`dask scheduler`, its workers with `dask worker HOST:PORT --nthreads 1`, or correct the address"
        ) from None
    atexit.register(_close, client)
    return client


def _close(client) -> None:
    with contextlib.suppress(Exception):  # the scheduler may be gone before this process
        client.close(timeout=2)
