"""Whom the next best responses train against, given what the population's game says.

Training opponents need not be the mixture that is reported: against the equilibrium a response learns to exploit it,
against everybody alike it learns more broadly. How far the equilibrium can be exploited is measured against itself in
either case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from workbench.arena.entrants import Entrant, Source
from workbench.envs.core import EnvSpec
from workbench.metagame.analysis import Equilibrium
from workbench.policies.core import Policy
from workbench.policies.mixture import Mixture

Selector = Literal["equilibrium", "uniform", "top", "rectified"]
SELECTORS = ("equilibrium", "uniform", "top", "rectified")
RECTIFIED_WARNING = (
    "selector='rectified' is known not to converge even in small games (McAleer et al. 2020, arXiv 2006.08555): "
    "expect the population to grow more diverse, not the mixture to become unexploitable"
)
_START, _PLAYED = "start", 1e-9


class Selection(NamedTuple):
    """Opponents of one response.

    Args:
        shares: how likely each policy is drawn, by its id; none is 0.
        start: the policy of the population that the response begins from; None leaves that open.
    """

    shares: dict[str, float]
    start: str | None = None


def select_opponents(found: Equilibrium, selector: Selector = "equilibrium", *, top: int = 3) -> list[Selection]:
    """The opponents of the next responses: one selection, or as many as the selector asks for.

    `equilibrium`: the mixture. `uniform`: the whole population alike. `top`: the `top` policies with the largest shares
    of the mixture, in proportion. `rectified`: for each policy that the mixture plays one response, which begins from it
    and meets, by their shares, those that it beats or ties (itself among them), to become better at what it is good at;
    see `RECTIFIED_WARNING`.

    Raises:
        ValueError: an unknown selector, or `top` below 1.

    Source: Lanctot et al. 2017, arXiv 1711.00832 (equilibrium, uniform); Balduzzi et al. 2019, arXiv 1901.08106,
    algorithm 4 (rectified).
    """
    if selector not in SELECTORS:
        raise ValueError(f"selector={selector!r}: expected one of {', '.join(SELECTORS)}")
    if top < 1:
        raise ValueError(f"top={top}: expected at least 1")
    names, shares = found.game.rows, found.profile.row
    if selector == "uniform":
        return [_selection(names, np.ones(len(names)))]
    if selector == "top":
        chosen = np.argsort(-shares, kind="stable")[:top]
        return [_selection(names, np.where(np.isin(np.arange(len(names)), chosen), shares, 0))]
    if selector == "rectified":
        payoffs = found.game.payoffs()
        played = np.flatnonzero(shares > _PLAYED)
        return [_selection(names, np.where(payoffs[i] >= 0, shares, 0), names[i]) for i in played]
    return [_selection(names, shares)]


def _selection(names: Sequence[str], weights: np.ndarray, start: str | None = None) -> Selection:
    weights = np.where(weights > _PLAYED, weights, 0)
    kept = {name: float(share) for name, share in zip(names, weights / weights.sum(), strict=True) if share > 0}
    return Selection(kept, start)


def save_selections(
    folder: str | Path, name: str, selections: Sequence[Selection], members: Mapping[str, Source], spec: EnvSpec
) -> list[Path]:
    """Write each selection as a mixture, with the policy to begin from beside it, where it is a network.

    Args:
        folder: gets a folder for each.
        name: what the mixtures are called, each with its number.
        members: the population.

    Raises:
        ValueError: a member was made for another env than `spec`.
    """
    places = []
    for number, (shares, start) in enumerate(selections):
        place = Path(folder) / f"{number:03d}"
        players = [Entrant(id, members[id]).load(spec) for id in shares]
        Mixture(f"{name}-{number}" if len(selections) > 1 else name, players, list(shares.values())).save(place)
        begin = None if start is None else next(player for player in players if player.id == start)
        if isinstance(begin, Policy):
            begin.save(place / _START)
        places.append(place)
    return places


def start_of_selection(place: str | Path) -> Path | None:
    """The policy that a saved selection's response begins from; None where it leaves that open."""
    start = Path(place) / _START
    return start if (start / "policy.json").is_file() else None
