"""A population's games, grown: new pairs are played, old ones are kept, and more go where the equilibrium is least sure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from workbench.arena.entrants import Source, entrants
from workbench.arena.files import write_json
from workbench.arena.matches import Matches
from workbench.arena.parallel import pair_seed
from workbench.arena.tournament import content_of, play_pairs, round_robin
from workbench.metagame.analysis import equilibrium, next_games
from workbench.metagame.payoffs import EmpiricalGame

_FURTHER, _CONTENTS = "further", "contents.json"


def play_population(
    env_name: str,
    players: Sequence[Source] | Mapping[str, Source],
    *,
    folder: str | Path,
    earlier: str | Path | None = None,
    games_per_pair: int = 200,
    further_games: int = 0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options,
) -> Matches:
    """Every pair's games, and then further ones of the pairs on which the equilibrium hangs; none of a population of one.

    Args:
        env_name, players, options: as `workbench.arena.round_robin`.
        folder: keeps all games; a call that was stopped goes on there, and a later population starts from it.
        earlier: the folder of the population before, of which all games of pairs that are still there are taken.
        games_per_pair: of every pair.
        further_games: in all, spread by `next_games`; those of earlier populations come on top.
        progress: called with (games finished, games in all), of the round first, then of the further games.

    Raises:
        ValueError, TournamentIncomplete: as `round_robin`.
    """
    folder, field = Path(folder), entrants(players)
    if len(field) == 1:  # who meets nobody is an equilibrium
        matches = Matches.empty()
        matches.save(folder)
        return matches
    known = [] if earlier is None else [earlier]
    matches = round_robin(
        env_name, players, games_per_pair=games_per_pair, seed=seed, folder=folder, earlier=known, progress=progress,
        **options,
    )  # fmt: skip
    contents = {entrant.id: content_of(entrant.source) for entrant in field}
    ids, played = list(contents), _as_played(env_name, options)
    rounds, number = _further_rounds(folder, earlier, contents, played)
    matches = Matches.concat([matches, *rounds])
    if further_games:
        place = folder / _FURTHER / f"{number:03d}"
        found = equilibrium(EmpiricalGame.of(matches, ids), seed=seed)
        spread = next_games(found, further_games)
        games = {(ids[i], ids[j]): int(spread[i, j]) for i, j in zip(*spread.nonzero(), strict=True)}
        own_seed = pair_seed(seed, _FURTHER, str(number))
        write_json(place / _CONTENTS, {"players": contents, "played": played})
        more = play_pairs(env_name, players, games, seed=own_seed, folder=place, progress=progress, **options)
        matches = Matches.concat([matches, more])
    return matches


def _as_played(env_name: str, options: Mapping) -> str:
    """What decides, beside the players, what games are like."""
    what = (env_name, options.get("env_options") or {}, options.get("temperature", 1.0))
    return json.dumps(what, sort_keys=True, default=repr)


def _further_rounds(
    folder: Path, earlier: str | Path | None, contents: dict[str, str], played: str
) -> tuple[list[Matches], int]:
    """The further games of earlier populations, taken over into this folder, of players who are still who they were; and
    the number of the next round, which is no earlier one's.

    Games of another env, or with other options of it, do not count.
    """
    if earlier is None or not (Path(earlier) / _FURTHER).is_dir():
        return [], 0
    found, number = [], 0
    for place in sorted((Path(earlier) / _FURTHER).iterdir()):
        if not place.name.isdecimal():  # a copy that was cut off
            continue
        number = int(place.name) + 1
        then = json.loads((place / _CONTENTS).read_text(encoding="utf-8"))
        if then["played"] != played:
            continue
        mine = _taken_over(place, folder / _FURTHER / place.name)
        same = [id for id, content in contents.items() if then["players"].get(id) == content]
        table = Matches.load(mine).table
        found.append(Matches(table[table["policy_0"].isin(same) & table["policy_1"].isin(same)]))
    return found, number


def _taken_over(place: Path, mine: Path) -> Path:
    """A copy of a round, whole or not there."""
    if not mine.is_dir():
        partial = mine.with_name(f".{mine.name}.copied")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(place, partial)
        partial.rename(mine)
    return mine
