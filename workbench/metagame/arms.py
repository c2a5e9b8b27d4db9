"""Several arms of one experiment, with the same seeds, held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.envs.players import Player
from workbench.metagame.exploitability import measured, policy_table
from workbench.metagame.sequences import SequenceForm
from workbench.metagame.solvers import solve
from workbench.metagame.statistics import paired
from workbench.policies.mixture import Mixture


def compare_arms(
    figures: Mapping[str, Sequence[float]], *, within: tuple[float, float] = (-np.inf, np.inf)
) -> pd.DataFrame:
    """Every arm's mean over seeds, and what the last arm has more than each of the others, seed by seed.

    >>> compare_arms({"control": [0.5, 0.3], "treated": [0.2, 0.2]})["mean"].round(2).to_dict()
    {'control': 0.4, 'treated': 0.2, 'treated less control': -0.2}

    Args:
        figures: by arm, a figure a seed, in the same order of seeds; the last arm is the one that is held against the others.
        within: what a figure can be: 0 to 1 for a win rate, 0 to infinity for an exploitability.

    Returns:
        A row an arm and a difference; columns as of `workbench.metagame.statistics.paired`, intervals Student's at 95%.

    Raises:
        ValueError: no arm, none of one, or not as many figures of each.
    """
    if not figures:
        raise ValueError("no arms to compare; expected figures of at least one")
    *controls, treated = figures
    pairs = {
        name: paired(figures[treated], figures[name], (treated, name), within=within) for name in controls or [treated]
    }
    rows = {name: pairs[name].iloc[1] for name in pairs} | {treated: next(iter(pairs.values())).iloc[0]}
    rows |= {f"{treated} less {name}": pairs[name].iloc[2] for name in controls}
    return pd.DataFrame(rows).T


def conclusion(treatment: str, what: str, difference: Sequence[float], *, less_is_better: bool = False) -> str:
    """Whether a treatment helped, in words.

    >>> conclusion("Damping", "exploitability", (-0.2, -0.3, -0.1), less_is_better=True)
    'Damping helped: exploitability -0.200 [-0.300, -0.100].'

    Args:
        difference: what the treated have more than the control: mean, low and high of its 95% interval over seeds.
    """
    mean, low, high = difference
    if np.isnan(low):
        return f"{treatment}: {what} {mean:+.3f}; a single seed a side says nothing of chance."
    change = f"{what} {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    if low <= 0 <= high:
        return f"{treatment} made no difference that can be told from chance: {change}."
    return f"{treatment} {'helped' if (mean < 0) == less_is_better else 'did harm'}: {change}."


def mixture_exploitability(env_name: str, players: Sequence[Player]) -> float:
    """Exploitability of the Nash mixture of some players, who meet in both seats, one drawn a game; all of it exact.

    Args:
        env_name: of a game that can be unrolled.
        players: what an arm has frozen; its last policy by itself says less of arms that learn against their past.
    """
    game = SequenceForm.of(env_name)
    plans = np.stack([game.plan(policy_table(player, game.tree)) for player in players])
    first = game.payoffs(plans, plans)
    shares = solve((first - first.T) / 2).row
    played = np.flatnonzero(shares > 1e-9)
    weights = shares[played] / shares[played].sum()
    mixture = Mixture("mixture", [players[index] for index in played], weights)
    return measured(env_name)(mixture)["exploitability"]
