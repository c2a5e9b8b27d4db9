"""Solvers of matrix games: against closed forms, against nashpy and OpenSpiel, and where equilibria are many."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.metagame.equilibrium import _by_highs
from workbench.metagame.pivoting import optimal_mixtures
from workbench.metagame.solvers import gap, solve, solver_names

ROCK_PAPER_SCISSORS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], float)
BIASED = np.array([[0, -1, 3], [1, 0, -3], [-3, 3, 0]], float)
CONVERGING = {"nash": 1e-9, "replicator": 1e-3, "regret_matching": 0.02, "fictitious_play": 0.02}


@pytest.mark.parametrize(("method", "tolerance"), CONVERGING.items())
def test_biased_rock_paper_scissors(method, tolerance):
    # p(paper beats rock) 1, rock beats scissors 3, scissors beat paper 3: indifference gives 3/7, 3/7, 1/7
    found = solve(BIASED, method)
    assert found.row == pytest.approx([3 / 7, 3 / 7, 1 / 7], abs=tolerance)
    assert found.column == pytest.approx(found.row)


@pytest.mark.parametrize(("method", "tolerance"), CONVERGING.items())
def test_two_by_two_by_hand(method, tolerance):
    # the row player makes the other indifferent: 3p - 2(1-p) = -p + (1-p), p = 3/7; the column player 3q - (1-q) = -2q + (1-q), q = 2/7
    found = solve(np.array([[3.0, -1.0], [-2.0, 1.0]]), method)
    assert found.row == pytest.approx([3 / 7, 4 / 7], abs=tolerance)
    assert found.column == pytest.approx([2 / 7, 5 / 7], abs=tolerance)


def test_a_saddle_point_is_played_purely():
    found = solve(np.array([[2.0, 1.0, 3.0], [0.0, -1.0, 4.0]]))
    assert found.row.tolist() == [1, 0] and found.column.tolist() == [0, 1, 0]


def test_ties_everywhere_are_shared_equally():
    for method in solver_names():
        assert solve(np.zeros((3, 2)), method).row == pytest.approx(np.full(3, 1 / 3)), method
        assert solve(np.zeros((1, 1)), method).row.tolist() == [1.0], method


def test_copies_of_a_policy_share_its_weight():
    twins = [0, 0, 1, 2, 2, 2]  # two rocks, one paper, three scissors
    found = solve(ROCK_PAPER_SCISSORS[np.ix_(twins, twins)]).row
    assert found == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 9, 1 / 9, 1 / 9], abs=1e-8)


def test_of_many_equilibria_the_most_even_one():
    # the first row earns 0 whatever happens; the second and third only together: any (1 - 2a, a, a) is optimal
    found = solve(np.array([[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]])).row
    assert found == pytest.approx([1 / 3, 1 / 3, 1 / 3], abs=1e-8)


def test_the_softmax_by_hand():
    # means 1/3 and -2/3 against two columns of the same sum; at temperature 1 their shares stand as e to 1
    found = solve(np.array([[1.0, -1 / 3], [0.0, -4 / 3]]), "softmax", temperature=1.0)
    assert found.row[0] / found.row[1] == pytest.approx(np.e)


def test_the_gap_by_hand():
    # against uniform play rock earns 2/3, so does each side of a symmetric game
    assert gap(BIASED, solve(BIASED, "uniform")) == pytest.approx(4 / 3)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 7), st.booleans())
def test_equilibria_of_small_whole_payoffs(seed, rows, columns, symmetric):
    """Small whole numbers have many ties: nobody gains by leaving, and the order of the policies does not matter."""
    rng = np.random.default_rng(seed)
    payoffs = rng.integers(-2, 3, (rows, columns)).astype(float)
    if symmetric:
        payoffs = payoffs[: min(rows, columns), : min(rows, columns)]
        payoffs = payoffs - payoffs.T
    found = solve(payoffs)
    assert gap(payoffs, found) < 1e-6
    order = [rng.permutation(size) for size in payoffs.shape]
    if symmetric:
        order[1] = order[0]
    moved = solve(payoffs[np.ix_(*order)])
    assert moved.row == pytest.approx(found.row[order[0]], abs=1e-5)


def test_an_equilibrium_whose_programme_the_simplex_method_gives_up():
    rng = np.random.default_rng(64)  # found by the search above; HiGHS 1.x ends with an unknown status
    payoffs = rng.integers(-2, 3, (7, 7)).astype(float)
    assert solve(payoffs - payoffs.T).row == pytest.approx([0, 0, 0, 0, 0.5, 0.5, 0])


@pytest.mark.parametrize("seed", range(10))
def test_random_games_agree_with_nashpy(seed):
    nashpy = pytest.importorskip("nashpy")
    payoffs = np.random.default_rng(seed).normal(size=(4, 5))
    row, column = nashpy.Game(payoffs).linear_program()  # generic payoffs: one equilibrium
    found = solve(payoffs)
    assert found.row == pytest.approx(row, abs=1e-8) and found.column == pytest.approx(column, abs=1e-8)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5)])
def test_alpha_rank_agrees_with_openspiel(shape):
    alpharank = pytest.importorskip("open_spiel.python.egt.alpharank")
    payoffs = np.random.default_rng(1).normal(size=shape)
    if shape[0] == shape[1]:
        payoffs -= payoffs.T
        theirs = alpharank.compute([payoffs], m=50, alpha=0.3)[2]
    else:
        theirs = alpharank.compute([payoffs, -payoffs], m=50, alpha=0.3)[2].reshape(shape).sum(axis=1)
    assert solve(payoffs, "alpha_rank", alpha=0.3).row == pytest.approx(theirs, abs=1e-9)


def test_bad_payoffs_are_named():
    with pytest.raises(ValueError, match=r"payoffs\[0, 1\] is nan"):
        solve(np.array([[0, np.nan], [0, 0]]))
    with pytest.raises(ValueError, match="shape"):
        solve(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="expected one of nash, uniform"):
        solve(BIASED, "nsah")


def test_pivoting_by_hand():
    # matching pennies, moved to between 0 and 1: both toss a coin
    mixture, reply = optimal_mixtures(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert mixture == pytest.approx([0.5, 0.5]) and reply == pytest.approx([0.5, 0.5])


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.booleans())
@settings(max_examples=150, deadline=None)
def test_pivoting_finds_the_value_that_highs_finds(seed, rows, columns, tied):
    generator = np.random.default_rng(seed)
    shape = (rows, columns)
    payoffs = generator.integers(0, 3, shape) / 2 if tied else generator.random(shape)
    mixture, reply = optimal_mixtures(payoffs)
    value = _by_highs(payoffs)[1]
    assert (mixture @ payoffs).min() == pytest.approx(value, abs=1e-9)
    assert (payoffs @ reply).max() == pytest.approx(value, abs=1e-9)
    assert mixture.sum() == pytest.approx(1) and reply.sum() == pytest.approx(1) and min(*mixture, *reply) >= 0


def test_where_pivoting_fails_highs_answers(monkeypatch):
    monkeypatch.setattr(sys.modules["workbench.metagame.equilibrium"], "optimal_mixtures", lambda payoffs: None)
    assert solve(BIASED).row == pytest.approx([3 / 7, 3 / 7, 1 / 7])
