"""One policy against several opponents in games that nobody learned from: win rates and payoffs, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workbench.arena.entrants import Source, entrants
from workbench.arena.matches import Matches
from workbench.arena.tournament import play_pairs
from workbench.metagame.iteration import gain_of
from workbench.policies.registry import policy_names


def of_the_game(env_name: str) -> list[str]:
    """Names of the game's own scripted players, such as `kuhn/nash`; `random` alone where it has none."""
    return [name for name in policy_names() if name.startswith(f"{env_name}/")] or ["random"]


def held_out(
    env_name: str, policy: Source, opponents: Sequence[Source], *, games: int, **options
) -> tuple[Matches, pd.DataFrame]:
    """Play `policy` against each opponent, half of the games in either seat.

    Args:
        env_name: what is played.
        policy, opponents: players, names or folders; at least one opponent.
        games: against each.
        options: for `workbench.arena.tournament.play_pairs`; their seed must not be the training's.

    Returns:
        The games, and a row an opponent: opponent, games, win_rate (draws as halves) with Wilson's interval low, high;
        payoff a game with payoff_low, payoff_high, all at 95%.
    """
    field = {entrant.id: entrant.source for entrant in entrants([policy, *opponents])}
    mine, *theirs = field
    matches = play_pairs(env_name, field, {(mine, other): games for other in theirs}, **options)
    rows = []
    for other in theirs:
        score, gain = matches.score(mine, other), gain_of(matches, mine, other)
        rows.append((other, score.games, score.rate, score.low, score.high, *gain[1:]))
    names = ["opponent", "games", "win_rate", "low", "high", "payoff", "payoff_low", "payoff_high"]
    return matches, pd.DataFrame(rows, columns=names)
