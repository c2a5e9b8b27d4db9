"""Advantages worked by hand, and what must hold for all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.learning.returns import decision_advantage, generalized_advantage

HALF = {"discount": 0.5, "trace": 0.5}


def column(*values, dtype=np.float32):
    return np.array(values, dtype)[:, None]


def test_generalized_advantage_worked_by_hand():
    # errors: 1 + .5*4 - 2 = 1;  2 + .5*6 - 4 = 1;  3 + .5*8 - 6 = 1; each trace carries a quarter of the next
    advantage = generalized_advantage(
        column(1, 2, 3), column(2, 4, 6), column(4, 6, 8), column(False, False, False, dtype=bool), **HALF
    )
    assert advantage[:, 0] == pytest.approx([1 + (1 + 1 / 4) / 4, 1 + 1 / 4, 1])


def test_no_trace_crosses_the_end_of_a_game():
    # the game ends at t = 1 by its rules: bootstrap 0, error 2 - 4 = -2, nothing of t = 2 reaches it
    advantage = generalized_advantage(
        column(1, 2, 3), column(2, 4, 6), column(4, 0, 8), column(False, True, False, dtype=bool), **HALF
    )
    assert advantage[:, 0] == pytest.approx([1 - 2 / 4, -2, 1])


def decisions(reward, value, deciding, ended, end_value, last_value, last_deciding, **options):
    advantage, learned = decision_advantage(
        column(*reward), column(*value), column(*deciding, dtype=bool), column(*ended, dtype=bool), column(*end_value),
        np.array([last_value], np.float32), np.array([last_deciding]), **HALF, **options,
    )  # fmt: skip
    return advantage[:, 0].tolist(), learned[:, 0].tolist()


def test_reward_while_waiting_belongs_to_the_decision_before():
    # decides at 0 and 3; rewards 1 + 2 + 4 arrive before it decides again; last state is worth 6
    advantage, learned = decisions([1, 2, 4, 3], [2, 99, 99, 4], [1, 0, 0, 1], [0] * 4, [0] * 4, 6, True)
    last = 3 + 0.5 * 6 - 4
    assert learned == [True, False, False, True]
    assert advantage == pytest.approx([7 + 0.5 * 4 - 2 + last / 4, 0, 0, last])


def test_decision_without_a_known_consequence_is_left_out_but_its_value_bootstraps():
    # waiting when the rollout ends: the decision at 2 has no advantage, the one at 0 uses its value without a trace
    advantage, learned = decisions([1, 0, 8, 0], [2, 99, 4, 99], [1, 0, 1, 0], [0] * 4, [0] * 4, 77, False)
    assert learned == [True, False, False, False]
    assert advantage == pytest.approx([1 + 0.5 * 4 - 2, 0, 0, 0])


def test_time_limit_bootstraps_and_a_real_end_does_not():
    # cut after t = 0 in a state worth 10; ended by the rules after t = 1
    advantage, learned = decisions([1, 2, 5], [2, 4, 1], [1, 1, 1], [1, 1, 0], [10, 0, 0], 3, True)
    assert learned == [True] * 3
    assert advantage == pytest.approx([1 + 0.5 * 10 - 2, 2 - 4, 5 + 0.5 * 3 - 1])


def test_game_that_ends_while_waiting_and_reward_before_any_decision():
    # decides at 1, the opponent ends the game at 2 (reward -1); the reward at 0 belongs to no decision seen here
    advantage, learned = decisions([9, 0, -1, 0], [99, 2, 99, 99], [0, 1, 0, 0], [0, 0, 1, 0], [0] * 4, 5, False)
    assert learned == [False, True, False, False]
    assert advantage == pytest.approx([0, -1 - 2, 0, 0])


@pytest.mark.parametrize("ends", [False, True])
def test_in_turns_the_last_steps_decision_is_left_out_whatever_it_did(ends):
    # decides at 0 and 2; whether the decision at 2 ends the game (reward 8) or waits, only the one at 0 is learned
    # from, and its advantage is the same: the value at 2 stands for what followed
    advantage, learned = decisions(
        [1, 0, 8 * ends], [2, 99, 4], [1, 0, 1], [0, 0, ends], [0] * 3, 77, ends, in_turns=True
    )
    assert learned == [True, False, False]
    assert advantage == pytest.approx([1 + 0.5 * 4 - 2, 0, 0])


def test_in_turns_a_game_that_the_other_ends_in_the_last_step_is_learned_from():
    advantage, learned = decisions([1, -1], [2, 99], [1, 0], [0, 1], [0] * 2, 77, True, in_turns=True)
    assert learned == [True, False] and advantage == pytest.approx([1 - 1 - 2, 0])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_deciding_everywhere_is_the_plain_estimate(seed):
    generator = np.random.default_rng(seed)
    reward, value, end_value = generator.normal(size=(3, 7, 4)).astype(np.float32)
    ended, last_value = generator.random((7, 4)) < 0.2, generator.normal(size=4).astype(np.float32)
    bootstrap = np.where(ended, end_value, np.concatenate((value[1:], last_value[None])))
    plain = generalized_advantage(reward, value, bootstrap, ended, discount=0.97, trace=0.9)
    everywhere = np.ones((7, 4), bool)
    advantage, learned = decision_advantage(
        reward, value, everywhere, ended, end_value, last_value, everywhere[0], discount=0.97, trace=0.9
    )
    assert learned.all() and advantage == pytest.approx(plain, abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_waiting_steps_change_nothing(seed):
    """Steps in which a row waits can be inserted anywhere: discount and trace go by the decision."""
    generator = np.random.default_rng(seed)
    steps, gaps = 6, generator.integers(0, 4, 6)
    reward, value, end_value = generator.normal(size=(3, steps, 1)).astype(np.float32)
    ended, everywhere = generator.random((steps, 1)) < 0.3, np.ones((steps, 1), bool)
    rest = (np.array([0.3], np.float32), np.array([True]))
    dense, _ = decision_advantage(reward, value, everywhere, ended, end_value, *rest, discount=0.9, trace=0.8)
    at = np.cumsum(gaps + 1) - gaps - 1
    sparse = [
        np.zeros((int((gaps + 1).sum()), 1), array.dtype) for array in (reward, value, everywhere, ended, end_value)
    ]
    for long, short in zip(sparse, (reward, value, everywhere, ended, end_value), strict=True):
        long[at] = short
    # the game's end and its reward arrive at the end of the wait
    for long, short in ((sparse[0], reward), (sparse[3], ended), (sparse[4], end_value)):
        long[at] = 0
        long[at + gaps] = short
    advantage, learned = decision_advantage(*sparse, *rest, discount=0.9, trace=0.8)
    assert learned[:, 0].nonzero()[0].tolist() == at.tolist()
    assert advantage[at] == pytest.approx(dense, abs=1e-5)
