"""Who plays whom, and how well: matches, ratings, tournaments, populations."""

from workbench.arena.bradley_terry import BradleyTerry, bradley_terry
from workbench.arena.elo import Elo, elo, expected_score, settling_k
from workbench.arena.matches import Matches, PairCounts, Score, wilson_interval
from workbench.arena.play import play
from workbench.arena.population import Population, PopulationSettings
from workbench.arena.ratings import Ratings, ratings

__all__ = [
    "BradleyTerry",
    "Elo",
    "Matches",
    "PairCounts",
    "Population",
    "PopulationSettings",
    "Ratings",
    "Score",
    "bradley_terry",
    "elo",
    "expected_score",
    "play",
    "ratings",
    "settling_k",
    "wilson_interval",
]
