"""Matches and collecting on a cluster: the same games as here, also when a worker is killed in the middle."""

import os
import socket
import threading

import pytest

from workbench.arena import ClusterError, SerialExecutor, collect, executor_at, executors, play_many, round_robin
from workbench.arena.executors import EXECUTOR_VARIABLE, Cluster, chosen_executor, scheduler_address
from workbench.data.datasets import Dataset
from workbench.envs import env_spec
from workbench.policies import Policy, PolicySettings

TIMES = ["started", "seconds"]
LEDUC = ["random", "leduc/call", "leduc/raise", "leduc/fold"]


def killed_when_busy(cluster, wait_for, ready) -> threading.Thread:
    """Kills a worker that is at a task as soon as `ready()` holds."""

    def kill():
        wait_for(ready)
        cluster.kill(wait_for(cluster.busy))

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_a_tournament_loses_no_pair_and_plays_none_twice(cluster, wait_for, tmp_path, monkeypatch):
    asked = {"games_per_pair": 300, "batch_size": 8, "seed": 4}
    here = round_robin("leduc", LEDUC, executor=SerialExecutor(), **asked)
    told = []
    killing = killed_when_busy(cluster, wait_for, lambda: told and told[-1][0] >= 300)
    there = round_robin(
        "leduc", LEDUC, folder=tmp_path / "t", executor=executor_at(cluster.address), progress=lambda *n: told.append(n), **asked
    )  # fmt: skip
    killing.join()
    assert there.table.drop(columns=TIMES).equals(here.table.drop(columns=TIMES))
    assert there.table["match_id"].is_unique
    assert told[-1] == (1800, 1800)
    assert len(cluster.client.nthreads()) == 1


def test_what_a_cluster_collects_is_what_would_be_collected_here(cluster, wait_for, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Policy.create(env_spec("kuhn"), PolicySettings(hidden=(16,)), seed=1, device="cpu").save("learner")
    asked = {"games": 1200, "games_per_chunk": 200, "batch_size": 4, "seed": 3}
    here = collect("kuhn", "learner", ["kuhn/nash", "random"], folder="here", executor=SerialExecutor(), **asked)
    told = []
    killing = killed_when_busy(cluster, wait_for, lambda: told and told[-1][0] >= 200)
    there = collect(
        "kuhn", "learner", ["kuhn/nash", "random"], folder="there", executor=executor_at(cluster.address),
        progress=lambda *n: told.append(n), **asked,
    )  # fmt: skip
    killing.join()
    assert there.matches.table.drop(columns=TIMES).equals(here.matches.table.drop(columns=TIMES))
    assert there.played == Dataset(there.folder).games == Dataset(here.folder).games == 1200
    assert sorted(Dataset(there.folder).all_lengths()) == sorted(Dataset(here.folder).all_lengths())
    assert not (there.folder / ".parts").exists()


def test_a_kernel_finds_the_cluster_in_its_environment_whatever_workers_it_asks_for(cluster, monkeypatch):
    monkeypatch.setenv(EXECUTOR_VARIABLE, cluster.address)
    executor = chosen_executor(workers=2)
    assert executor.submit(os.getpid).result(timeout=30) in {process.pid for process in cluster.workers.values()}
    assert Cluster.connect(cluster.address) is Cluster.connect(cluster.address)
    (matches,) = play_many([("random", "rps/rock")], "rps", games=4, workers=2)
    (here,) = play_many([("random", "rps/rock")], "rps", games=4, executor=SerialExecutor())
    assert matches.table.drop(columns=TIMES).equals(here.table.drop(columns=TIMES))
    with pytest.raises(ValueError, match="workers=2 and an executor"):
        chosen_executor(2, SerialExecutor())


def test_a_worker_with_other_code_plays_nothing(cluster, monkeypatch):
    monkeypatch.setattr(executors, "library_mark", lambda: "of yesterday")
    with pytest.raises(ClusterError, match="runs other code of the library than was asked for"):
        play_many([("random", "rps/rock")], "rps", games=2, executor=executor_at(cluster.address))


def test_a_dataset_written_where_nobody_sees_it_is_told(cluster, tmp_path):
    class Elsewhere:
        """An executor whose worker writes to a disk of its own."""

        def submit(self, function):
            future = SerialExecutor().submit(function)
            for part in (tmp_path / "d/.parts").iterdir():
                part.rename(tmp_path / part.name)
            return future

    with pytest.raises(FileNotFoundError, match="needs a file system that all its machines share"):
        collect("kuhn", "kuhn/nash", games=8, folder=tmp_path / "d", executor=Elsewhere())


def test_a_scheduler_that_goes_away_ends_the_wait(new_cluster):
    gone = new_cluster()
    known = Cluster.connect(gone.address)
    timer = threading.Timer(1.0, gone.scheduler.kill)
    timer.start()
    with pytest.raises(ClusterError, match="its scheduler is gone"):
        play_many([("random", "rps/rock")], "rps", games=2, executor=known.executor())
    timer.join()
    known.close()


def test_an_address_where_nobody_is_or_that_is_none_is_told(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"dask://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 1.0)
    with pytest.raises(ClusterError, match="no Dask scheduler answers there within 1 s"):
        executor_at(nobody)
    for wrong in ("10.0.0.5:8786", "dask://host", "http://host:1", "dask://"):
        with pytest.raises(ValueError, match="expected the address of a Dask scheduler"):
            executor_at(wrong)
    assert [scheduler_address(f"{kind}://h:1") for kind in ("dask", "tcp", "tls")] == [
        "tcp://h:1",
        "tcp://h:1",
        "tls://h:1",
    ]


def test_without_dask_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ClusterError, match=r"pip install 'workbench\[dask\]'"):
        executor_at("dask://127.0.0.1:1")
