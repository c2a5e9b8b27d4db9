"""Round robins: everybody against everybody, pair by pair, each finished pair kept on disk."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from workbench.arena.entrants import Source, entrants
from workbench.arena.files import remove_partial, write_csv, write_json
from workbench.arena.matches import Matches
from workbench.arena.members import content_hash
from workbench.arena.parallel import Task, pair_seed, run_tasks
from workbench.policies import mixture
from workbench.policies.registry import find_policy
from workbench.policies.storage import read_pair

DEFAULT_TEAMS = {"gen1ou": "competitive"}  # where the env's option `teams` is left out


class PairFailedWarning(UserWarning):
    """A pair's games could not be played; the other pairs' could."""


class TournamentIncomplete(RuntimeError):
    """Some pairs of a tournament could not be played; all others were, and are kept in its folder if it has one.

    Args:
        failures: what went wrong, by the pair's ids.
        pairs: how many there are in all.
    """

    def __init__(self, failures: dict[tuple[str, str], str], pairs: int):
        super().__init__(failures, pairs)
        self.failures, self.pairs = failures, pairs

    def __str__(self) -> str:
        named = "; ".join(f"{first} against {second}: {error}" for (first, second), error in self.failures.items())
        return (
            f"{len(self.failures)} of {self.pairs} pairs could not be played ({named}). The others were: with the same "
            "folder, the next call plays only these; failures='warn' goes on without them"
        )


def round_robin(
    env_name: str,
    players: Sequence[Source] | Mapping[str, Source],
    *,
    games_per_pair: int = 200,
    env_options: dict | None = None,
    batch_size: int = 64,
    seed: int = 0,
    temperature: float = 1.0,
    self_play: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    failures: Literal["raise", "warn"] = "raise",
    folder: str | Path | None = None,
    earlier: Sequence[str | Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Matches:
    """Everybody plays everybody `games_per_pair` games, half in either seat.

    Every pair is a task of its own. With a folder each finished pair is kept there, and a later call plays only what
    is missing, or what has changed: the env's options, the games, the seed, or a player's weights. A pair that fails
    is named in `tournament_results.json`, and the others go on; at the end the failures are raised, or warned of.

    Args:
        env_name, env_options, batch_size: for `workbench.envs.make`, in each task.
        players: ids and players, names or paths; or only the latter (see `workbench.arena.parallel.entrants`).
        seed: decides all games; a pair's games do not depend on who else takes part.
        self_play: everybody also plays itself.
        workers, executor: how many local processes play, by default one a core; or any `concurrent.futures.Executor`.
            Where `workbench run --executor` names a cluster, its workers play, and `workers` is not read.
        failures: what happens when all pairs were tried and some failed. `"raise"`: `TournamentIncomplete`; `"warn"`: a
            `PairFailedWarning` each, and the tournament ends without these pairs.
        folder: gets `matches.parquet` and `.csv`, `tournament_results.json`, `team_results/battle_log_*.csv` and
            `pairs/`.
        earlier: folders of other tournaments; pairs that they hold the very same games of are taken from there, so that
            a field that grew plays only the new pairs.
        progress: called with (games finished, games in all) after each pair, kept ones included.

    Returns:
        Matches, pair by pair in the order of `players`, of the pairs that could be played.

    Raises:
        ValueError: fewer than two players, or two of one id; both workers and an executor.
        TournamentIncomplete: pairs failed, and failures="raise"; or all did.
    """
    field = entrants(players)
    if len(field) < 2:
        raise ValueError(f"a tournament needs at least 2 players; got {[entrant.id for entrant in field]}")
    pairs = list(itertools.combinations(field, 2)) + ([(entrant, entrant) for entrant in field] if self_play else [])
    options = (env_options or {}, batch_size, temperature)
    tasks = [
        Task(env_name, first, second, games_per_pair, pair_seed(seed, first.id, second.id), *options, number=number)
        for number, (first, second) in enumerate(pairs)
    ]
    return _play(tasks, workers, executor, failures, folder, earlier, progress)


def play_pairs(
    env_name: str,
    players: Sequence[Source] | Mapping[str, Source],
    games: Mapping[tuple[str, str], int],
    *,
    env_options: dict | None = None,
    batch_size: int = 64,
    seed: int = 0,
    temperature: float = 1.0,
    workers: int | None = None,
    executor: Executor | None = None,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Matches:
    """Some pairs of a field play, each as many games as it is given: a tournament that is not round.

    Args:
        games: how many, by the pair's ids; pairs with none are left out.
        others: as in `round_robin`. For further games of pairs that played before, give another seed.

    Raises:
        KeyError: an id that no player has.
        TournamentIncomplete: pairs failed; the others are kept in the folder, if there is one.
    """
    field = {entrant.id: entrant for entrant in entrants(players)}
    unknown = {id for pair in games for id in pair} - field.keys()
    if unknown:
        raise KeyError(f"no player {sorted(unknown)[0]!r} among {', '.join(field)}")
    options = (env_options or {}, batch_size, temperature)
    some = [(field[first], field[second], count) for (first, second), count in games.items() if count > 0]
    tasks = [
        Task(env_name, first, second, count, pair_seed(seed, first.id, second.id), *options, number=number)
        for number, (first, second, count) in enumerate(some)
    ]
    return _play(tasks, workers, executor, "raise", folder, (), progress) if tasks else Matches.empty()


def _play(
    tasks: list[Task],
    workers: int | None,
    executor: Executor | None,
    failures: str,
    folder: str | Path | None,
    earlier: Sequence[str | Path],
    progress: Callable[[int, int], None] | None,
) -> Matches:
    if failures not in ("raise", "warn"):
        raise ValueError(f"failures={failures!r}; expected 'raise' or 'warn'")
    book = _Book(tasks, Path(folder) if folder is not None else None, [Path(place) for place in earlier])
    book.tell(progress)
    for task, result in run_tasks(book.missing(), workers, executor):
        book.enter(task, result)
        book.tell(progress)
    failed = {(tasks[number].first.id, tasks[number].second.id): book.failed[number] for number in sorted(book.failed)}
    if failed and (failures == "raise" or not book.played):
        raise TournamentIncomplete(failed, len(tasks))
    for (first, second), error in failed.items():
        warnings.warn(f"{first} against {second} failed: {error}", PairFailedWarning, stacklevel=2)
    return book.close()


class _Book:
    """What of a tournament is played and what failed, in memory and in its folder."""

    def __init__(self, tasks: list[Task], folder: Path | None, earlier: list[Path]):
        self.tasks, self.folder = tasks, folder
        self.played: dict[int, Matches] = {}
        self.failed: dict[int, str] = {}
        if folder is not None:
            remove_partial(folder)
        if folder is not None or earlier:
            contents = {e.id: content_of(e.source) for task in tasks for e in (task.first, task.second)}
            names = [pair_folder(task, contents) for task in tasks]
            for task, name in zip(tasks, names, strict=True):
                kept_in = [folder, *earlier] if folder is not None else earlier
                found = next((place for place in kept_in if self._recall(task, place / "pairs" / name)), folder)
                if folder is not None and found != folder:
                    self.played[task.number].save(folder / "pairs" / name)
        if folder is not None:
            self.places = [folder / "pairs" / name for name in names]
            self._write_results()

    def _recall(self, task: Task, place: Path) -> bool:
        """Whether the pair's games are kept there, all of them; they are taken if so."""
        try:
            kept = Matches.load(place)
        except FileNotFoundError:
            return False
        except ValueError as error:
            instead = "the pair is taken from an earlier tournament, or played again"
            warnings.warn(f"{error}; {instead}", UserWarning, stacklevel=4)
            return False
        if len(kept) != task.games:
            return False
        self.played[task.number] = kept
        return True

    def missing(self) -> list[Task]:
        return [task for task in self.tasks if task.number not in self.played]

    def enter(self, task: Task, result: Matches | Exception) -> None:
        if isinstance(result, Exception):
            self.failed[task.number] = f"{type(result).__name__}: {result}"
        else:
            self.played[task.number] = result
            if self.folder is not None:
                result.save(self.places[task.number])
        if self.folder is not None:
            self._write_results()

    def tell(self, progress: Callable[[int, int], None] | None) -> None:
        if progress is not None:
            games = [task.games for task in self.tasks]
            progress(sum(games[number] for number in (*self.played, *self.failed)), sum(games))

    def close(self) -> Matches:
        matches = Matches.concat(self.played[number] for number in sorted(self.played))
        if self.folder is not None:
            matches.save(self.folder)
            for number, pair in self.played.items():
                name = re.sub(r"^(.*)-[0-9a-f]+$", r"\1", self.places[number].name)
                write_csv(self.folder / "team_results" / f"battle_log_{number:03d}_{name}.csv", battle_log(pair))
        return matches

    def _write_results(self) -> None:
        """`tournament_results.json` as Metamon's script writes it, and more."""
        some = self.tasks[0]
        everybody = dict.fromkeys(e.id for task in self.tasks for e in (task.first, task.second))
        write_json(
            self.folder / "tournament_results.json",
            {
                "models": list(everybody),
                "battle_format": some.env_name,
                "team_set": team_set(some.env_name, some.env_options),
                "battles_per_matchup": some.games,
                "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
                "env_options": json.loads(json.dumps(some.env_options, default=str)),
                "temperature": some.temperature,
                "matchups": [self._matchup(task) for task in self.tasks],
            },
        )

    def _matchup(self, task: Task) -> dict:
        first, second = task.first.id, task.second.id
        entry = {"model1": first, "model2": second, "usernames": [first, second], "seed": task.seed}
        if task.number in self.failed:
            return {"status": "error", **entry, "num_battles": 0, "error": self.failed[task.number]}
        if task.number not in self.played:
            return {"status": "pending", **entry, "num_battles": 0}
        pair = self.played[task.number]
        if first == second:
            return {"status": "success", **entry, "num_battles": len(pair)}
        score = pair.score(first, second)
        result = {"wins": score.wins, "draws": score.draws, "losses": score.losses}
        return {"status": "success", **entry, "num_battles": len(pair), **result}


def team_set(env_name: str, env_options: Mapping) -> str:
    """What the teams of a tournament were drawn from, in one line; empty for games without teams."""
    teams = env_options.get("teams", DEFAULT_TEAMS.get(env_name, ""))
    if isinstance(teams, str) or hasattr(teams, "__fspath__"):
        return str(teams)
    if isinstance(teams, tuple):  # one a seat
        return " and ".join(team_set(env_name, {"teams": seat}) for seat in teams)
    return f"{len(teams)} team{'s' * (len(teams) != 1)} given"


def battle_log(matches: Matches) -> pd.DataFrame:
    """Each battle from both sides, two rows of one Battle ID, in the columns of Metamon's logs.

    Columns: Player Username, Team File (empty: matches do not know teams), Opponent Username, Result (WIN, LOSS,
    DRAW), Turn Count, Battle ID. Ratings are computed from `Matches`, where a battle is one row.
    """
    sides = matches.sides()
    return pd.DataFrame(
        {
            "Player Username": sides["policy"],
            "Team File": "",
            "Opponent Username": sides["opponent"],
            "Result": np.array(["LOSS", "DRAW", "WIN"], object)[(2 * sides["score"]).astype(int)],
            "Turn Count": sides["length"],
            "Battle ID": sides["match_id"],
        }
    )


def pair_folder(task: Task, contents: Mapping[str, str]) -> str:
    """The folder name of a pair's kept games: readable, and different whenever other games would be played."""
    what = (task.env_name, task.batch_size, task.games, task.seed, task.temperature)
    options = json.dumps(task.env_options, sort_keys=True, default=repr)
    players = [(entrant.id, contents[entrant.id]) for entrant in (task.first, task.second)]
    digest = hashlib.blake2b(repr((what, options, players)).encode(), digest_size=6).hexdigest()
    names = [re.sub(r"[^A-Za-z0-9.+-]+", "-", entrant.id).strip("-")[-40:] for entrant in (task.first, task.second)]
    return f"{names[0]}_vs_{names[1]}-{digest}"


def content_of(source: Source) -> str:
    """What decides how a player plays: a hash of a network's weights, or a scripted player's name."""
    if isinstance(source, str | Path):
        id, folder = find_policy(source)
        if folder is None:
            return id
        if (folder / mixture.FILE).exists():
            entries = mixture.read_mixture(folder)["members"]
            places = [folder / entry["folder"] if "folder" in entry else entry["id"] for entry in entries]
            return _content_of_mixture(places, [entry["probability"] for entry in entries])
        return content_hash(read_pair(folder, "policy")[0])
    if isinstance(source, mixture.Mixture):
        return _content_of_mixture(source.members, source.weights)
    return content_hash(source.arrays()) if hasattr(source, "arrays") else source.id


def _content_of_mixture(members: Sequence[Source], weights: Sequence[float]) -> str:
    parts = [(content_of(one), round(float(weight), 9)) for one, weight in zip(members, weights, strict=True) if weight]
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
