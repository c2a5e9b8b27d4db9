"""Games of policies: what they earn against each other, equilibria, best responses, and exact answers for small games."""

from workbench.metagame.analysis import Equilibrium, equilibrium, next_games, structure
from workbench.metagame.files import population_table, write_iteration
from workbench.metagame.growth import play_population
from workbench.metagame.iteration import (
    evaluate,
    exploitability_table,
    mixture,
    opponents,
    population,
    read_summaries,
    verdict,
)
from workbench.metagame.payoffs import EmpiricalGame, MissingPairs
from workbench.metagame.solvers import Profile, gap, solve, solver_names

__all__ = [
    "EmpiricalGame",
    "Equilibrium",
    "MissingPairs",
    "Profile",
    "equilibrium",
    "evaluate",
    "exploitability_table",
    "gap",
    "mixture",
    "next_games",
    "opponents",
    "play_population",
    "population",
    "population_table",
    "read_summaries",
    "solve",
    "solver_names",
    "structure",
    "verdict",
    "write_iteration",
]
