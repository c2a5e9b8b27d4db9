"""Collecting games to learn from: played in parallel, written while they are played, in chunks that are never lost twice."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.arena.entrants import Entrant, Source, entrants
from workbench.arena.files import remove_partial, write_json
from workbench.arena.matches import Matches
from workbench.arena.parallel import Task, pair_seed, run_tasks
from workbench.arena.tournament import content_of
from workbench.data.recorder import Recorder, share_of_numbers
from workbench.envs.core import Env

GAMES_PER_CHUNK = 200
_PARTS = ".parts"


@dataclass(frozen=True)
class Collection:
    """What `collect` played and wrote.

    Args:
        folder: the dataset: `folder/<env name>/` holds the trajectories.
        matches: one row a game.
        seconds: wall time of the games played by this call; those kept from an earlier one cost nothing.
        played: how many games this call played.
    """

    folder: Path
    matches: Matches
    seconds: float
    played: int

    def metrics(self) -> dict:
        """`games`, `games_per_second` of this call, `average_length` in env steps, and `win_rate` as rate, low and high
        where there was somebody else to beat."""
        table = self.matches.table
        figures = {"games": len(table), "average_length": float(table["length"].mean())}
        if self.played:
            figures["games_per_second"] = self.played / self.seconds
        learner = json.loads((self.folder / "collection.json").read_text(encoding="utf-8"))["policy"]
        score = self.matches.score(learner)
        return figures | ({"win_rate": [score.rate, score.low, score.high]} if score.games else {})

    def _repr_html_(self) -> str:
        return self.matches._repr_html_()


@dataclass(frozen=True)
class _Recording:
    """Makes the recorder of one chunk of so many, in whatever process plays it.

    The chunk's folder appears when it is whole. A chunk may be played twice, even at once, where a cluster took a worker for
    dead that was not: the games are the same, and the first to be finished counts.
    """

    folder: Path
    started: datetime
    chunks: int

    @contextmanager
    def __call__(self, env: Env, ids: tuple[str, str], number: int) -> Iterator[Recorder]:
        attempt = self.folder / f"{number:05d}.{secrets.token_hex(4)}"
        numbers = share_of_numbers(number, self.chunks)
        with Recorder(env, attempt, ids, started=self.started, numbers=numbers) as recorder:
            yield recorder
        try:
            attempt.rename(self.folder / f"{number:05d}")
        except OSError:
            if not (self.folder / f"{number:05d}").is_dir():
                raise
            shutil.rmtree(attempt)


def collect(
    env_name: str,
    policy: Source | Entrant,
    opponents: Sequence[Source | Entrant] = (),
    *,
    games: int,
    folder: str | Path,
    env_options: dict | None = None,
    batch_size: int = 64,
    temperature: float | tuple[float, float] = 1.0,
    seed: int = 0,
    games_per_chunk: int = GAMES_PER_CHUNK,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Collection:
    """Play `policy` against its opponents, or itself, and keep both sides of every game.

    The games are split evenly among the opponents and cut into chunks, each a task of its own. A finished chunk is
    moved into the dataset whole; a later call with the same arguments plays only what is missing, and ends with the
    same games as one that was never stopped.

    Args:
        env_name, env_options, batch_size: for `workbench.envs.make`, in each task.
        policy, opponents: players, names or folders; nobody in `opponents` means games against itself.
        games: in all, at least one an opponent.
        folder: of the dataset.
        temperature: of both, or of `policy` and of whoever it meets.
        seed: decides all games, whatever the number of workers.
        games_per_chunk: how many a task plays.
        workers, executor: how many local processes play, by default one a core; or any `concurrent.futures.Executor`.
            Where `workbench run --executor` names a cluster, its workers play, and `workers` is not read.
        progress: called with (games finished, games in all).

    Raises:
        ValueError: fewer games than opponents; a folder that holds another collection; both workers and an executor.
        whatever a chunk raised; chunks that finished before stay.
    """
    folder = Path(folder)
    field = [one if isinstance(one, Entrant) else entrants([one])[0] for one in (policy, *opponents)]
    learner, rivals = field[0], field[1:] or [field[0]]
    if games < len(rivals):
        raise ValueError(f"games={games}: expected at least one for each of {len(rivals)} opponents")
    tasks = _tasks(env_name, env_options or {}, learner, rivals, games, batch_size, temperature, seed, games_per_chunk)
    started = _claim(folder, tasks, seed)
    shutil.rmtree(folder / _PARTS, ignore_errors=True)  # what killed workers left
    parts = (folder / _PARTS / secrets.token_hex(4)).absolute()
    recording = _Recording(parts, started, len(tasks))
    remove_partial(folder / "chunks")
    kept = {task.number: found for task in tasks if (found := _recall(folder, task)) is not None}
    before, clock = sum(map(len, kept.values())), time.perf_counter()

    def tell() -> None:
        if progress is not None:
            progress(sum(map(len, kept.values())), games)

    tell()
    missing = [_with(task, recording) for task in tasks if task.number not in kept]
    for task, result in run_tasks(missing, workers, executor):
        if isinstance(result, Exception):
            result.add_note(f"while collecting {task.first.id} against {task.second.id} at {env_name}")
            raise result
        _move_in(folder, parts, task, result)
        kept[task.number] = result
        tell()
    shutil.rmtree(folder / _PARTS, ignore_errors=True)
    matches = Matches.concat(kept[number] for number in sorted(kept))
    matches.save(folder)
    return Collection(folder, matches, time.perf_counter() - clock, len(matches) - before)


def _tasks(env_name, env_options, learner, rivals, games, batch_size, temperature, seed, chunk) -> list[Task]:
    tasks: list[Task] = []
    for index, rival in enumerate(rivals):
        share = games // len(rivals) + (index < games % len(rivals))
        for part, begin in enumerate(range(0, share, chunk)):
            own_seed = pair_seed(seed, learner.id, rival.id, part)
            count = min(chunk, share - begin)
            tasks.append(
                Task(env_name, learner, rival, count, own_seed, env_options, batch_size, temperature, number=len(tasks))
            )
    return tasks


def _with(task: Task, recording: _Recording) -> Task:
    fields = {name: getattr(task, name) for name in task.__dataclass_fields__}
    return Task(**{**fields, "record": recording})


def _claim(folder: Path, tasks: list[Task], seed: int) -> datetime:
    """When the collection in `folder` began, which its files are named after; begun now if there is none.

    Raises:
        ValueError: the folder holds games of another collection.
    """
    contents = {entrant.id: content_of(entrant.source) for task in tasks for entrant in (task.first, task.second)}
    described = [
        contents,
        *(
            (t.env_name, t.first.id, t.second.id, t.games, t.seed, t.env_options, t.batch_size, t.temperature)
            for t in tasks
        ),
    ]
    plan = hashlib.blake2b(json.dumps(described, default=str).encode(), digest_size=8).hexdigest()
    file = folder / "collection.json"
    if file.is_file():
        known = json.loads(file.read_text(encoding="utf-8"))
        if known["plan"] != plan:
            raise ValueError(
                f"{folder}: holds games collected with other parameters; choose another folder or empty it"
            )
        return datetime.fromisoformat(known["started"])
    started = datetime.now(UTC).replace(microsecond=0)
    write_json(
        file,
        {
            "plan": plan,
            "started": started.isoformat(),
            "env": tasks[0].env_name,
            "env_options": json.loads(json.dumps(tasks[0].env_options, default=str)),
            "policy": tasks[0].first.id,
            "opponents": list(dict.fromkeys(task.second.id for task in tasks)),
            "games": sum(task.games for task in tasks),
            "seed": seed,
        },
    )
    return started


def _chunk(folder: Path, task: Task) -> Path:
    return folder / "chunks" / f"{task.number:05d}"


def _recall(folder: Path, task: Task) -> Matches | None:
    """The games of a chunk that is done: one whose table is there, whole; its folder alone says nothing."""
    try:
        return Matches.load(_chunk(folder, task))
    except FileNotFoundError:
        return None
    except ValueError as error:
        warnings.warn(f"{error}; the chunk is played again", UserWarning, stacklevel=3)
        return None


def _move_in(folder: Path, parts: Path, task: Task, matches: Matches) -> None:
    """Move a chunk's files into the dataset, then say it is done.

    Cut off in between, the chunk is played again: the same games under the same names take their own places.

    Raises:
        FileNotFoundError: the worker that played the chunk wrote to a disk that is not this machine's.
    """
    part, target = parts / f"{task.number:05d}", folder / task.env_name
    if not part.is_dir():
        raise FileNotFoundError(
            f"{part}: what a worker recorded is not here; collecting on a cluster needs a file system that all its machines "
            "share, with the same paths"
        )
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(part.rglob("*")):
        if file.is_file():
            file.replace(target / file.name)
    shutil.rmtree(part)
    matches.save(_chunk(folder, task))
