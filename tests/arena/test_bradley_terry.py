import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from workbench.arena import bradley_terry
from workbench.arena.bradley_terry import ELO_PER_NAT, fit


def test_three_to_one_is_the_logarithm_of_three(from_wins):
    table = bradley_terry(from_wins([[0, 3], [1, 0]], ["a", "b"])).table
    assert table.loc["a", "rating"] - table.loc["b", "rating"] == pytest.approx(190.8485, abs=1e-4)
    assert table["rating"].sum() == pytest.approx(0)


def test_three_players_as_choix_rates_them(from_wins):
    table = bradley_terry(from_wins([[0, 7, 9], [3, 0, 6], [1, 4, 0]], ["a", "b", "c"])).table
    assert table.index.tolist() == ["a", "b", "c"]
    assert table["rating"].tolist() == pytest.approx([163.9211, -27.8228, -136.0984], abs=1e-4)


def test_draws_are_halves(from_wins):
    # 2 wins, 2 draws, no loss: 3 points to 1
    table = bradley_terry(from_wins([[0, 2], [0, 0]], ["a", "b"], draws=[[0, 2], [2, 0]])).table
    assert table.loc["a", "rating"] - table.loc["b", "rating"] == pytest.approx(190.8485, abs=1e-4)


def test_anchors(from_wins):
    matches = from_wins([[0, 3], [1, 0]], ["a", "b"])
    assert bradley_terry(matches, anchor="b", at=1000).table["rating"].tolist() == pytest.approx([1190.8485, 1000])
    assert bradley_terry(matches, at=1500).table["rating"].mean() == pytest.approx(1500)
    with pytest.raises(KeyError, match="anchor 'z' did not play"):
        bradley_terry(matches, anchor="z")


def test_who_never_lost_is_named(from_wins):
    matches = from_wins([[0, 3, 2], [0, 0, 4], [0, 1, 0]], ["ann", "bob", "cy"])
    with pytest.raises(ValueError, match="against ann; play more games"):
        bradley_terry(matches)
    rated = bradley_terry(matches, prior=1).table
    assert rated.index[0] == "ann"
    assert np.isfinite(rated["rating"]).all()


def test_groups_that_never_met_are_named(from_wins):
    matches = from_wins([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], ["a", "b", "c", "d"])
    with pytest.raises(ValueError, match="against a, b; c, d;"):
        bradley_terry(matches)


def test_prior_by_hand():
    # a beat b once and both drew once with an average player at 0. By symmetry b = -a, and the gradient for a is
    # 1 - sigma(2a) + 1/2 - sigma(a) = 0
    a = fit(np.array([[[0.0, 1.0], [0.0, 0.0]]]), prior=1.0)[0, 0]
    sigma = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    assert 1 - sigma(2 * a) + 0.5 - sigma(a) == pytest.approx(0, abs=1e-9)


tables = st.integers(2, 6).flatmap(
    lambda players: st.lists(
        st.lists(st.integers(0, 300), min_size=players, max_size=players), min_size=players, max_size=players
    )
)


@settings(max_examples=60, deadline=None)
@given(tables, st.sampled_from([0.01, 1.0]))
def test_no_strengths_are_likelier(wins, prior):
    points = np.array(wins, float)
    np.fill_diagonal(points, 0)

    def loss(s):
        difference = s[:, None] - s[None]
        drawn = prior / 2 * (np.logaddexp(0, -s) + np.logaddexp(0, s)).sum()
        return (points * np.logaddexp(0, -difference)).sum() + drawn

    found = fit(points[None], prior)[0]
    best = minimize(loss, np.zeros(len(points)), method="BFGS", options={"gtol": 1e-8}).x
    # fit centres its answer; compare the likelihood at the best common shift
    shift = minimize(lambda c: loss(found + c), [0.0]).x
    assert loss(found + shift) <= loss(best) + 1e-5


def test_many_tables_at_once_are_rated_as_one_by_one():
    generator = np.random.default_rng(0)
    points = generator.integers(0, 50, (20, 5, 5)).astype(float)
    points[:, np.arange(5), np.arange(5)] = 0
    together = fit(points, 1.0)
    alone = np.concatenate([fit(table[None], 1.0) for table in points])
    np.testing.assert_allclose(together, alone, atol=1e-8)


def played(strength, games, generator):
    players = len(strength)
    wins = np.zeros((players, players), int)
    for i in range(players):
        for j in range(i):
            won = generator.binomial(games, 1 / (1 + np.exp(strength[j] - strength[i])))
            wins[i, j], wins[j, i] = won, games - won
    return wins


def test_intervals_cover_the_truth(from_wins):
    generator = np.random.default_rng(3)
    truth = np.array([1.0, 0.3, 0.0, -0.5, -0.8])
    names = list("abcde")
    covered = []
    for seed in range(60):
        matches = from_wins(played(truth, 40, generator), names)
        table = bradley_terry(matches, prior=1, bootstraps=200, seed=seed).table.loc[names]
        elo = truth * ELO_PER_NAT
        covered.append(((table["low"] <= elo) & (elo <= table["high"])).to_numpy())
    assert 0.89 < np.mean(covered) < 0.99


def test_intervals_shrink_with_the_root_of_the_games(from_wins):
    few = bradley_terry(from_wins([[0, 30], [20, 0]], ["a", "b"]), bootstraps=2000).table
    many = bradley_terry(from_wins([[0, 480], [320, 0]], ["a", "b"]), bootstraps=2000).table
    ratio = (few["high"] - few["low"]) / (many["high"] - many["low"])
    assert ratio["a"] == pytest.approx(4, rel=0.15)


def test_ten_wins_of_ten_are_not_certain(from_wins):
    table = bradley_terry(from_wins([[0, 10], [0, 0]], ["a", "b"]), prior=1, bootstraps=1000).table
    assert table.loc["a", "high"] - table.loc["a", "low"] > 100
    assert table.loc["a", "low"] <= table.loc["a", "rating"] <= table.loc["a", "high"]


def test_seeded_and_fast(from_wins):
    generator = np.random.default_rng(0)
    matches = from_wins(played(generator.normal(size=10), 100, generator), [f"p{i}" for i in range(10)])
    begin = time.perf_counter()
    one = bradley_terry(matches, prior=1, bootstraps=1000, seed=4)
    assert time.perf_counter() - begin < 5
    again = bradley_terry(matches, prior=1, bootstraps=1000, seed=4)
    assert one.table.equals(again.table)
    assert one.samples.shape == (1000, 10)
    assert not one.table.equals(bradley_terry(matches, prior=1, bootstraps=1000, seed=5).table)
