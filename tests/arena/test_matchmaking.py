import numpy as np
import pytest

from workbench.arena.matchmaking import (
    before_monotone_end,
    blend,
    drawn_with,
    mostly_recent,
    near_in_skill,
    prioritised,
)


@pytest.mark.parametrize(
    ("weighting", "weights"),
    [
        ("squared", [0.81, 0.25, 0.01]),
        ("variance", [0.09, 0.25, 0.09]),
        ("linear", [0.9, 0.5, 0.1]),
        ("capped", [0.5, 0.5, 0.1]),
        ("uniform", [1, 1, 1]),
    ],
)
def test_prioritised_by_hand(weighting, weights):
    assert prioritised([0.1, 0.5, 0.9], weighting) == pytest.approx(np.array(weights) / sum(weights))


def test_prioritised_where_everybody_always_loses():
    assert prioritised([1.0, 1.0], "squared").tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="weighting='cubic'"):
        prioritised([0.5], "cubic")


def test_mostly_recent_by_hand():
    # four snapshots: .3 / 4 each, and .7 / 2 more for the newest two
    assert mostly_recent(4) == pytest.approx([0.075, 0.075, 0.425, 0.425])
    assert mostly_recent(1) == pytest.approx([1.0])
    assert mostly_recent(3) == pytest.approx([0.1, 0.45, 0.45])


def test_near_in_skill():
    assert near_in_skill([1300, 1450, 1600, 1601], 1500).tolist() == [0, 0.5, 0.5, 0]
    assert near_in_skill([1000, 1300, 1900], 1500).tolist() == [0, 1, 0]


def test_blend_gives_the_share_of_empty_classes_to_the_others():
    mix = {"current": 0.4, "historical": 0.3, "scripted": 0.2, "random": 0.1}
    blended = blend(mix, {"current": [1.0], "historical": [], "scripted": [0.5, 0.5], "random": [1.0]})
    assert blended["current"] == pytest.approx([4 / 7])
    assert blended["scripted"] == pytest.approx([1 / 7, 1 / 7])
    assert blended["random"] == pytest.approx([1 / 7])
    assert "historical" not in blended
    assert blend({"pfsp": 1.0}, {"pfsp": ()}) == {}


@pytest.mark.parametrize(
    ("win_rates", "kept"),
    [([0.9, 0.6, 0.65, 0.6], 3), ([0.9, 0.8, 0.7], 0), ([0.2, 0.5], 2), ([0.5, 0.5], 0), ([0.5], 0), ([], 0)],
)
def test_what_may_be_forgotten_ends_where_newer_ones_are_only_harder(win_rates, kept):
    assert before_monotone_end(win_rates) == kept


def test_classes_may_share_opponents():
    mix = {"all": 0.5, "old": 0.3, "nobody": 0.2}
    # the share of nobody goes to the others: .5 / .8 and .3 / .8
    drawn = drawn_with(mix, {"all": {"a": 0.25, "b": 0.75}, "old": {"a": 1.0}, "nobody": {}})
    assert drawn == pytest.approx({"a": 0.25 * 0.625 + 0.375, "b": 0.75 * 0.625})
    assert drawn_with({"nobody": 1.0}, {"nobody": {}}) == {}
