import json
from collections import Counter

import numpy as np
import pytest

from workbench.arena import Population, PopulationSettings
from workbench.envs import make
from workbench.policies import Policy, PolicySettings

SMALL = PolicySettings(hidden=(4,))


@pytest.fixture(scope="module")
def spec():
    return make("rps", 1).spec


@pytest.fixture
def policy(spec):
    return Policy.create(spec, SMALL, seed=0, device="cpu")


def population(spec, mode="simple_mix", scripted=("rps/rock", "rps/paper"), random="random", **settings):
    return Population(PopulationSettings(mode=mode, **settings), scripted=scripted, random=random, spec=spec)


def test_simple_mix_by_hand(spec, policy):
    members = population(spec)
    # no snapshots: .4, .2 and .1 are scaled by 1 / .7
    assert members.probabilities() == pytest.approx(
        {"current": 4 / 7, "rps/rock": 1 / 7, "rps/paper": 1 / 7, "random": 1 / 7}
    )
    for version in range(4):
        members.add_snapshot(policy, f"v{version}")
    assert members.probabilities() == pytest.approx(
        {
            "current": 0.4,
            "v0": 0.3 * 0.075,
            "v1": 0.3 * 0.075,
            "v2": 0.3 * 0.425,
            "v3": 0.3 * 0.425,
            "rps/rock": 0.1,
            "rps/paper": 0.1,
            "random": 0.1,
        }
    )


def test_draws_follow_the_probabilities_and_only_the_generator(spec, policy):
    members = population(spec)
    for version in range(4):
        members.add_snapshot(policy, f"v{version}")
    drawn = members.draw(20_000, np.random.default_rng(1))
    counts = Counter(drawn)
    for id, probability in members.probabilities().items():
        assert abs(counts[id] / 20_000 - probability) < 4 * np.sqrt(probability * (1 - probability) / 20_000)
    assert members.draw(50, np.random.default_rng(2)) == members.draw(50, np.random.default_rng(2))


def test_self_is_only_current(spec, policy):
    members = population(spec, "self")
    members.add_snapshot(policy, "v0")
    assert members.probabilities() == {"current": 1.0}
    assert members.draw(3, np.random.default_rng(0)) == ["current"] * 3


def test_pfsp_by_hand_from_measured_win_rates(spec):
    members = population(spec, "pfsp", random=None, memory=10**9, weighting="linear")
    assert members.probabilities() == pytest.approx({"rps/rock": 0.5, "rps/paper": 0.5})
    for _ in range(9):
        members.record("rps/rock", 1)
    # with one drawn game added, 9.5 of 10 against rock and .5 of 1 against paper: weights .05 and .5
    assert members.probabilities() == pytest.approx({"rps/rock": 0.05 / 0.55, "rps/paper": 0.5 / 0.55})


def test_league_is_half_itself(spec):
    assert population(spec, "league").probabilities() == pytest.approx(
        {"current": 0.5, "rps/rock": 1 / 6, "rps/paper": 1 / 6, "random": 1 / 6}
    )


def test_skill_based_takes_whom_it_is_near(spec):
    members = population(spec, "skill_based", random=None, k=400)
    members.record("rps/rock", 1)  # 1700 to 1300
    assert members.record_of("rps/rock").rating == 1300
    # paper, still at 1500, is 200 away and closest
    assert members.probabilities() == pytest.approx({"rps/paper": 1.0, "rps/rock": 0.0})


def test_nobody_to_meet_is_playing_oneself(spec):
    assert population(spec, "pfsp", scripted=(), random=None).probabilities() == {"current": 1.0}


def test_a_random_player_named_twice_is_one(spec):
    members = population(spec, scripted=("random", "rps/rock", "rps/rock"))
    assert members.members == ["rps/rock", "random"]
    assert members.table().set_index("id").loc["random", "kind"] == "random"


def test_own_mix(spec):
    members = population(spec, mix={"scripted": 3, "random": 1})
    assert members.probabilities() == pytest.approx({"rps/rock": 3 / 8, "rps/paper": 3 / 8, "random": 1 / 4})


def test_elo_and_win_rate_by_hand(spec):
    members = population(spec, memory=2)
    members.record("random", 1)
    assert (members.rating, members.record_of("random").rating) == (1516, 1484)
    members.record("random", np.float32(0.5))
    # E = 1 / (1 + 10^(-32/400)) = .5459219; a draw costs 32 x .0459219
    assert members.rating == pytest.approx(1516 - 32 * 0.0459219, abs=2e-6)
    record = members.record_of("random")
    assert (record.games, record.wins, record.draws, record.losses) == (2, 1, 1, 0)
    # faded by 1 - 1/2: games 1 -> 1.5, score 1 -> 1; with a drawn game added 1.5 / 2.5
    assert record.win_rate == pytest.approx(0.6)


def test_win_rates_are_those_of_the_member_that_was_met(spec, policy):
    members = population(spec, "pfsp", weighting="variance")
    members.add_snapshot(policy, "v0")
    generator = np.random.default_rng(0)
    truth = {"rps/rock": 0.9, "rps/paper": 0.2, "random": 0.5, "v0": 0.6}
    for _ in range(40):
        for id in members.draw(32, generator):
            members.record(id, float(generator.random() < truth[id]))
    for id, rate in truth.items():
        record = members.record_of(id)
        assert record.games > 20
        assert record.wins / record.games == pytest.approx(rate, abs=4 * 0.5 / np.sqrt(record.games))
    table = members.table().set_index("id")
    assert table.loc["random", "probability"] > table.loc["rps/rock", "probability"]
    assert table["games"].sum() == 40 * 32
    assert members.metrics()["population/win_rate/random"] == pytest.approx(0.5, abs=0.2)


def test_frozen_snapshots_never_change(spec, policy):
    members = population(spec)
    members.add_snapshot(policy, "v0")
    before = members.player("v0").arrays()
    for parameter in policy.parameters():
        parameter.data.add_(1.0)
    for name, weights in members.player("v0").arrays().items():
        np.testing.assert_array_equal(weights, before[name])
    members.verify()
    next(members.player("v0").parameters()).data.add_(1e-3)
    with pytest.raises(RuntimeError, match="v0"):
        members.verify()
    with pytest.raises(RuntimeError, match="v0"):
        members.state()


def test_first_in_first_out(spec, policy):
    members = population(spec, keep=3)
    for version in range(5):
        members.add_snapshot(policy, f"v{version}")
    assert members.snapshots == ["v2", "v3", "v4"]
    with pytest.raises(KeyError, match="no member 'v0'"):
        members.player("v0")


def test_a_dropped_snapshot_stays_until_its_games_end(spec, policy):
    members = population(spec, keep=1, mix={"historical": 1})
    members.add_snapshot(policy, "v0")
    assert members.draw(2, np.random.default_rng(0)) == ["v0", "v0"]
    members.add_snapshot(policy, "v1")
    assert members.snapshots == ["v1"]
    assert members.probabilities() == {"v1": 1.0}
    assert members.player("v0").id == "v0"
    described, arrays = members.state()
    members.record("v0", 1)
    members.record("v0", 0)
    with pytest.raises(KeyError):
        members.player("v0")
    # also across a checkpoint in the middle of those games
    other = population(spec, keep=1, mix={"historical": 1})
    other.restore(described, arrays)
    assert other.player("v0").id == "v0"
    assert other.snapshots == ["v1"]


def test_restored_goes_on_bit_for_bit(spec, policy):
    def run(members, generator, rounds):
        drawn = []
        for turn in range(rounds):
            ids = members.draw(8, generator)
            drawn += ids
            for id in ids:
                if id != "current":
                    members.record(id, float(generator.integers(2)))
            members.add_snapshot(policy, f"{len(drawn)}-{turn}-{members.rating}")
        return drawn

    whole, generator = population(spec, "matchmaker", keep=4), np.random.default_rng(3)
    run(whole, generator, 6)
    described, arrays = whole.state()
    described = json.loads(json.dumps(described))
    arrays = {name: array.copy() for name, array in arrays.items()}
    random = generator.bit_generator.state
    expected = run(whole, generator, 6)

    again, generator = population(spec, "matchmaker", keep=4), np.random.default_rng(0)
    again.restore(described, arrays)
    generator.bit_generator.state = random
    assert run(again, generator, 6) == expected
    assert again.table().equals(whole.table())
    one, other = again.player(again.snapshots[0]).arrays(), whole.player(whole.snapshots[0]).arrays()
    for name, weights in one.items():
        np.testing.assert_array_equal(weights, other[name])


def test_a_damaged_state_is_refused_and_nothing_changes(spec, policy):
    members = population(spec)
    members.add_snapshot(policy, "v0")
    described, arrays = members.state()
    key = next(name for name, array in arrays.items() if array.size)
    arrays[key] = arrays[key] + np.float32(1e-4)
    other = population(spec)
    with pytest.raises(ValueError, match="snapshot 'v0': its weights are not those"):
        other.restore(described, arrays)
    assert other.snapshots == []
    with pytest.raises(ValueError, match="this one has"):
        population(spec, scripted=()).restore(described, arrays)


def test_saved_policies_are_members_that_must_not_change(spec, policy, tmp_path):
    folders = [str(tmp_path / name / "policy") for name in ("one", "two")]
    for folder in folders:
        policy.save(folder)
    members = population(spec, scripted=folders, random=None)
    assert members.members == ["one/policy", "two/policy"]
    described, arrays = members.state()
    population(spec, scripted=folders, random=None).restore(described, arrays)
    next(policy.parameters()).data.add_(1.0)
    policy.save(folders[1])
    with pytest.raises(ValueError, match="two/policy: saved policies whose weights have changed"):
        population(spec, scripted=folders, random=None).restore(described, arrays)


def test_bad_settings_and_members_are_named(spec, policy):
    with pytest.raises(ValueError, match="mode='mixed'; expected one of simple_mix"):
        PopulationSettings(mode="mixed")
    with pytest.raises(ValueError, match="expected shares"):
        PopulationSettings(mix={"cpu": 1.0})
    with pytest.raises(ValueError, match="weighting='hard'"):
        PopulationSettings(weighting="hard")
    members = population(spec)
    members.add_snapshot(policy, "v0")
    with pytest.raises(ValueError, match="a member called 'v0'"):
        members.add_snapshot(policy, "v0")
    with pytest.raises(ValueError, match="called 'current'"):
        members.add_snapshot(policy, "current")
    with pytest.raises(KeyError, match="no member 'v9'"):
        members.record("v9", 1)
    with pytest.raises(ValueError, match=r"score=0\.3"):
        members.record("v0", 0.3)


def test_learning_against_a_population_keeps_its_books(spec, policy):
    from workbench.learning.rollout import Collector

    members = population(spec, keep=2)
    members.add_snapshot(policy, "v0")
    collector = Collector(make("rps", 16, rounds=3), policy, 12, np.random.default_rng(0), members, seed=1)
    finished = []
    for update in range(4):
        finished += collector.collect().finished
        members.add_snapshot(policy, f"v{update + 1}")
    met = Counter(game.opponent for game in finished)
    for id in members.members:
        assert members.record_of(id).games == met[id]
    # one game a slot is open; whoever is not in one and was dropped is gone
    open_games = sum(members.record_of(id).open_games for id in members._members)
    assert open_games <= 16
    assert len(members.snapshots) == 2


def test_training_restored_with_its_population_ends_bit_for_bit_the_same(spec, tmp_path):
    from workbench.learning import PPO, PPOSettings

    def trainer():
        policy = Policy.create(spec, SMALL, seed=0, device="cpu")
        settings = PPOSettings(steps=8, epochs=2, minibatches=2, total_frames=10_000)
        opponents = population(spec, "matchmaker", keep=2)
        return PPO(make("rps", 16, rounds=3), policy, settings, opponents=opponents, seed=5), opponents

    def train(ppo, members, updates):
        for _ in range(updates):
            ppo.update()
            members.add_snapshot(ppo.policy, f"v{ppo.updates}")

    whole, met = trainer()
    train(whole, met, 4)
    whole.save(tmp_path)
    train(whole, met, 4)
    again, met_again = trainer()
    again.restore(tmp_path)
    train(again, met_again, 4)
    for name, weights in again.policy.arrays().items():
        np.testing.assert_array_equal(weights, whole.policy.arrays()[name])
    assert met_again.table().equals(met.table())
    assert met.table()["games"].sum() > 50


def test_html_shows_everybody(spec):
    html = population(spec)._repr_html_()
    assert "rps/rock" in html
    assert "<style" not in html
