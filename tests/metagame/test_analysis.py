"""Equilibria with what is unsure about them, where to play next, and how much goes in circles."""

import numpy as np
import pytest

from tests.metagame.test_payoffs import played
from workbench.metagame.analysis import equilibrium, next_games, structure
from workbench.metagame.payoffs import EmpiricalGame, MissingPairs

ROCK_PAPER_SCISSORS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], float)


def won(first: str, second: str, wins: int, losses: int) -> list:
    return [(first, second, 1)] * wins + [(first, second, -1)] * losses


def test_an_equilibrium_of_circles_is_surer_with_more_games():
    few, many = (
        equilibrium(
            EmpiricalGame.of(
                played(*won("r", "s", 9 * k, k), *won("s", "p", 9 * k, k), *won("p", "r", 9 * k, k)), ["r", "p", "s"]
            )
        )
        for k in (1, 40)
    )
    for found in (few, many):
        assert found.profile.row == pytest.approx([1 / 3] * 3) and found.value == pytest.approx(0)
        assert found.gap == pytest.approx(0, abs=1e-9) and found.support == pytest.approx(3)
        low, high = found.intervals()
        assert (low <= 1 / 3).all() and (high >= 1 / 3).all()
    assert (many.intervals()[1] - many.intervals()[0] < 0.5 * (few.intervals()[1] - few.intervals()[0])).all()


def test_the_same_seed_gives_the_same_intervals():
    game = EmpiricalGame.of(played(*won("a", "b", 6, 4), *won("b", "c", 6, 4), *won("c", "a", 6, 4)))
    assert (equilibrium(game, seed=3).samples == equilibrium(game, seed=3).samples).all()


def test_an_average_over_resampled_games_hedges():
    """a beats b by 11 of 20: the mean payoffs give a everything, but chance may have put it ahead."""
    close = EmpiricalGame.of(played(*won("a", "b", 11, 9)))
    assert equilibrium(close).profile.row == pytest.approx([1, 0])
    hedged = equilibrium(close, averaged=True)
    assert hedged.profile.row == pytest.approx(hedged.samples.mean(axis=0)) and hedged.profile.row.sum() == 1
    assert 0.2 < hedged.profile.row[1] < 0.5 and 1.5 < hedged.support < 2
    # a earns 0.1 times b's share against it: so much its mixture leaves on the table, on either side
    assert hedged.gap == pytest.approx(2 * 0.1 * hedged.profile.row[1])
    sure = EmpiricalGame.of(played(*won("a", "b", 110, 9)))
    assert equilibrium(sure, averaged=True).profile.row == pytest.approx([1, 0])
    with pytest.raises(ValueError, match="at least 1 resampled game"):
        equilibrium(close, averaged=True, bootstraps=0)


def test_what_is_missing_is_an_error():
    with pytest.raises(MissingPairs, match="a against c"):
        equilibrium(EmpiricalGame.of(played(("a", "b", 1), ("b", "c", 1)), ["a", "b", "c"]))


def test_games_go_where_the_equilibrium_is_least_sure():
    """a and b are close and ahead, c loses to both and to all: the next games are for a against b."""
    game = EmpiricalGame.of(played(*won("a", "b", 6, 4), *won("a", "c", 50, 0), *won("b", "c", 50, 0)))
    spread = next_games(equilibrium(game), 100)
    assert spread.sum() == 100 and (np.tril(spread) == 0).all()
    assert spread[0, 1] >= 95


def test_no_budget_no_games():
    game = EmpiricalGame.of(played(*won("a", "b", 6, 4)))
    assert next_games(equilibrium(game), 0).sum() == 0
    with pytest.raises(ValueError, match="bootstraps > 0"):
        next_games(equilibrium(game, bootstraps=0), 10)


def test_a_ranking_and_a_circle():
    ranks = np.array([2.0, 0.5, -2.5])
    ranking = structure(ranks[:, None] - ranks[None, :])
    assert ranking.transitive == pytest.approx(1) and ranking.ratings == pytest.approx(ranks)
    circle = structure(ROCK_PAPER_SCISSORS)
    assert circle.cyclic == pytest.approx(1) and circle.ratings == pytest.approx([0, 0, 0])
    # in the plane, who beats whom is the area they span: x_i y_j - x_j y_i, up to the direction of turning
    area = np.outer(circle.plane[:, 0], circle.plane[:, 1])
    area = area - area.T
    assert np.abs(area) == pytest.approx(np.abs(ROCK_PAPER_SCISSORS), abs=1e-9)
    assert (np.sign(area) == np.sign(ROCK_PAPER_SCISSORS)).all() or (
        np.sign(area) == -np.sign(ROCK_PAPER_SCISSORS)
    ).all()
    half = structure(ROCK_PAPER_SCISSORS + (ranks[:, None] - ranks[None, :]))
    assert 0 < half.cyclic < 1 and half.cyclic + half.transitive == pytest.approx(1)


def test_structure_wants_a_symmetric_game():
    with pytest.raises(ValueError, match="symmetric"):
        structure(np.ones((2, 2)))
    assert structure(np.zeros((1, 1))).cyclic == 0


def test_who_is_ahead_counter_clockwise_beats_who_is_behind():
    payoffs = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])  # rock, paper, scissors: all of it circles
    for game in (payoffs, payoffs.T):
        x, y = structure(game).plane.T
        assert np.outer(y, x) - np.outer(x, y) == pytest.approx(game)
