"""Many pairings at once: each is one task for a `concurrent.futures.Executor`."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, as_completed, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench import envs
from workbench.arena.entrants import Entrant, Source, entrants
from workbench.arena.executors import ClusterError, chosen_executor, local_executor
from workbench.arena.matches import Matches
from workbench.arena.play import Recorder, play
from workbench.envs.core import Env
from workbench.policies.registry import find_policy

_WATCH = "workbench-owner"
_BATCH_SECONDS, _MOST_AT_ONCE = 0.02, 64  # what is given to a local process at once, where tasks are short
RecorderFactory = Callable[[Env, tuple[str, str], int], AbstractContextManager[Recorder]]


@dataclass(frozen=True)
class Task:
    """One pairing's games: all that a worker needs to play them.

    Args:
        env_name, env_options, batch_size: for `workbench.envs.make`; no more slots are used than there are games.
        first, second: who plays; the same entrant twice plays itself.
        games, seed, temperature: as in `play`.
        number: of the task among those given together.
        record: called with the env, both ids and `number`, gives a context manager whose value is the recorder.
        owner: the process that made the task. A worker that is its child ends when it does: a run that is killed leaves
            nobody behind who goes on playing.
    """

    env_name: str
    first: Entrant
    second: Entrant
    games: int
    seed: int
    env_options: dict = field(default_factory=dict)
    batch_size: int = 64
    temperature: float | tuple[float, float] = 1.0
    number: int = 0
    record: RecorderFactory | None = None
    owner: int = field(default_factory=os.getpid)

    def placed(self) -> Task:
        """The task with its paths made absolute, for a worker in another working directory."""
        first, second = _placed(self.first), _placed(self.second)
        return replace(self, first=first, second=second, env_options=_absolute(self.env_options))

    def run(self) -> Matches:
        """Make the env, load the players, play. Torch uses one thread meanwhile: workers share the cores."""
        _end_with(self.owner)
        batch = max(2, min(self.batch_size, self.games))
        with one_torch_thread(), envs.make(self.env_name, batch_size=batch, **self.env_options) as env:
            first = self.first.load(env.spec)
            second = first if self.second == self.first else self.second.load(env.spec)
            ids = (first.id, second.id)
            watched = nullcontext() if self.record is None else self.record(env, ids, self.number)
            with watched as recorder:
                return play(
                    env,
                    first,
                    second,
                    games=self.games,
                    seed=self.seed,
                    temperature=self.temperature,
                    recorder=recorder,
                )


def play_many(
    pairings: Sequence[tuple[Source | Entrant, Source | Entrant]],
    env_name: str,
    env_options: dict | None = None,
    *,
    games: int,
    seed: int = 0,
    temperature: float | tuple[float, float] = 1.0,
    batch_size: int = 64,
    workers: int | None = None,
    executor: Executor | None = None,
    record: RecorderFactory | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Matches]:
    """Play every pairing, each in a task of its own; the results do not depend on who computes what when.

    The seed of a pairing follows from `seed`, both ids, and how often the pairing stood before in the list: a pairing
    more changes no other, and the same pairing twice plays other games.

    Args:
        pairings: who plays whom.
        env_name, env_options, batch_size: for `workbench.envs.make`, in each task.
        games: a pairing.
        workers, executor: how many local processes play, by default one a core; or any `concurrent.futures.Executor`.
            Where `workbench run --executor` names a cluster, its workers play, and `workers` is not read.
        record: see `Task`; must be picklable.
        progress: called with (games finished, games in all) after each pairing.

    Returns:
        Matches by pairing, in the order given.

    Raises:
        ValueError: both workers and an executor.
        whatever a pairing raised, with a note that names it; those not begun are cancelled.
    """
    tasks = []
    seen: dict[tuple[str, str], int] = {}
    for number, pairing in enumerate(pairings):
        first, second = (one if isinstance(one, Entrant) else entrants([one])[0] for one in pairing)
        repeat = seen[first.id, second.id] = seen.get((first.id, second.id), -1) + 1
        own_seed = pair_seed(seed, first.id, second.id, repeat)
        options = (env_options or {}, batch_size, temperature, number, record)
        tasks.append(Task(env_name, first, second, games, own_seed, *options))
    results: dict[int, Matches] = {}
    for task, result in run_tasks(tasks, workers, executor):
        if isinstance(result, Exception):
            result.add_note(f"while {task.first.id} played {task.second.id} at {env_name}")
            raise result
        results[task.number] = result
        if progress is not None:
            progress(games * len(results), games * len(tasks))
    return [results[number] for number in range(len(tasks))]


def run_tasks(
    tasks: Sequence[Task], workers: int | None = None, executor: Executor | None = None
) -> Iterator[tuple[Task, Matches | Exception]]:
    """Each task with its result, or the exception it raised, as they finish.

    Where neither is given, the environment may name an executor (see `chosen_executor`).

    A worker that dies costs nothing but time. Local processes (also those of `local_executor` or of loky itself) are
    replaced; the tasks that were given out run again, one at a time, so that only whoever kills a worker by himself is
    reported; the others go on. A cluster does its workers' tasks again by itself. Any other executor is its owner's to
    replace: all it had not finished is reported.

    Raises:
        ValueError: both workers and an executor.
        ClusterError: the cluster cannot be reached.
    """
    from joblib.externals.loky import ProcessPoolExecutor

    executor = chosen_executor(workers, executor)
    if isinstance(executor, ProcessPoolExecutor):
        yield from _run_in_processes(tasks, executor)
    else:
        yield from _run([task.placed() for task in tasks], executor)


def _run(tasks: Sequence[Task], executor: Executor) -> Iterator[tuple[Task, Matches | Exception]]:
    futures: dict[Future, Task] = {}
    try:
        try:
            for task in tasks:
                futures[executor.submit(task.run)] = task
        except BrokenExecutor as error:
            for task in tasks[len(futures) :]:
                yield task, error
        for future in as_completed(futures):
            yield futures[future], _result_of(future)
    finally:
        for future in futures:
            future.cancel()


def _result_of(future: Future):
    """What a finished future holds: its result, or the exception it ended with."""
    if future.cancelled():
        return ClusterError("the executor gave the task up: its scheduler is gone, or it was shut down")
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return error or future.result()


def _run_in_processes(tasks: Sequence[Task], executor: Executor) -> Iterator[tuple[Task, Matches | Exception]]:
    """`run_tasks` on local processes, with as many tasks given out as keep them busy; short ones several at once."""
    processes = executor._max_workers
    waiting, suspects = deque(tasks), []
    given: dict[Future, list[Task]] = {}
    size, broken = 1, False
    try:
        while waiting or given:
            while waiting and not broken and len(given) < 2 * processes + 1:
                batch = [waiting.popleft() for _ in range(min(size, len(waiting)))]
                try:
                    given[executor.submit(_Batch(batch))] = batch
                except BrokenExecutor:
                    waiting.extendleft(reversed(batch))
                    broken = True
                    break
            for future in wait(given, return_when=FIRST_COMPLETED).done:
                batch, outcome = given.pop(future), _result_of(future)
                if isinstance(outcome, BrokenExecutor):
                    suspects += batch
                    broken = True
                elif isinstance(outcome, Exception):
                    yield batch[0], outcome
                else:
                    results, seconds = outcome
                    yield from zip(batch, results, strict=False)
                    waiting.extendleft(reversed(batch[len(results) :]))
                    size = min(2 * size, _MOST_AT_ONCE, max(1, int(_BATCH_SECONDS * len(results) / max(seconds, 1e-9))))
            if broken and not given:
                for task in suspects:
                    yield from _run([task], local_executor(1))
                suspects, executor, broken = [], local_executor(processes), False
    finally:
        for future in given:
            future.cancel()


class _Batch:
    """Tasks for one worker, done one after the other; called, it returns their results and the seconds they took.

    One that raises ends a batch: if it was the first the error is raised, else it begins the next one.
    """

    def __init__(self, tasks: list[Task]):
        self.tasks = tasks

    def __call__(self) -> tuple[list[Matches], float]:
        began = time.perf_counter()
        results: list[Matches] = []
        for task in self.tasks:
            try:
                results.append(task.run())
            except Exception:
                if not results:
                    raise
                break
        return results, time.perf_counter() - began


def _placed(entrant: Entrant) -> Entrant:
    if not isinstance(entrant.source, str | Path):
        return entrant
    folder = find_policy(entrant.source)[1]
    return entrant if folder is None else Entrant(entrant.id, folder.absolute())


def _absolute(value):
    """An option of an env, the paths of files and folders in it made absolute."""
    if isinstance(value, dict):
        return {key: _absolute(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_absolute(item) for item in value)
    if isinstance(value, Path):
        return value.absolute()
    return str(Path(value).absolute()) if isinstance(value, str) and "/" in value and Path(value).exists() else value


def _end_with(owner: int) -> None:
    """In a child of `owner`, end this process soon after `owner` has ended, however that came about."""
    if os.getppid() != owner or any(thread.name == _WATCH for thread in threading.enumerate()):
        return

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name=_WATCH, daemon=True).start()


def pair_seed(seed: int, first: str, second: str, repeat: int = 0) -> int:
    """A pairing's own seed, in [0, 2^63)."""
    digest = hashlib.blake2b(repr((int(seed), first, second, repeat)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def one_torch_thread():
    """Torch computes with one thread inside: two collapse under contention."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
