"""Who plays whom, and how well: matches, ratings, tournaments, populations."""

from workbench.arena.bradley_terry import BradleyTerry, bradley_terry
from workbench.arena.collect import Collection, collect
from workbench.arena.elo import Elo, elo, expected_score, settling_k
from workbench.arena.entrants import Entrant, entrants
from workbench.arena.executors import ClusterError, SerialExecutor, executor_at, local_executor
from workbench.arena.matches import Matches, PairCounts, Score, wilson_interval
from workbench.arena.parallel import Task, play_many
from workbench.arena.play import play
from workbench.arena.population import Population, PopulationSettings
from workbench.arena.ratings import Ratings, ratings
from workbench.arena.tournament import PairFailedWarning, TournamentIncomplete, battle_log, round_robin

__all__ = [
    "BradleyTerry",
    "ClusterError",
    "Collection",
    "Elo",
    "Entrant",
    "Matches",
    "PairCounts",
    "PairFailedWarning",
    "Population",
    "PopulationSettings",
    "Ratings",
    "Score",
    "SerialExecutor",
    "Task",
    "TournamentIncomplete",
    "battle_log",
    "bradley_terry",
    "collect",
    "elo",
    "entrants",
    "executor_at",
    "expected_score",
    "local_executor",
    "play",
    "play_many",
    "ratings",
    "round_robin",
    "settling_k",
    "wilson_interval",
]
