"""Figures of fictitious self-play show what was measured."""

import numpy as np
import pandas as pd
import pytest

from workbench.ui import plots

CURVE = pd.DataFrame({"frames": [0, 100, 200], "average": [0.9, 0.3, 0.1], "best_response": [0.9, 0.6, 0.5]})


def results(payoff) -> pd.DataFrame:
    rate = {"opponent": ["a", "b"], "games": 400, "win_rate": [0.5, 0.75], "low": [0.4, 0.7], "high": [0.6, 0.8]}
    table = pd.DataFrame(rate)
    bounds = 2 * table[["win_rate", "low", "high"]].to_numpy() - 1
    return table.assign(payoff=payoff, payoff_low=bounds[:, 1], payoff_high=bounds[:, 2])


def test_curves_are_drawn_and_the_title_says_where_they_end():
    axes = plots.nash_conv_curves(CURVE, target=0.2).axes[0]
    assert axes.get_lines()[0].get_ydata().tolist() == [0.9, 0.3, 0.1]
    assert axes.get_title(loc="left") == "NashConv of the average comes to 0.1, of its best response to 0.5"
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == "asked: below 0.2"


def test_seeds_are_drawn_faintly_and_their_mean_strongly():
    both = pd.concat([CURVE.assign(seed=0), CURVE.assign(seed=1, average=[0.9, 0.5, 0.3])])
    axes = plots.nash_conv_curves(both).axes[0]
    faint, _, mean = axes.get_lines()[:3]
    assert faint.get_alpha() < 1 and mean.get_ydata() == pytest.approx([0.9, 0.4, 0.2])
    assert "mean of 2 seeds" in axes.get_legend().get_texts()[0].get_text()


def test_a_run_shows_nash_conv_where_it_is_known_and_else_win_rates():
    known = [{"step": 1}, {"step": 2, "nash_conv/average": 0.4, "nash_conv/best_response": 0.7}]
    assert "NashConv" in plots.average_and_response(known).axes[0].get_ylabel()
    beaten = [{"step": step, "charts/win_rate/average": 0.6} for step in range(1, 9)]
    assert "win rate" in plots.average_and_response(beaten).axes[0].get_ylabel()


def test_results_are_payoffs_where_there_are_stakes_and_win_rates_elsewhere():
    outcomes = plots.held_out_results(results(payoff=[0.0, 0.5]), "one").axes[0]
    assert "win rate" in outcomes.get_xlabel() and outcomes.get_lines()[1].get_xdata() == [0.5]
    chips = plots.held_out_results(results(payoff=[0.1, 0.7]), "one").axes[0]
    assert "payoff" in chips.get_xlabel() and np.allclose(chips.get_lines()[3].get_xdata(), 0.7)
