"""Figures of the yardsticks show our curves, the figures beside them, and every experiment."""

import numpy as np
import pandas as pd

from workbench.ui import plots


def test_a_panel_a_game_with_the_figures_that_are_known_of_it():
    leduc = pd.DataFrame({"damped": [4.0, 2.0, 1.0], "undamped": [4.0, 5.0, 6.0]}, index=[0, 1, 10])
    kuhn = pd.DataFrame({"damped": [0.9, 0.1, 1e-16]}, index=[0, 1, 7])
    known = {"leduc": pd.DataFrame({"damped": {10: 0.5}, "undamped": {1: 7.0}})}
    figure = plots.beside_references({"leduc": leduc, "kuhn": kuhn}, known, "Both", source="OpenSpiel's")
    first, second = figure.axes
    damped, undamped, below, above = first.get_lines()[:4]
    assert damped.get_xdata().tolist() == [1, 10] and undamped.get_ydata().tolist() == [5.0, 6.0]  # no 0 on a log scale
    assert (below.get_xdata().tolist(), below.get_ydata().tolist()) == ([10], [0.5])
    assert above.get_ydata().tolist() == [7.0] and above.get_markeredgecolor() == undamped.get_color()
    assert (first.get_yscale(), second.get_yscale()) == ("log", "symlog"), "what is 0 but for rounding is drawn at 0"
    assert len(second.get_lines()) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["damped", "undamped", "OpenSpiel's"]


def test_gains_of_experiments_stand_side_by_side_with_their_intervals():
    table = pd.DataFrame(
        {"iteration": [1, 2], "gain": [0.6, 0.1], "low": [0.5, -0.1], "high": [0.7, 0.3], "support": [1.0, 2.5]}
    )
    figure = plots.response_gains({"seed 0": table, "seed 1": table.iloc[:1]})
    gains, spread = figure.axes
    drawn = [line for line in gains.get_lines() if line.get_label().startswith("seed")]
    assert [line.get_ydata().tolist() for line in drawn] == [[0.6, 0.1], [0.6]]
    assert drawn[0].get_xdata()[0] < 1 < drawn[1].get_xdata()[0], "experiments do not cover each other"
    ends = np.array([segment[:, 1] for segment in gains.collections[0].get_segments()])
    assert ends.tolist() == [[0.5, 0.7], [-0.1, 0.3]]
    assert spread.get_lines()[0].get_ydata().tolist() == [1.0, 2.5]
