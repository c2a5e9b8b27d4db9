"""Games of policies: what they earn against each other, equilibria, best responses, and exact answers for small games."""

from workbench.metagame.analysis import Equilibrium, equilibrium, next_games, structure
from workbench.metagame.comparison import comparison_verdict, play_sides, side_by_side
from workbench.metagame.exploitability import exact_exploitability
from workbench.metagame.files import population_table, write_iteration
from workbench.metagame.growth import play_population
from workbench.metagame.iteration import (
    chosen_mixture,
    evaluate,
    exploitability_table,
    gain_of,
    mixture,
    opponents,
    population,
    read_summaries,
    verdict,
)
from workbench.metagame.offline import distil, offline_settings, respond_offline
from workbench.metagame.payoffs import EmpiricalGame, MissingPairs
from workbench.metagame.solvers import Profile, gap, solve, solver_names

__all__ = [
    "EmpiricalGame",
    "Equilibrium",
    "MissingPairs",
    "Profile",
    "chosen_mixture",
    "comparison_verdict",
    "distil",
    "equilibrium",
    "evaluate",
    "exact_exploitability",
    "exploitability_table",
    "gain_of",
    "gap",
    "mixture",
    "next_games",
    "offline_settings",
    "opponents",
    "play_population",
    "play_sides",
    "population",
    "population_table",
    "read_summaries",
    "respond_offline",
    "side_by_side",
    "solve",
    "solver_names",
    "structure",
    "verdict",
    "write_iteration",
]
