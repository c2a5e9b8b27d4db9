"""Many pairings at once: each is one task for a `concurrent.futures.Executor`."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from workbench import envs
from workbench.arena.entrants import Entrant, Source, entrants
from workbench.arena.matches import Matches
from workbench.arena.play import Recorder, play
from workbench.envs.core import Env

_WATCH = "workbench-owner"
RecorderFactory = Callable[[Env, tuple[str, str], int], AbstractContextManager[Recorder]]


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


# Memory that workers free goes back to the system: about 50 MB less each while collecting gen1ou.
_FRUGAL = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


def local_executor(workers: int | None = None) -> Executor:
    """Processes on this machine, one a core by default, kept for the next call and let go when idle (loky)."""
    from joblib.externals.loky import cpu_count, get_reusable_executor  # its count heeds containers' limits

    return get_reusable_executor(max_workers=workers or cpu_count(), timeout=60, env=_FRUGAL)


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
        workers, executor: how many local processes play, by default one a core; or any `concurrent.futures.Executor`
            (see `run_tasks`).
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

    A worker that dies takes its executor with it. Local processes (also those of `local_executor` or of loky itself) are
    then replaced, and the tasks that had not finished run again, one at a time, so that only whoever kills a worker by
    himself is reported. Any other executor is its owner's to replace: all it had not finished is reported.

    Raises:
        ValueError: both workers and an executor.
    """
    from joblib.externals.loky import ProcessPoolExecutor

    if workers is not None and executor is not None:
        raise ValueError(
            f"workers={workers} and an executor: expected one of them, since an executor has its own workers"
        )
    executor = executor or local_executor(workers)
    broken = []
    for task, result in _run(tasks, executor):
        if isinstance(result, BrokenExecutor) and isinstance(executor, ProcessPoolExecutor):
            broken.append(task)
        else:
            yield task, result
    for task in broken:
        yield from _run([task], local_executor(1))


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
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield futures[future], error or future.result()
    finally:
        for future in futures:
            future.cancel()


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
