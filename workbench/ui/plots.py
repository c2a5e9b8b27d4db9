"""All figures in one place, each imported when it is first drawn: those of a data set need no torch, a league's do."""

from typing import TYPE_CHECKING

from workbench.lazy import offered

if TYPE_CHECKING:
    from workbench.ui.data_plots import filter_summary, length_distributions
    from workbench.ui.fictitious_plots import average_and_response, held_out_results, nash_conv_curves
    from workbench.ui.league_plots import arms_against, arms_over_frames, league_growth, league_matches
    from workbench.ui.metagame_plots import (
        cycles,
        exploitability_history,
        mixture_history,
        mixture_shares,
        side_by_side,
    )
    from workbench.ui.style import Figure, Palette, save_figure, short_names
    from workbench.ui.tournament_plots import (
        elo_progression,
        elo_rankings,
        save_tournament_figures,
        statistics_comparison,
        winrate_heatmap,
    )
    from workbench.ui.training_plots import learning_over_generations, lines, training_curves, win_rate_curves
    from workbench.ui.yardstick_plots import beside_references, response_gains

_HOMES = {
    "workbench.ui.data_plots": ("filter_summary", "length_distributions"),
    "workbench.ui.fictitious_plots": ("average_and_response", "held_out_results", "nash_conv_curves"),
    "workbench.ui.league_plots": ("arms_against", "arms_over_frames", "league_growth", "league_matches"),
    "workbench.ui.metagame_plots": (
        "cycles",
        "exploitability_history",
        "mixture_history",
        "mixture_shares",
        "side_by_side",
    ),
    "workbench.ui.style": ("Figure", "Palette", "save_figure", "short_names"),
    "workbench.ui.tournament_plots": (
        "elo_progression",
        "elo_rankings",
        "save_tournament_figures",
        "statistics_comparison",
        "winrate_heatmap",
    ),
    "workbench.ui.training_plots": ("learning_over_generations", "lines", "training_curves", "win_rate_curves"),
    "workbench.ui.yardstick_plots": ("beside_references", "response_gains"),
}

__all__ = [
    "Figure",
    "Palette",
    "arms_against",
    "arms_over_frames",
    "average_and_response",
    "beside_references",
    "cycles",
    "elo_progression",
    "elo_rankings",
    "exploitability_history",
    "filter_summary",
    "held_out_results",
    "league_growth",
    "league_matches",
    "learning_over_generations",
    "length_distributions",
    "lines",
    "mixture_history",
    "mixture_shares",
    "nash_conv_curves",
    "response_gains",
    "save_figure",
    "save_tournament_figures",
    "short_names",
    "side_by_side",
    "statistics_comparison",
    "training_curves",
    "win_rate_curves",
    "winrate_heatmap",
]
__getattr__ = offered(__name__, _HOMES)


def __dir__():
    return __all__
