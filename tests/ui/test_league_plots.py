"""Figures of a league say in their parts what was computed."""

import numpy as np
import pandas as pd
import pytest

from workbench.ui import plots


@pytest.fixture
def met():
    rows = [
        ("main", "current", 50, 0.5, 0, 0, 0, np.nan, 0.4),
        ("main", "main@0", 50, 0.5, 45, 0, 5, 0.9, 0.6),
        ("spy", "main", 90, 0.9, 40, 10, 40, 0.5, 1.0),
        ("spy", "main@0", 10, 0.1, 2, 0, 8, 0.2, 0.0),
    ]
    names = ["agent", "opponent", "begun", "share", "wins", "draws", "losses", "win_rate", "probability"]
    return pd.DataFrame(rows, columns=names)


def test_shares_stand_above_win_rates(met):
    above, below = plots.league_matches(met, ["main", "main@0"]).axes
    assert np.asarray(above.images[0].get_array()) == pytest.approx(
        np.array([[0.5, np.nan, 0.5], [np.nan, 0.9, 0.1]]), nan_ok=True
    )
    assert np.asarray(below.images[0].get_array()) == pytest.approx(
        np.array([[np.nan, np.nan, 0.9], [np.nan, 0.5, 0.2]]), nan_ok=True
    )
    assert [label.get_text() for label in below.get_xticklabels()] == ["itself", "main", "main@0"]
    # 45 of 50 is surely more than a half, 2 of 10 and 45 of 90 are not surely anything
    assert {text.get_text(): text.get_fontweight() for text in below.texts} == {
        "90%": "bold",
        "50%": "normal",
        "20%": "normal",
    }


def test_many_opponents_are_drawn_without_numbers(met):
    many = pd.concat([met, *(met[1:2].assign(opponent=f"main@{n}", share=0.001 * n) for n in range(1, 80))])
    figure = plots.league_matches(many, ["main", *(f"main@{n}" for n in range(80))])
    assert not figure.axes[0].texts and figure.axes[0].images[0].get_array().shape == (2, 60)


def test_growth_counts_copies_and_draws_every_agents_elo():
    joined = [
        {"id": "main", "kind": "agent", "role": "main", "parent": "", "frames": 0, "elo": 1500.0, "left": None},
        {"id": "main@0", "kind": "copy", "role": "main", "parent": "main", "frames": 0, "elo": 1500.0, "left": None},
        {"id": "main@1", "kind": "copy", "role": "main", "parent": "main", "frames": 40, "elo": 1520.0, "left": 80},
        {"id": "main@2", "kind": "copy", "role": "main", "parent": "main", "frames": 80, "elo": 1540.0, "left": None},
    ]
    history = [{"step": 50, "league/main/elo": 1510.0}, {"step": 100, "league/main/elo": 1550.0}]
    above, below = plots.league_growth(joined, history).axes
    assert "3 copies made, 2 kept" in above.get_title(loc="left")
    heights = above.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == 2
    curve, dots = below.get_lines()[:2]
    assert curve.get_ydata().tolist() == [1510, 1550] and dots.get_xdata().tolist() == [0, 40, 80]


def test_arms_end_where_their_last_values_are():
    runs = {
        ("mix", 0): [{"step": 10, "gap": 0.4}, {"step": 20}, {"step": 30, "gap": 0.2}],
        ("mix", 1): [{"step": 10, "gap": 0.6}, {"step": 30, "gap": 0.4}],
        ("league", 0): [{"step": 10, "gap": 0.5}, {"step": 30, "gap": 0.1}],
    }
    left, right = plots.arms_over_frames(runs, "gap", "gap").axes
    means = [line.get_ydata().tolist() for line in left.get_lines() if line.get_linewidth() == 2]
    assert means == [pytest.approx([0.5, 0.3]), pytest.approx([0.5, 0.1])]
    assert [text.get_text() for text in right.texts] == ["0.300", "0.100"]
    mixed = plots.arms_over_frames(runs, "gap", "gap", mixtures={"mix": [0.1, 0.3], "league": [0.05]}).axes[2]
    assert [text.get_text() for text in mixed.texts] == ["0.200", "0.050"]


def test_arms_against_others():
    rows = [("mix", 0, "league", 0.4), ("mix", 1, "league", 0.2), ("league", 0, "mix", 0.6), ("league", 0, "boss", 0.5)]
    (axes,) = plots.arms_against(pd.DataFrame(rows, columns=["arm", "seed", "against", "win_rate"])).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["against mix", "against league", "against boss"]
    means = [line.get_xdata()[0] for line in axes.get_lines() if line.get_markersize() == 7]
    assert means == pytest.approx([0.3, 0.6, 0.5])
