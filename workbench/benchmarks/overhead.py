"""What it costs to give tasks to executors: per task, beside the bare executor, and beside the work of a real task."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace

from workbench.arena.entrants import entrants
from workbench.arena.executors import local_executor
from workbench.arena.parallel import Task, run_tasks


@dataclass(frozen=True)
class EmptyTask:
    """A task that does nothing."""

    number: int

    def run(self) -> int:
        return self.number

    def placed(self) -> EmptyTask:
        return self


def task_overhead(tasks: int = 5000, workers: int = 2, rounds: int = 5, executor: Executor | None = None) -> dict:
    """Milliseconds of wall time for each of many tasks that do nothing, medians over rounds, after a warm-up.

    Args:
        workers: local processes, where no executor is given.
        executor: any other one, such as `executor_at("dask://...")`.

    Returns:
        `run_tasks`, as tournaments and collecting give out their tasks; `bare`, each submitted to the same executor by
        itself and waited for.
    """
    executor = executor or local_executor(workers)
    given = [EmptyTask(number) for number in range(tasks)]

    def through_run_tasks() -> None:
        assert sum(1 for _ in run_tasks(given, executor=executor)) == tasks

    def bare() -> None:
        for future in as_completed([executor.submit(task.run) for task in given]):
            future.result()

    return {
        name: _milliseconds(each, tasks, rounds) for name, each in (("run_tasks", through_run_tasks), ("bare", bare))
    }


def shortest_task(games: int = 2, rounds: int = 200, env_name: str = "rps") -> dict:
    """Milliseconds that a whole task takes where there is next to nothing to play: an env made, players loaded, a table filled.

    Returns:
        `task`, played in this process; `pickled`, bytes that such a task is when sent.
    """
    import pickle

    first, second = entrants([f"{env_name}/rock", f"{env_name}/paper"])
    task = Task(env_name, first, second, games, 0)
    return {
        "task": _milliseconds(lambda: [replace(task, seed=seed).run() for seed in range(rounds)], rounds, 3),
        "pickled": len(pickle.dumps(task)),
    }


def _milliseconds(each: Callable[[], object], count: int, rounds: int) -> float:
    each()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        each()
        took.append(time.perf_counter() - began)
    return 1e3 * statistics.median(took) / count
