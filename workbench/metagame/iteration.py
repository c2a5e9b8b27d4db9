"""The pieces of one iteration of PSRO that a notebook puts together: who takes part, the mixture, what came before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from workbench.arena.entrants import Entrant, Source, entrants, loaded
from workbench.arena.matches import Matches
from workbench.arena.tournament import round_robin
from workbench.envs.core import EnvSpec
from workbench.envs.players import Player
from workbench.learning.rollout import FixedOpponents
from workbench.metagame.analysis import Equilibrium
from workbench.metagame.payoffs import EmpiricalGame
from workbench.policies.mixture import Mixture


def population(sources: Sequence[Source]) -> dict[str, Source]:
    """Policies by their ids, in order.

    Raises:
        ValueError: two of one id that could not be told apart.
        KeyError, FileNotFoundError: one that is not there.
    """
    return {entrant.id: entrant.source for entrant in entrants(sources)}


def mixture(id: str, members: Mapping[str, Source], found: Equilibrium, spec: EnvSpec) -> Mixture:
    """The row mixture of an equilibrium as a policy; members that it never plays are left out.

    Raises:
        ValueError: a member was made for another env than `spec`.
    """
    played = [(name, share) for name, share in zip(found.game.rows, found.profile.row, strict=True) if share > 1e-9]
    players = [Entrant(name, members[name]).load(spec) for name, _ in played]
    total = sum(share for _, share in played)
    return Mixture(id, players, [share / total for _, share in played])


def equal_shares(id: str, players: Sequence[Player]) -> Mixture:
    """A mixture that draws everybody as often."""
    return Mixture(id, players, [1 / len(players)] * len(players))


def chosen_mixture(source: Source | None, members: Mapping[str, Source], spec: EnvSpec) -> Mixture:
    """A saved mixture, one player as a mixture of himself, or, of no source, all members in equal shares.

    Raises:
        ValueError: made for another env than `spec`.
        KeyError, FileNotFoundError: there is no such player.
    """
    if source is None:
        return equal_shares("equal-shares", [Entrant(name, member).load(spec) for name, member in members.items()])
    player = loaded(source, spec)
    return player if isinstance(player, Mixture) else Mixture(f"always-{player.id}", [player], [1.0])


def read_summaries(files: Sequence[str | Path]) -> list[dict]:
    """`iteration_summary.json` of the iterations so far, in order.

    Raises:
        ValueError: a file is no summary; it is named.
    """
    summaries = []
    for file in files:
        try:
            summary = json.loads(Path(file).read_text(encoding="utf-8"))
            summary["iteration"], summary["meta_strategy"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}: expected the iteration_summary.json of a meta-game ({error})") from error
        summaries.append(summary)
    return summaries


class Gain(NamedTuple):
    """What a response earns a game against a mixture: mean and its 95% interval, over so many held-out games.

    In payoff: -1 to 1 where games are won or lost (twice the win rate above a half), chips where there are stakes.
    """

    games: int
    mean: float
    low: float
    high: float


def evaluate(
    env_name: str,
    response: Source,
    opponent: Mixture | Source,
    *,
    games: int,
    folder: str | Path | None = None,
    **options,
) -> tuple[Matches, Gain]:
    """Held-out games of a best response against the mixture it was trained on.

    What it gains is an approximate exploitability of the mixture: a lower bound, as a better response may exist.

    Args:
        games: how many; their seed must not be the training's.
        options: for `workbench.arena.round_robin`.
    """
    players = {entrant.id: entrant.source for entrant in entrants([response, opponent])}
    matches = round_robin(env_name, players, games_per_pair=games, folder=folder, **options)
    return matches, gain_of(matches, *players)


def gain_of(matches: Matches, response: str, opponent: str) -> Gain:
    """What one earned a game against the other.

    Raises:
        MissingPairs: they did not meet.
    """
    game = EmpiricalGame.of(matches, [response, opponent])
    low, high = game.intervals()
    return Gain(int(game.games[0, 1]), float(game.payoffs()[0, 1]), float(low[0, 1]), float(high[0, 1]))


def opponents(opponent: Source) -> FixedOpponents:
    """Whom a best response trains against: a mixture's members by their shares, or one player."""
    if isinstance(opponent, Mixture):
        return FixedOpponents(opponent.members, opponent.weights)
    return FixedOpponents([loaded(opponent)])


def verdict(response: str, opponent: str, gain: Gain) -> str:
    """In plain words, what a best response's held-out games say about the mixture."""
    seen = f"{response} earns {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] a game against {opponent}, over {gain.games} held-out games"
    if gain.low > 0:
        return f"{seen}: {opponent} can be exploited by at least that much."
    if gain.high < 0:
        return (
            f"{seen}: it lost, so it is no best response. Nothing follows about how far {opponent} can be exploited; "
            "train longer, or from a stronger start."
        )
    return (
        f"{seen}, which even play would give as well: either {opponent} is hard to exploit, or the response learned too "
        "little; its training curve tells which."
    )
