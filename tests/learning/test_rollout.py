"""What is collected, and whom the learner meets."""

import numpy as np
import pytest
import torch

import workbench.envs as envs
from workbench.envs.players import ScriptedPlayer
from workbench.learning.rollout import CURRENT, Collector, FixedOpponents
from workbench.policies import Policy, PolicySettings
from workbench.policies.core import Sequence
from workbench.policies.encoders import Inputs


def collector(env, steps, opponents=None, settings=None):
    policy = Policy.create(env.spec, settings or PolicySettings(), device="cpu")
    return Collector(env, policy, steps, np.random.default_rng(0), opponents)


def test_grids_of_two_games_worked_by_hand(counting_env):
    rollout = collector(counting_env([1, 3]), 4).collect()
    # rows: game 0 seat 0, game 0 seat 1, game 1 seat 0, game 1 seat 1
    assert rollout.inputs.numbers[:, :, 0].tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 0, 0]]
    assert rollout.reset.astype(int).tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert rollout.ended.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]]
    assert rollout.reward.tolist() == [[1, 0, 1, 0]] * 4
    assert rollout.deciding.all() and rollout.options is None and rollout.last_deciding.all()
    assert (rollout.end_value == 0).all()
    assert [(game.length, game.reward) for game in rollout.finished] == [(1, 1), (1, 1), (1, 1), (3, 3), (1, 1)]
    assert rollout.frames == 8


def test_a_cut_game_ends_in_the_value_of_its_last_state(counting_env):
    collected = collector(counting_env([2], cut=True), 2)
    rollout = collected.collect()
    last = Inputs(np.array([[2.0]], np.float32), np.empty((1, 0), np.int16))
    expected = collected.policy.value_of(last, collected.policy.initial_state(1))[0]
    assert expected != 0
    assert rollout.end_value.tolist() == [[0, 0], pytest.approx([expected] * 2)]
    first = Inputs(np.array([[0.0]], np.float32), np.empty((1, 0), np.int16))
    assert rollout.last_value[0] == pytest.approx(collected.policy.value_of(first, np.empty((1, 0), np.float32))[0])


def test_seats_in_turn_decide_in_turn_and_rewards_come_when_they_act_again(counting_env):
    rollout = collector(counting_env([5], turns=True), 5).collect()
    assert rollout.deciding.astype(int).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    assert rollout.reward[:, 0].tolist() == [0, 2, 0, 2, 1]
    assert rollout.in_turns and not collector(counting_env([5]), 5).collect().in_turns
    # waiting rows' masks are all false, which matters to nobody; those who decide may do anything
    assert rollout.options is None


def test_illegal_options_are_kept_and_never_taken():
    rollout = collector(envs.make("memory", 8, delay=2), 7).collect()
    assert rollout.options is not None
    assert np.take_along_axis(rollout.options, rollout.action, axis=2).all()
    assert rollout.options.sum(axis=2).tolist() == [
        [1] * 16,
        [1] * 16,
        [2] * 16,
        [1] * 16,
        [1] * 16,
        [2] * 16,
        [1] * 16,
    ]


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_what_was_collected_is_what_the_policy_evaluates(backbone):
    """Across game ends, waiting seats and the boundary between two rollouts."""
    env = envs.make("leduc", 6)
    collected = collector(env, 9, settings=PolicySettings(backbone=backbone, separate_critic=True))
    for _ in range(2):
        rollout = collected.collect()
        sequence = Sequence(
            Inputs(*map(torch.from_numpy, rollout.inputs)), torch.from_numpy(rollout.options),
            torch.from_numpy(rollout.action), torch.from_numpy(rollout.state), rollout.reset, rollout.deciding,
        )  # fmt: skip
        with torch.no_grad():
            evaluation = collected.policy.evaluate(sequence)
        deciding = rollout.deciding
        assert evaluation.log_prob.numpy()[deciding] == pytest.approx(rollout.log_prob[deciding], abs=1e-5)
        assert evaluation.value.numpy()[deciding] == pytest.approx(rollout.value[deciding], abs=1e-5)
        assert 0.4 < deciding.mean() < 0.6


class Counter(ScriptedPlayer):
    """Counts its own moves in its recurrent state, which must always be the step of the game it plays."""

    state_size = 1

    def choose(self, observation, legal, state, generator):
        assert (state[:, 0] == observation["step"][:, 0]).all(), "swapped in mid-game, or not begun at zero"
        state += 1
        return np.full((len(state), 1), int(self.id))


def test_opponents_stay_to_the_end_of_the_game_and_begin_with_empty_memory(counting_env):
    opponents = FixedOpponents([CURRENT, Counter("0"), Counter("1")])
    env = counting_env([1, 2, 3, 5, 7, 11] * 4)
    taken = []
    step = env.step
    env.step = lambda actions: (taken.append(actions.copy()), step(actions))[1]
    collected = collector(env, 40, opponents)
    rollout = collected.collect()
    learned = rollout.deciding.reshape(40, 24, 2)
    actions = np.array(taken)[..., 0]
    met = set()
    for game in range(24):
        starts = np.flatnonzero(rollout.reset[:, 2 * game])
        for start, end in zip(starts, [*starts[1:], 40], strict=True):
            seats = learned[start:end, game]
            assert (seats == seats[0]).all()  # who controls which seat does not change within a game
            if not seats[0].all():
                opponent = actions[start:end, game, int(seats[0].argmin())]
                assert (opponent == opponent[0]).all()  # nor does the opponent
                met.add((int(opponent[0]), int(seats[0].argmin())))
            else:
                met.add(CURRENT)
    assert met == {CURRENT, (0, 0), (0, 1), (1, 0), (1, 1)}


def test_scores_are_the_learners(counting_env):
    opponents = FixedOpponents([Counter("0")])
    rollout = collector(counting_env([2] * 16), 20, opponents).collect()
    # seat 0 always wins and earns all
    won = [game for game in rollout.finished if game.score == 1]
    lost = [game for game in rollout.finished if game.score == 0]
    assert len(won) + len(lost) == 160 and min(len(won), len(lost)) > 40
    assert {game.reward for game in won} == {2.0} and {game.reward for game in lost} == {0.0}
    assert opponents.scores == {"0": [len(won), 160]}


def test_a_seat_that_never_acts_has_no_rows():
    assert collector(envs.make("cartpole", 4), 5).collect().deciding.shape == (5, 4)
    assert collector(envs.make("kuhn", 4), 5).collect().deciding.shape == (5, 8)
    with pytest.raises(ValueError, match="cannot have opponents"):
        collector(envs.make("cartpole", 4), 5, FixedOpponents([CURRENT]))
