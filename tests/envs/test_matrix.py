import numpy as np
import pytest

from workbench.envs import make, scripted_player
from workbench.envs.matrix import RPS_PAYOFFS, MatrixEnv

ROCK, PAPER, SCISSORS = range(3)


def both(first, second):
    return np.stack([np.atleast_1d(first), np.atleast_1d(second)], axis=1)[:, :, None]


def test_rock_paper_scissors_by_hand():
    env = make("rps", 4)
    env.reset(0)
    step = env.step(both([PAPER, PAPER, SCISSORS, ROCK], [ROCK, SCISSORS, PAPER, ROCK]))
    np.testing.assert_array_equal(step.reward, [[1, -1], [-1, 1], [1, -1], [0, 0]])
    np.testing.assert_array_equal(step.outcome, [1, -1, 1, 0])
    assert step.terminated.all()
    assert not step.truncated.any()
    np.testing.assert_array_equal(step.length, 1)
    np.testing.assert_array_equal(step.final_observation["own_last"][0], [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(step.final_observation["other_last"][0], [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(step.observation["own_last"], 0)


def test_biased_payoffs_leave_the_known_equilibrium_nothing_to_gain():
    nash = scripted_player("rps/biased-nash").strategy
    np.testing.assert_allclose(nash, [3 / 7, 3 / 7, 1 / 7])
    np.testing.assert_allclose(np.array(RPS_PAYOFFS["biased"]) @ nash, 0, atol=1e-12)
    env = make("rps", 1, variant="biased")
    env.reset(0)
    np.testing.assert_array_equal(env.step(both(ROCK, SCISSORS)).reward, [[3, -3]])
    with pytest.raises(ValueError, match="unknown variant 'rigged'"):
        make("rps", variant="rigged")


def test_repeated_game_pays_each_round_and_ends_by_the_total():
    env = MatrixEnv(1, payoff=[[3, 0], [5, 1]], rounds=3)
    step = env.reset(0)
    np.testing.assert_array_equal(step.observation["progress"][0], [[0], [0]])
    step = env.step(both(0, 1))
    np.testing.assert_array_equal(step.reward, [[0, 0]])
    step = env.step(both(1, 0))
    np.testing.assert_array_equal(step.reward, [[5, -5]])
    np.testing.assert_allclose(step.observation["progress"], 2 / 3)
    np.testing.assert_array_equal(step.observation["own_last"][0], [[0, 1], [1, 0]])
    assert not step.done[0]
    step = env.step(both(1, 1))
    assert step.terminated[0]
    assert step.outcome[0] == 1
    assert step.length[0] == 3


def test_two_payoff_matrices_need_not_sum_to_zero():
    # the prisoner's dilemma: silent 0, confess 1
    years = np.array([[-1, -3], [0, -2]])
    env = MatrixEnv(3, payoff=[years, years.T], options=("silent", "confess"))
    env.reset(0)
    step = env.step(both([0, 1, 1], [0, 0, 1]))
    np.testing.assert_array_equal(step.reward, [[-1, -1], [0, -3], [-2, -2]])
    np.testing.assert_array_equal(step.outcome, [0, 1, 0])


def test_seats_with_different_numbers_of_options():
    env = MatrixEnv(1, payoff=[[1, 2, 3], [4, 5, 6]])
    step = env.reset(0)
    np.testing.assert_array_equal(step.legal[0][0], [[True, True, False], [True, True, True]])
    with pytest.raises(ValueError, match=r"seat 0: option 2 .* legal are \[0, 1\]"):
        env.step(both(2, 0))
    np.testing.assert_array_equal(env.step(both(1, 2)).reward, [[6, -6]])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"payoff": [1, 2]}, r"shape \(2,\)"),
        ({"payoff": [[np.nan]]}, "finite"),
        ({"payoff": np.zeros((3, 2, 2))}, r"shape \(3, 2, 2\)"),
        ({"rounds": 0}, "rounds is 0"),
        ({"options": ("a",)}, "1 names of options given, expected 2"),
    ],
)
def test_payoffs_that_make_no_game_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        MatrixEnv(1, **options)


def test_scripted_moves_and_their_chances():
    generator = np.random.default_rng(0)
    legal, state = (np.ones((7000, 3), bool),), np.zeros((7000, 0), np.float32)
    for move, name in enumerate(("rps/rock", "rps/paper", "rps/scissors")):
        decision = scripted_player(name).act({}, legal, state, generator=generator)
        assert (decision.action == move).all()
        np.testing.assert_allclose(decision.log_prob, 0)
    decision = scripted_player("rps/biased-nash").act({}, legal, state, generator=generator)
    counts = np.bincount(decision.action[:, 0])
    # 7000 draws: the standard deviation of each count is at most 42
    np.testing.assert_allclose(counts, [3000, 3000, 1000], atol=170)
    np.testing.assert_allclose(np.exp(decision.log_prob), np.array([3, 3, 1])[decision.action[:, 0]] / 7, rtol=1e-6)
