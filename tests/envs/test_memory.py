import numpy as np
import pytest

from workbench.envs import make, scripted_player


def scores(player_name, delay=16, cues=2, batch=200):
    """Rewards `[batch, 2]` of one game a slot, both seats played by the player, and the step they came in."""
    env, player, generator = make("memory", batch, delay=delay, cues=cues), scripted_player(player_name), None
    generator = np.random.default_rng(0)
    timestep, state = env.reset(1), player.initial_state(2 * batch)
    for step in range(1, delay + 2):
        observation = {name: array.reshape(2 * batch, -1) for name, array in timestep.observation.items()}
        legal = (timestep.legal[0].reshape(2 * batch, -1),)
        decision = player.act(observation, legal, state, generator=generator)
        state = decision.state
        timestep = env.step(decision.action.reshape(batch, 2, 1))
        if timestep.done.any():
            assert timestep.terminated.all()
            return timestep.reward.copy(), step
        assert not timestep.reward.any()
    raise AssertionError(f"no game ended in {delay + 1} steps")


def test_the_cue_is_shown_once_and_asked_for_after_the_delay():
    env = make("memory", 8, delay=3, cues=4)
    step = env.reset(0)
    cue = step.observation["cue"].argmax(axis=2)
    np.testing.assert_array_equal(step.observation["cue"].sum(axis=2), 1)
    assert len(np.unique(cue)) > 1
    for _ in range(3):
        assert not step.observation["question"].any()
        np.testing.assert_array_equal(step.legal[0], np.broadcast_to([True, False, False, False, False], (8, 2, 5)))
        step = env.step(np.zeros((8, 2, 1), int))
        assert not step.observation["cue"].any()
    assert step.observation["question"].all()
    np.testing.assert_array_equal(step.legal[0], np.broadcast_to([False, True, True, True, True], (8, 2, 5)))
    answers = cue.copy()
    answers[::2, 1] = (answers[::2, 1] + 1) % 4
    step = env.step(answers[:, :, None] + 1)
    np.testing.assert_array_equal(step.reward[::2], [[1, -1]] * 4)
    np.testing.assert_array_equal(step.reward[1::2], [[1, 1]] * 4)
    np.testing.assert_array_equal(step.outcome, [1, 0] * 4)
    np.testing.assert_array_equal(step.length, 4)


def test_memory_solves_it_and_guessing_does_not():
    rewards, length = scores("memory/perfect")
    assert (rewards == 1).all()
    assert length == 17
    rewards, _ = scores("random")
    # 400 guesses with standard deviation 1
    assert abs(rewards.mean()) < 0.2
    rewards, _ = scores("random", cues=4)
    assert rewards.mean() == pytest.approx(-0.5, abs=0.2)


def test_cues_are_evenly_drawn_and_independent_between_seats():
    cue = make("memory", 4000).reset(0).observation["cue"].argmax(axis=2)
    counts = np.bincount(cue[:, 0] * 2 + cue[:, 1])
    np.testing.assert_allclose(counts, 1000, atol=120)


@pytest.mark.parametrize("options", [{"delay": 0}, {"cues": 1}])
def test_no_task_is_refused(options):
    with pytest.raises(ValueError, match="expected at least 1 and at least 2"):
        make("memory", **options)
