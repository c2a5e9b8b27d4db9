"""Figures of a meta-game say in their parts what was computed."""

import numpy as np
import pandas as pd
import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench import metagame
from workbench.ui import plots


@pytest.fixture(scope="module")
def found():
    games = [*won("a", "b", 8, 2), *won("b", "c", 8, 2), *won("c", "a", 8, 2)]
    return metagame.equilibrium(metagame.EmpiricalGame.of(played(*games)))


def test_shares_are_as_wide_as_the_mixture(found):
    bars = [patch.get_width() for patch in plots.mixture_shares(found).axes[0].patches]
    assert bars == pytest.approx([1 / 3] * 3)


def test_the_title_says_how_much_circles(found):
    assert "100% circles" in plots.cycles(found).get_suptitle()


def test_each_iterations_mixture_is_stacked_to_one():
    figure = plots.mixture_history([{"a": 1.0}, {"a": 0.25, "b": 0.75}])
    areas = [area.get_paths()[0].vertices for area in figure.axes[0].collections]
    edges = [sorted({tuple(point) for point in area.round(9).tolist()}) for area in areas]
    # a from 1 down to a quarter, b above it, nothing left over
    assert edges[0] == [(0, 0), (0, 1), (1, 0), (1, 0.25)] and edges[1] == [(0, 1), (1, 0.25), (1, 1)]
    assert edges[2] == [(0, 1), (1, 1)]
    alone = plots.mixture_history([{"a": 1.0}])
    assert alone.axes[0].get_xlim() == (-0.5, 0.5)


def test_both_numbers_are_drawn_and_unknown_ones_are_not():
    table = pd.DataFrame(
        {
            "iteration": [0, 1],
            "gap": [0.0, 0.0],
            "exploitability": [0.3, np.nan],
            "low": [0.2, np.nan],
            "high": [0.4, np.nan],
            "by": "its response",
            "largest": [0.3, np.nan],
            "largest low": [0.2, np.nan],
            "largest high": [0.4, np.nan],
        }
    )
    known = plots.exploitability_history(table.assign(exact=[0.35, 0.1])).axes[0].get_lines()[2]
    assert known.get_ydata().tolist() == [0.35, 0.1]
    lines = plots.exploitability_history(table).axes[0].get_lines()
    assert lines[0].get_ydata().tolist() == [0, 0] and lines[1].get_ydata().tolist() == [0.3]
    table.loc[0, ["by", "largest", "largest low", "largest high"]] = "b", 0.7, 0.6, 0.8
    assert plots.exploitability_history(table).axes[0].get_lines()[2].get_ydata().tolist() == [0.7]


def test_two_sides_stand_at_what_they_earned():
    table = pd.DataFrame({"opponent": ["x", "y"]} | {f"{side}{part}": [value, value + 0.1] for side, value in
                          (("a", 0.2), ("b", -0.1)) for part in ("", " low", " high")})  # fmt: skip
    lines = plots.side_by_side(table, ["a", "b"]).axes[0].get_lines()
    assert [line.get_xdata().tolist() for line in lines[:2]] == [[0.2, pytest.approx(0.3)], [-0.1, 0.0]]
    assert plots.side_by_side(table, ["a", "b"]).axes[0].get_yticklabels()[1].get_text() == "y"
