"""Sequence form, double oracle and mirror descent on small games, against hand-worked numbers and published figures."""

import itertools

import numpy as np
import pytest

from workbench.metagame.double_oracle import double_oracle
from workbench.metagame.exploitability import GameTree, expected_value, nash_conv
from workbench.metagame.mirror_descent import Descent, action_values, mirror_descent
from workbench.metagame.sequences import SequenceForm


def table_of(tree: GameTree, seed: int) -> np.ndarray:
    weights = np.random.default_rng(seed).random(tree.legal.shape) * tree.legal
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["kuhn", "leduc"])
def test_payoffs_by_sequences_are_the_walks_over_the_tree(name):
    game = SequenceForm.of(name)
    tables = [table_of(game.tree, seed) for seed in range(3)]
    plans = game.plan(np.stack(tables))
    payoffs = game.payoffs(plans, plans)
    for i, j in np.ndindex(3, 3):
        assert payoffs[i, j] == pytest.approx(expected_value(game.tree, game.joint(tables[i], tables[j])))


def test_a_plan_by_hand():
    # Kuhn, uniform play: player 0's first options .5 each, those after passing and being bet at .25
    game = SequenceForm.of("kuhn")
    shares = game.plan(game.tree.uniform())[: game.empty].reshape(game.infostates, 2)
    first = (game.tree.player == 0) & (game.parent == game.empty)
    later = (game.tree.player == 0) & (game.parent != game.empty)
    assert (shares[first] == 0.5).all() and (shares[later] == 0.25).all() and first.sum() == later.sum() == 3


def test_behaviour_undoes_plan_and_a_mixture_earns_its_members_mean():
    game = SequenceForm.of("leduc")
    one, other, opponent = (table_of(game.tree, seed) for seed in range(3))
    assert game.behaviour(game.plan(one)) == pytest.approx(one)
    mixed = game.behaviour(0.3 * game.plan(one) + 0.7 * game.plan(other))
    earned = [expected_value(game.tree, game.joint(table, opponent)) for table in (one, other, mixed)]
    assert earned[2] == pytest.approx(0.3 * earned[0] + 0.7 * earned[1])
    averaged = expected_value(game.tree, game.joint(0.3 * one + 0.7 * other, opponent))
    assert abs(averaged - earned[2]) > 1e-3  # averaging behaviour itself would be wrong


def test_double_oracle_solves_kuhn():
    values = [step.nash_conv for step in itertools.islice(double_oracle(SequenceForm.of("kuhn")), 11)]
    assert values[0] == pytest.approx(11 / 12) and min(values[7:]) < 1e-6 and values[10] < 1e-6


def test_double_oracle_closes_in_on_leduc():
    values = [step.nash_conv for step in itertools.islice(double_oracle(SequenceForm.of("leduc")), 51)]
    assert values[0] == pytest.approx(4.747222, abs=1e-6) and values[50] <= 0.7  # OpenSpiel: .586


def test_action_values_by_hand():
    # the one who holds the king and is bet at wins two by calling, loses one by folding
    tree = GameTree.of("kuhn")
    values = action_values(tree, tree.uniform())
    king_bet_at = tree.strings.index("2b")
    assert values[king_bet_at] == pytest.approx([-1, 2])
    # with the jack first: passing, the other passes (-1) or bets (then fold -1, call -2): -.5 - .5 * 1.5; betting: he folds 1, calls -2
    assert values[tree.strings.index("0")] == pytest.approx([-1.25, -0.5])


@pytest.mark.parametrize(
    ("name", "how", "iterations", "published"),
    [
        ("kuhn", Descent(1, 1, 0.5), 1000, 0.0101),
        ("kuhn", Descent(0.2, 0.5, 0, magnet_step=0.05), 300, 0.0045),
        ("leduc", Descent(1, 5, 0.5), 100, 0.471),
    ],
)
def test_damped_self_play_converges_as_published(name, how, iterations, published):
    tree = GameTree.of(name)
    last = next(itertools.islice(mirror_descent(tree, how), iterations - 1, None))
    assert nash_conv(tree, last) == pytest.approx(published, abs=6e-4)


def test_undamped_self_play_does_not():
    kuhn, leduc = GameTree.of("kuhn"), GameTree.of("leduc")
    values = [nash_conv(kuhn, table) for table in itertools.islice(mirror_descent(kuhn, Descent(0.1, 0, 0)), 1000)]
    assert np.mean(values[100:]) > 0.2 and values[-1] == pytest.approx(0.405, abs=1e-3)
    first, last = (
        nash_conv(leduc, next(itertools.islice(mirror_descent(leduc, Descent(0.2, 0, 0)), number, None)))
        for number in (9, 299)
    )
    assert first < 1 and last > 3.5


def test_bad_figures_are_told():
    with pytest.raises(ValueError, match="step > 0"):
        Descent(step=0)


def test_sampled_payoffs_are_the_exact_ones_on_average():
    game = SequenceForm.of("kuhn")
    row, column = (game.plan(table_of(game.tree, seed)) for seed in (0, 1))
    values, counts = game.sampled(row, column, 200_000, np.random.default_rng(0))
    assert set(values) == {-2.0, -1.0, 1.0, 2.0} and counts.sum() == 200_000
    assert values @ counts / 200_000 == pytest.approx(game.payoffs(row[None], column[None])[0, 0], abs=0.012)


def test_a_response_that_is_there_already_joins_nobody():
    game = SequenceForm.of("kuhn")
    *_, last = itertools.islice(double_oracle(game), 31)
    rows, columns = last.payoffs.shape
    assert rows < 20 and columns < 20  # 31 each, if copies counted
    assert last.nash_conv < 1e-6
