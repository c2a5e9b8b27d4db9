import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import parallel_api_test, parallel_seed_test

from workbench.envs import make
from workbench.envs.adapters import GymnasiumEnv, GymnasiumVectorEnv, PettingZooEnv
from workbench.envs.players import ScriptedPlayer
from workbench.envs.pokemon.showdown import ShowdownMissing, showdown_folder

GAMES = {
    "rps": {"rounds": 3},
    "kuhn": {},
    "leduc": {},
    "memory": {"delay": 3},
    "melee-mock": {"frame_limit": 20},
}
ROCK, PAPER, SCISSORS = range(3)
PASS, BET = 0, 1


@pytest.mark.filterwarnings("ignore:.*alternative render modes.*", "ignore:.*Box observation space m.*infinity.*")
@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize("name", GAMES)
def test_gymnasium_accepts_the_single_seat(name, seat):
    env = GymnasiumEnv(name, seat=seat, **GAMES[name])
    check_env(env)
    env.close()


@pytest.mark.parametrize("name", GAMES)
def test_pettingzoo_accepts_both_seats(name):
    parallel_api_test(PettingZooEnv(name, **GAMES[name]), num_cycles=200)
    parallel_seed_test(lambda: PettingZooEnv(name, **GAMES[name]), num_cycles=50)


@pytest.mark.showdown
@pytest.mark.filterwarnings("ignore:.*alternative render modes.*", "ignore:.*Box observation space m.*infinity.*")
def test_gymnasium_and_pettingzoo_accept_gen1ou():
    try:
        showdown_folder()
    except ShowdownMissing as missing:
        pytest.skip(str(missing))
    env = GymnasiumEnv("gen1ou", turn_limit=10)
    check_env(env)
    env.close()
    both = PettingZooEnv("gen1ou", turn_limit=10)
    parallel_api_test(both, num_cycles=60)
    both.close()


def test_several_heads_are_one_multidiscrete_action():
    env = GymnasiumEnv("melee-mock", frame_limit=20)
    sizes = env.game.spec.action.sizes
    assert env.action_space == gymnasium.spaces.MultiDiscrete(sizes)
    _, info = env.reset(seed=0)
    assert [len(mask) for mask in info["action_mask"]] == list(sizes)
    assert env.action_space.sample(mask=info["action_mask"]).shape == (len(sizes),)
    with pytest.raises(ValueError, match=f"an action has 1 parts, expected {len(sizes)}"):
        env.step(0)
    vector = GymnasiumVectorEnv("melee-mock", 4, frame_limit=20)
    vector.reset(seed=0)
    *_, infos = vector.step(vector.action_space.sample())
    assert not infos["illegal_action"].any()


def test_a_game_against_rock():
    env = GymnasiumEnv("rps", opponent="rps/rock", rounds=2)
    assert env.action_space == gymnasium.spaces.Discrete(3)
    observation, info = env.reset(seed=0)
    np.testing.assert_array_equal(info["action_mask"], [1, 1, 1])
    observation, reward, terminated, truncated, info = env.step(PAPER)
    assert (reward, terminated, truncated) == (1, False, False)
    observation, reward, terminated, truncated, info = env.step(SCISSORS)
    assert (reward, terminated, truncated) == (-1, True, False)
    assert info["outcome"] == 0
    assert info["end_reason"] == "rules"
    # the last observation of the game that ended, and not the first of the next
    np.testing.assert_array_equal(observation["own_last"], [0, 0, 1])
    assert observation["progress"] == 1


def test_waiting_is_skipped_and_reward_arrives_with_the_next_decision():
    env = GymnasiumEnv("kuhn", seat=1, opponent="kuhn/bet")
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        assert observation["seat"].tolist() == [0, 1]
        assert observation["betting"].tolist() == [0, 1, 0, 0, 0, 0]
        _, reward, terminated, _, info = env.step(BET)
        assert terminated
        assert reward in (-2, 2)
        assert info["outcome"] == np.sign(reward)
    env = GymnasiumEnv("kuhn", seat=0, opponent="kuhn/bet")
    observation, info = env.reset(seed=0)
    observation, reward, terminated, _, info = env.step(PASS)
    assert (reward, terminated) == (0, False)
    assert observation["betting"].tolist() == [1, 0, 0, 1, 0, 0]
    _, reward, terminated, _, info = env.step(PASS)
    assert (reward, terminated, info["outcome"]) == (-1, True, -1)


def test_games_differ_between_resets_and_repeat_with_the_seed():
    env = GymnasiumEnv("leduc")
    seeds = [env.reset(seed=seed)[1]["game_seed"] for seed in (5, None, None, 5, None)]
    assert len(set(seeds[:3])) == 3
    assert seeds[3:] == seeds[:2]


def test_an_illegal_option_is_replaced_and_reported_or_refused():
    env = GymnasiumEnv("leduc", opponent="leduc/call")
    env.reset(seed=0)
    *_, info = env.step(0)  # nothing to fold to: the first legal option is to call
    assert info["illegal_action"]
    *_, info = env.step(1)
    assert not info["illegal_action"]
    strict = GymnasiumEnv("leduc", illegal="raise")
    strict.reset(seed=0)
    with pytest.raises(ValueError, match=r"option 0 of head 'move' is not legal; legal are \[1, 2\]"):
        strict.step(0)
    with pytest.raises(ValueError, match="illegal is 'ignore', expected one of replace, raise"):
        GymnasiumEnv("leduc", illegal="ignore")


def test_both_agents_of_a_game_of_turns():
    env = PettingZooEnv("kuhn")
    observations, infos = env.reset(seed=3)
    assert env.agents == ["seat_0", "seat_1"]
    assert [infos[agent]["acting"] for agent in env.agents] == [True, False]
    np.testing.assert_array_equal(infos["seat_1"]["action_mask"], [0, 0])
    cards = [int(observations[agent]["private"].argmax()) for agent in env.agents]
    # seat 1 waits: its action changes nothing, and may be left out
    _, rewards, terminations, _, infos = env.step({"seat_0": PASS, "seat_1": BET})
    assert [infos[agent]["acting"] for agent in env.agents] == [False, True]
    with pytest.raises(KeyError, match="seat_1 must act"):
        env.step({"seat_0": BET})
    env.step({"seat_1": BET})
    _, rewards, terminations, truncations, infos = env.step({"seat_0": BET})
    won = 1 if cards[0] > cards[1] else -1
    assert rewards == {"seat_0": 2 * won, "seat_1": -2 * won}
    assert terminations == {"seat_0": True, "seat_1": True}
    assert not any(truncations.values())
    assert infos["seat_1"]["outcome"] == -won
    assert env.agents == []
    with pytest.raises(RuntimeError, match="the game is over"):
        env.step({})


def test_truncation_is_passed_on():
    env = GymnasiumEnv("cartpole", max_steps=3)
    env.reset(seed=0)
    ends = [env.step(action)[2:4] for action in (0, 1, 0)]
    assert ends == [(False, False), (False, False), (False, True)]


class Counting(ScriptedPlayer):
    """Plays as many rounds of rock as it remembers, then paper: its memory must live and die with the game."""

    state_size = 1

    def choose(self, observation, legal, state, generator):
        moves = np.where(state[:, 0] < 2, ROCK, PAPER)[:, None]
        state += 1
        return moves


def test_the_opponents_memory_lives_and_dies_with_the_game():
    env = GymnasiumEnv("rps", opponent=Counting("counting"), rounds=4)
    for _ in range(2):
        env.reset()
        assert [env.step(PAPER)[1] for _ in range(4)] == [1, 1, 0, 0]
    vector = GymnasiumVectorEnv("rps", 2, opponent=Counting("counting"), rounds=4)
    vector.reset(seed=0)
    rewards = [vector.step(np.full(2, PAPER))[1].tolist() for _ in range(8)]
    assert rewards == [[1, 1], [1, 1], [0, 0], [0, 0]] * 2


def test_many_games_at_once_reset_in_the_same_step():
    env = GymnasiumVectorEnv("rps", 3, opponent="rps/rock", rounds=2)
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    observation, infos = env.reset(seed=0)
    assert observation in env.observation_space
    env.action_space.seed(0)
    assert env.action_space.contains(env.action_space.sample())
    observation, reward, _, _, infos = env.step(np.array([ROCK, PAPER, SCISSORS]))
    assert reward.tolist() == [0, 1, -1]
    assert "final_obs" not in infos
    observation, _, terminated, _, infos = env.step(np.array([PAPER, PAPER, PAPER]))
    assert terminated.all()
    assert infos["_final_obs"].all()
    assert infos["outcome"].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(infos["final_obs"]["own_last"], [[0, 1, 0]] * 3)
    np.testing.assert_array_equal(observation["own_last"], 0)
    with pytest.raises(ValueError, match="an action has 2 parts, expected 1"):
        env.step(np.zeros((3, 2), int))


def test_the_vector_view_says_where_the_seat_decides():
    env = GymnasiumVectorEnv("kuhn", 50, seat=1)
    _, infos = env.reset(seed=0)
    assert not infos["acting"].any()
    assert not infos["action_mask"][0].any()
    *_, infos = env.step(np.zeros(50, int))
    assert infos["acting"].all()
    assert infos["action_mask"][0].all()
    *_, infos = env.step(np.ones(50, int))
    assert infos["_final_obs"].any()
    assert not infos["acting"].any()


def test_seats_and_factories():
    env = GymnasiumEnv(lambda batch_size, rounds: make("rps", batch_size, rounds=rounds), rounds=7)
    assert env.game.rounds == 7
    with pytest.raises(ValueError, match="seat is 2, expected 0 or 1"):
        GymnasiumEnv("rps", seat=2)
    with pytest.raises(KeyError, match="no scripted player named 'rps/rok'; did you mean rps/rock"):
        GymnasiumEnv("rps", opponent="rps/rok")
