"""The files of one iteration of PSRO, under the names and keys that Metamon's users know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.files import replace_file
from workbench.metagame.analysis import Equilibrium
from workbench.metagame.payoffs import EmpiricalGame

DOMINANT = 0.05  # the least share that `dominant_policies` lists


def write_iteration(
    folder: str | Path, found: Equilibrium, places: Mapping[str, str], *, iteration: int, method: str, figures: dict
) -> dict[str, Path]:
    """Write `population.json`, `interaction_matrix.json` and `.csv`, `meta_strategy.json`, `meta_game_analysis.json` and
    `iteration_summary.json`.

    Win rates there count draws as halves (chips, as shares of the highest stake); `exploitability` is the meta-game gap a player, in win rate: 0 for an exact
    Nash equilibrium of its own matrix. What a trained best response gains stands in `figures`.

    Args:
        folder: made where missing.
        found: of a symmetric game.
        places: where each policy comes from: a path, or a scripted player's name.
        iteration: its number; 0 is the population to begin with.
        method: of the meta-solver.
        figures: more for `iteration_summary.json`.

    Returns:
        the files by name.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    game, names = found.game, list(found.game.rows)
    shares = {name: float(share) for name, share in zip(names, found.profile.row, strict=True)}
    stake = float(game.values[-1])
    rates = _rates(found.expected, stake)
    against = {name: float(rate) for name, rate in zip(names, rates, strict=True)}
    low, high = (_rates(bound, stake) for bound in game.intervals())
    described = {
        "population": {
            "policies": {name: {"policy_type": _kind(places[name]), "path": str(places[name])} for name in names},
            "generation": iteration,
        },
        "interaction_matrix": {
            "policy_names": names,
            "wins": game.wins.tolist(),
            "draws": game.draws.tolist(),
            "games": game.games.tolist(),
            "win_rates": _plain(_rates(game.payoffs(), stake)),
            "low": _plain(low),
            "high": _plain(high),
        },
        "meta_strategy": {
            "meta_strategy": list(shares.values()),
            "policy_names": names,
            "metadata": {"method": method, "iteration": iteration, **_bounds(found)},
        },
        "meta_game_analysis": {
            "nash_mixture": shares,
            "nash_value": float(_rates(np.array(found.value), stake)),
            "exploitability": found.gap / (4 * stake),
            "dominant_policies": [
                {"policy": name, "probability": shares[name], "expected_winrate_vs_nash": against[name]}
                for name in sorted(names, key=lambda one: -shares[one])
                if shares[name] >= DOMINANT
            ],
            "expected_winrates": against,
            "policy_names": names,
        },
        "iteration_summary": {
            "iteration": iteration,
            "population_size": len(names),
            "games": int(np.triu(game.games, 1).sum()),
            "meta_strategy": shares,
            "effective_support": found.support,
            **figures,
        },
    }
    files = {name: folder / f"{name}.json" for name in described}
    for name, content in described.items():
        text = json.dumps(content, indent=2)
        replace_file(files[name], lambda path, text=text: path.write_text(text, encoding="utf-8"))
    matrix = pd.DataFrame(_rates(game.payoffs(), stake), index=names, columns=names)
    files["interaction_matrix_csv"] = replace_file(folder / "interaction_matrix.csv", matrix.to_csv)
    return files


def _rates(payoffs: np.ndarray, stake: float) -> np.ndarray:
    """Payoffs as win rates: of all games at the highest stake, as many as would earn the same."""
    return (np.asarray(payoffs) / stake + 1) / 2


def _plain(array: np.ndarray) -> list:
    """Lists, with None for what is not known."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in array]


def _kind(place: str) -> str:
    return "checkpoint" if Path(place).is_dir() else "heuristic"


def _bounds(found: Equilibrium) -> dict:
    low, high = found.intervals()
    if np.isnan(low).any():
        return {}
    return {"low": low.tolist(), "high": high.tolist(), "resampled": len(found.samples)}


def population_table(game: EmpiricalGame, found: Equilibrium) -> pd.DataFrame:
    """One row a policy, most played first: share of the mixture with its interval, payoff against the mixture, games."""
    low, high = found.intervals()
    table = pd.DataFrame(
        {
            "policy": game.rows,
            "share": found.profile.row,
            "low": low,
            "high": high,
            "win rate against the mixture": _rates(found.expected, float(game.values[-1])),
            "games": game.games.sum(axis=1),
        }
    )
    return table.sort_values(["share", "win rate against the mixture"], ascending=False, ignore_index=True)
