"""A real Dask cluster on the loopback: a scheduler and workers, each a process of its own, that tests may kill."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs Dask: pip install 'workbench[dask]'")

from distributed import Client

from workbench.arena.executors import Cluster


class LoopbackCluster:
    """A scheduler and workers of one thread each, working in a folder that is not the tests'.

    Attributes:
        address: as `--executor` takes it.
        workers: processes by name.
    """

    def __init__(self, folder: Path):
        self.folder, self.workers = folder, {}
        folder.mkdir()
        self.file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", self.file)
        wait_for(lambda: self.file.is_file() and self.file.read_text())
        self.client = Client(scheduler_file=str(self.file), set_as_default=False)
        self.address = self.client.scheduler.address.replace("tcp://", "dask://")

    def _start(self, what: str, *arguments) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", "--no-dashboard", *map(str, arguments)]
        with (self.folder / "said.txt").open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, cwd=self.folder)

    def have(self, count: int) -> None:
        """See that so many workers are there."""
        self.workers = {name: process for name, process in self.workers.items() if process.poll() is None}
        while len(self.workers) < count:
            name = f"worker-{time.monotonic_ns()}"
            self.workers[name] = self._start(
                "worker", "--scheduler-file", self.file, "--name", name, "--nthreads", "1", "--no-nanny",
                "--local-directory", self.folder / name,
            )  # fmt: skip
        wait_for(lambda: len(self.client.nthreads()) == count)

    def busy(self) -> int | None:
        """The process of a worker that is at a task; None where none is."""
        addresses = [address for address, tasks in self.client.processing().items() if tasks]
        return self.client.run(os.getpid, workers=addresses[:1])[addresses[0]] if addresses else None

    def kill(self, pid: int) -> None:
        """SIGKILL to a worker, waited for."""
        process = next(one for one in self.workers.values() if one.pid == pid)
        process.kill()
        process.wait()

    def close(self) -> None:
        if self.scheduler.poll() is None:
            Cluster.connect(self.address).close()
        self.client.close(timeout=2)
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()


def wait_for(condition, seconds: float = 60):
    """The condition's first true value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def new_cluster(tmp_path_factory):
    """Starts a scheduler of its own; what a test has left of it is ended with the tests."""
    made = []

    def new() -> LoopbackCluster:
        made.append(LoopbackCluster(tmp_path_factory.mktemp("dask") / "cluster"))
        return made[-1]

    yield new
    for cluster in made:
        cluster.close()


@pytest.fixture(scope="session")
def started(new_cluster):
    return new_cluster()


@pytest.fixture
def cluster(started):
    """A scheduler and two workers."""
    started.have(2)
    return started


@pytest.fixture(name="wait_for", scope="session")
def wait_for_fixture():
    return wait_for
