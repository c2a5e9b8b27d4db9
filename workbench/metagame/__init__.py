"""Games of policies: what they earn against each other, equilibria, best responses, and exact answers for small games."""

from workbench.metagame.analysis import Equilibrium, equilibrium, next_games, structure
from workbench.metagame.comparison import comparison_verdict, in_words, play_sides, side_by_side
from workbench.metagame.exploitability import exact_exploitability
from workbench.metagame.files import population_table, write_iteration
from workbench.metagame.growth import play_population
from workbench.metagame.iteration import (
    chosen_mixture,
    equal_shares,
    evaluate,
    gain_of,
    mixture,
    opponents,
    population,
    read_summaries,
    verdict,
)
from workbench.metagame.offline import distil, offline_settings, respond_offline
from workbench.metagame.payoffs import EmpiricalGame, MissingPairs
from workbench.metagame.pipelined import Pipeline, plan_levels
from workbench.metagame.progress import (
    best_iteration,
    best_so_far,
    change_in_exploitability,
    converged,
    exploitability_table,
    largest_bounds,
    whether_it_fell,
)
from workbench.metagame.responses import (
    Responses,
    curves_by_response,
    hold_out,
    judge,
    judged_table,
    named_metrics,
    plan_responses,
    plans_table,
    training_opponents,
)
from workbench.metagame.selectors import RECTIFIED_WARNING, save_selections, select_opponents
from workbench.metagame.solvers import Profile, gap, solve, solver_names

__all__ = [
    "RECTIFIED_WARNING",
    "EmpiricalGame",
    "Equilibrium",
    "MissingPairs",
    "Pipeline",
    "Profile",
    "Responses",
    "best_iteration",
    "best_so_far",
    "change_in_exploitability",
    "chosen_mixture",
    "comparison_verdict",
    "converged",
    "curves_by_response",
    "distil",
    "equal_shares",
    "equilibrium",
    "evaluate",
    "exact_exploitability",
    "exploitability_table",
    "gain_of",
    "gap",
    "hold_out",
    "in_words",
    "judge",
    "judged_table",
    "largest_bounds",
    "mixture",
    "named_metrics",
    "next_games",
    "offline_settings",
    "opponents",
    "plan_levels",
    "plan_responses",
    "plans_table",
    "play_population",
    "play_sides",
    "population",
    "population_table",
    "read_summaries",
    "respond_offline",
    "save_selections",
    "select_opponents",
    "side_by_side",
    "solve",
    "solver_names",
    "structure",
    "training_opponents",
    "verdict",
    "whether_it_fell",
    "write_iteration",
]
