import signal
from collections import Counter as Tally

import numpy as np
import pytest

from workbench.arena import local_executor, play
from workbench.arena.play import shares
from workbench.envs import game_seed, make, scripted_player
from workbench.policies import Policy, PolicySettings

TIMES = ["started", "seconds"]


@pytest.mark.parametrize(
    ("games", "slots", "expected"),
    [
        (10, 4, [3, 3, 2, 2]),
        (8, 4, [2, 2, 2, 2]),
        (3, 8, [1, 1, 1, 0, 0, 0, 0, 0]),
        (10, 3, [3, 5, 2]),
        (7, 1, [7]),
    ],
)
def test_shares_by_hand(games, slots, expected):
    assert shares(games, slots).tolist() == expected


@pytest.mark.parametrize(("games", "slots"), [(1, 1), (7, 1), (10, 3), (101, 8), (5, 64)])
def test_exactly_the_games_asked_for_and_half_in_either_seat(toys, games, slots):
    matches = play(toys.CoinEnv(slots), toys.Constant("a"), toys.Constant("b"), games=games)
    assert len(matches) == games
    in_seat_0 = Tally(matches.table["policy_0"])
    assert in_seat_0["a"] == (games + 1) // 2
    assert in_seat_0["b"] == games // 2
    assert (matches.table["policy_0"] != matches.table["policy_1"]).all()


def test_short_games_are_not_preferred(toys):
    # seat 0 wins in one step or loses in ten: taking the first 64 to finish would give it nearly all
    matches = play(toys.CoinEnv(16), toys.Constant("a"), toys.Constant("b"), games=64, seed=5)
    expected = [int(game_seed(5, slot, game)) for slot in range(16) for game in range(4)]
    assert sorted(matches.table["seed"].tolist()) == sorted(expected)
    won = sum(seed & 1 for seed in expected)
    assert (matches.table["outcome"] == 1).sum() == won
    assert 20 < won < 44
    assert matches.table["length"].tolist() == [1 if o == 1 else 10 for o in matches.table["outcome"]]
    assert set(matches.table["end_reason"]) == {"rules"}


def test_memories_are_empty_when_a_game_begins(toys):
    a, b = toys.Counter("a"), toys.Counter("b")
    play(toys.CoinEnv(5, slow=4), a, b, games=37)
    assert a.calls == b.calls > 4  # the counters themselves check that memory follows the game


def test_one_player_decides_for_both_seats_in_one_call(toys):
    env, player = toys.CoinEnv(4, slow=1), toys.Counter("a")
    matches = play(env, player, player, games=8)
    assert player.calls == 2
    assert len(matches) == 8


def test_same_seed_same_table():
    def table(seed, batch=16):
        env = make("kuhn", batch)
        return play(env, scripted_player("random"), scripted_player("kuhn/nash"), games=60, seed=seed).table

    again = table(3).drop(columns=TIMES)
    assert table(3).drop(columns=TIMES).equals(again)
    other = table(4).drop(columns=TIMES)
    assert not other["outcome"].equals(again["outcome"])
    assert not set(other["match_id"]) & set(again["match_id"])
    assert not set(table(3, batch=8)["match_id"]) & set(again["match_id"])


def test_known_results_of_rock_paper_scissors():
    env = make("rps", 8)
    rock, paper = scripted_player("rps/rock"), scripted_player("rps/paper")
    score = play(env, rock, paper, games=20).score("rps/paper")
    assert (score.wins, score.losses, score.draws) == (20, 0, 0)


def test_random_beats_random_half_of_the_time():
    class Other(type(scripted_player("random"))):
        pass

    score = play(make("kuhn", 128), scripted_player("random"), Other("other"), games=4000, seed=1).score("random")
    assert score.low - 0.01 < 0.5 < score.high + 0.01


class Watcher:
    """A recorder as the contract describes it: keeps what acting seats did until their game is done."""

    def __init__(self):
        self.open, self.games, self.log_probs = {}, [], []

    def before_step(self, timestep, actions, log_probs):
        self.seeds = timestep.game_seed.copy()
        for slot, seat in zip(*np.nonzero(timestep.acting), strict=True):
            self.open.setdefault(slot, []).append((seat, actions[slot, seat, 0]))
            self.log_probs.append(log_probs[slot, seat])

    def after_step(self, timestep):
        for slot in np.flatnonzero(timestep.done):
            self.games.append((self.seeds[slot], timestep.outcome[slot], len(self.open.pop(slot))))


def test_recorder_sees_the_games_of_the_table_and_no_others(toys):
    watcher = Watcher()
    matches = play(toys.CoinEnv(6), toys.Constant("a"), toys.Constant("b"), games=20, recorder=watcher)
    table = matches.table
    seen = sorted((int(seed), outcome, moves) for seed, outcome, moves in watcher.games)
    played = sorted(zip(table["seed"].tolist(), table["outcome"], 2 * table["length"], strict=True))
    assert seen == played
    assert not any(watcher.open.values())


def test_recorder_is_given_log_probabilities():
    watcher = Watcher()
    play(make("rps", 4), scripted_player("random"), scripted_player("rps/rock"), games=4, recorder=watcher)
    assert set(np.round(watcher.log_probs, 4)) == {np.float32(round(-np.log(3), 4)), np.float32(0)}


def test_progress_counts_to_the_end(toys):
    told = []
    play(toys.CoinEnv(4), toys.Constant("a"), toys.Constant("b"), games=10, progress=lambda *n: told.append(n))
    assert told[-1] == (10, 10)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_several_envs_share_the_games(toys):
    envs = [toys.CoinEnv(4), toys.CoinEnv(3)]
    matches = play(envs, toys.Counter("a"), toys.Counter("b"), games=50, seed=2)
    assert len(matches) == 50
    assert Tally(matches.table["policy_0"])["a"] == 25
    assert matches.table["seed"].is_unique
    again = play([toys.CoinEnv(4), toys.CoinEnv(3)], toys.Counter("a"), toys.Counter("b"), games=50, seed=2)
    assert again.table.drop(columns=TIMES).equals(matches.table.drop(columns=TIMES))


def test_env_that_steps_in_the_background_plays_the_same(toys):
    class Background(toys.CoinEnv):
        def step_begin(self, actions):
            self.pending = actions.copy()

        def step_end(self):
            return self.step(self.pending)

    plain = play(toys.CoinEnv(4), toys.Counter("a"), toys.Counter("b"), games=30)
    background = play(Background(4), toys.Counter("a"), toys.Counter("b"), games=30)
    assert plain.table.drop(columns=TIMES).equals(background.table.drop(columns=TIMES))


def test_temperature_reaches_each_player(toys):
    class Thermometer(toys.Counter):
        def act(self, observation, legal, state, temperature=1.0, generator=None):
            self.temperature = temperature
            return super().act(observation, legal, state, temperature, generator)

    a, b = Thermometer("a"), Thermometer("b")
    play(toys.CoinEnv(2), a, b, games=2, temperature=(0, 2.5))
    assert (a.temperature, b.temperature) == (0, 2.5)


def test_policies_saved_under_one_id_go_by_their_folders(tmp_path):
    env = make("rps", 4)
    for name in ("one", "two"):
        Policy.create(env.spec, PolicySettings(hidden=(4,)), device="cpu").save(tmp_path / name / "policy")
    matches = play(env, tmp_path / "one" / "policy", str(tmp_path / "two" / "policy"), games=8)
    assert sorted(matches.policies) == ["one/policy", "two/policy"]
    alone = play(env, "random", "random", games=4)
    assert alone.policies == ["random"]


def test_bad_calls_are_refused(toys):
    env, a = toys.CoinEnv(2), toys.Constant("a")
    with pytest.raises(ValueError, match="games=0"):
        play(env, a, toys.Constant("b"), games=0)
    with pytest.raises(ValueError, match="could not be told apart: a"):
        play(env, a, toys.Constant("a"), games=2)
    with pytest.raises(ValueError, match="of one game"):
        play([env, make("rps", 2)], a, toys.Constant("b"), games=2)
    with pytest.raises(ValueError, match="a recorder follows one env"):
        play([env, toys.CoinEnv(2)], a, toys.Constant("b"), games=2, recorder=Watcher())


def test_a_payoff_is_chips_where_there_are_stakes_and_the_outcome_elsewhere():
    with make("kuhn", 8) as env:
        table = play(env, "random", "kuhn/nash", games=400).table
    assert set(table["payoff"].unique()) == {-2.0, -1.0, 1.0, 2.0}  # a pot of one or two chips, never split
    assert (np.sign(table["payoff"]) == table["outcome"]).all()
    with make("matrix", 4, payoff=[[0, -1, 3], [1, 0, -3], [-3, 3, 0]], rounds=2) as env:
        table = play(env, "random", "random", games=200).table
    assert table["payoff"].max() == 6.0 and table["payoff"].min() == -6.0  # both rounds count


def test_workers_leave_interrupts_to_their_parent():
    # what a notebook's stop button sends reaches the whole process group; a worker amid an import would be spoiled
    assert local_executor(1).submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
