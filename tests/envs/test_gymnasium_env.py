import gymnasium
import numpy as np
import pytest

from workbench.envs import make
from workbench.envs.conformance import ConformanceError, check_timestep, random_actions
from workbench.envs.gymnasium_env import CartPoleEnv, SingleAgentEnv, from_gymnasium


def push(env, right):
    actions = np.full((env.batch_size, 2, 1), -1)
    actions[:, 0, 0] = right
    return env.step(actions)


def balance(state):
    """Keeps the pole up for long: push to where it leans and falls."""
    return (state[:, 2] + 0.5 * state[:, 3] + 0.05 * state[:, 1] + 0.02 * state[:, 0] > 0).astype(int)


def test_cartpole_moves_as_gymnasiums_cartpole():
    env = make("cartpole", 6)
    timestep = env.reset(4)
    twins = []
    for start in env.state()["game/physics"]:
        assert (abs(start) <= 0.05).all()
        twin = gymnasium.make("CartPole-v1").unwrapped
        twin.reset(seed=0)
        twin.state = tuple(start)
        twins.append(twin)
    running, generator = np.ones(6, bool), np.random.default_rng(0)
    while running.any():
        right = generator.integers(0, 2, 6)
        timestep = push(env, right)
        for slot in np.flatnonzero(running):
            observation, reward, terminated, _, _ = twins[slot].step(right[slot])
            assert terminated == timestep.terminated[slot]
            assert reward == timestep.reward[slot, 0] == 1
            seen = timestep.final_observation if terminated else timestep.observation
            np.testing.assert_allclose(seen["state"][slot, 0], observation, rtol=1e-6, atol=1e-7)
        running &= ~timestep.done
        assert not timestep.reward[:, 1].any()
        assert not timestep.acting[:, 1].any()
        assert timestep.acting[:, 0].all()


def test_the_time_limit_truncates_and_the_next_game_begins_at_once():
    env = make("cartpole", 16)
    timestep = env.reset(0)
    total = np.zeros(16)
    for step in range(1, 501):
        before = timestep.observation["state"][:, 0].copy()
        timestep = push(env, balance(timestep.observation["state"][:, 0]))
        total += timestep.reward[:, 0]
        assert timestep.done.any() == (step == 500)
    assert timestep.truncated.all()
    assert not timestep.terminated.any()
    np.testing.assert_array_equal(total, 500)
    np.testing.assert_array_equal(timestep.length, 500)
    np.testing.assert_array_equal(timestep.end_reason, 1)
    assert env.spec.end_reasons[1] == "time limit"
    # the new games' first observations, and not those that the old ones ended with
    assert (abs(timestep.observation["state"][:, 0]) <= 0.05).all()
    moved = before[:, ::2] + 0.02 * before[:, 1::2]
    np.testing.assert_allclose(timestep.final_observation["state"][:, 0, ::2], moved, atol=1e-6)
    # no step is spent on resetting: the next step is the new game's first, and it pays
    timestep = push(env, 0)
    np.testing.assert_array_equal(timestep.reward[:, 0], 1)


def test_falling_at_the_limit_is_an_end_and_no_truncation():
    constant = CartPoleEnv(8)
    constant.reset(0)
    timestep = push(constant, 1)
    steps = 1
    while not timestep.done.any():
        timestep = push(constant, 1)
        steps += 1
    fell = timestep.terminated.copy()
    limited = CartPoleEnv(8, max_steps=steps)
    limited.reset(0)
    for _ in range(steps):
        timestep = push(limited, 1)
    np.testing.assert_array_equal(timestep.terminated, fell)
    np.testing.assert_array_equal(timestep.truncated, ~fell)


@pytest.mark.parametrize("env_id", ["Acrobot-v1", "FrozenLake-v1", "MountainCar-v0"])
def test_any_discrete_environment_plays_as_it_does_in_gymnasium(env_id):
    env, twin = from_gymnasium(env_id, 3, max_steps=40), gymnasium.make(env_id)
    timestep = env.reset(9)
    (name,) = env.spec.observation
    slot, games = 1, 0
    observation, _ = twin.reset(seed=int(timestep.game_seed[slot]) & 0x7FFFFFFF)
    for step in range(100):
        np.testing.assert_array_equal(timestep.observation[name][slot, 0], observation)
        actions = random_actions(timestep, 0, step)
        timestep = env.step(actions)
        observation, reward, terminated, _, _ = twin.step(int(actions[slot, 0, 0]))
        assert timestep.terminated[slot] == terminated
        assert timestep.reward[slot, 0] == np.float32(reward)
        if timestep.done[slot]:
            games += 1
            np.testing.assert_array_equal(timestep.final_observation[name][slot, 0], observation)
            observation, _ = twin.reset(seed=int(timestep.game_seed[slot]) & 0x7FFFFFFF)
    assert games >= 2


def test_discrete_observations_are_tokens():
    env = from_gymnasium("FrozenLake-v1", 2)
    field = env.spec.observation["observation"]
    assert field.vocabulary == 16
    timestep = env.reset(0)
    timestep.observation["observation"][0] = 16
    with pytest.raises(ConformanceError, match=r"tokens: here: observation\[observation\] leaves \[0, 16\)"):
        check_timestep(env, timestep, "here")


class Dial(gymnasium.Env):
    """A dictionary of observations, two wheels to turn, and no step limit registered."""

    observation_space = gymnasium.spaces.Dict(
        {"needle": gymnasium.spaces.Box(0, 9, (2,)), "lamp": gymnasium.spaces.Discrete(2, start=5)}
    )
    action_space = gymnasium.spaces.MultiDiscrete([3, 4])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return {"needle": np.zeros(2, np.float32), "lamp": 5}, {}

    def step(self, action):
        return {"needle": np.asarray(action, np.float32), "lamp": 6}, 0.5, False, False, {}


def test_dictionaries_and_several_action_columns():
    env = SingleAgentEnv(Dial, 2, name="dial", max_steps=2)
    assert env.spec.action.sizes == (3, 4)
    timestep = env.reset(0)
    np.testing.assert_array_equal(timestep.observation["lamp"][:, 0], [[0], [0]])
    timestep = env.step(np.array([[[2, 3], [0, 0]], [[1, 0], [0, 0]]]))
    np.testing.assert_array_equal(timestep.observation["needle"][:, 0], [[2, 3], [1, 0]])
    np.testing.assert_array_equal(timestep.observation["lamp"][:, 0], [[1], [1]])
    assert env.step(np.zeros((2, 2, 2), int)).truncated.all()


def test_what_has_no_counterpart_is_refused():
    with pytest.raises(ValueError, match="dial: no step limit is registered; give max_steps"):
        SingleAgentEnv(Dial, 1, name="dial")
    with pytest.raises(ValueError, match="Pendulum-v1: actions are Box"):
        from_gymnasium("Pendulum-v1", 1)
    with pytest.raises(ValueError, match="Blackjack-v1: observation is Tuple"):
        from_gymnasium("Blackjack-v1", 1, max_steps=9)
