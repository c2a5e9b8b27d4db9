"""A league of small agents: who meets whom, when copies join and leave, and that a league gone on with ends the same."""

import json
from collections import Counter

import numpy as np
import pytest

from workbench.arena.league import League, LeagueSettings, agent_names
from workbench.arena.league_arms import SelfPlay, arm, outsiders, scores
from workbench.arena.league_roles import league_roles
from workbench.arena.population import PopulationSettings
from workbench.envs import env_spec, make
from workbench.learning import PPOSettings
from workbench.learning.trial import run_trial
from workbench.policies import Policy, PolicySettings, load_policy

TURN = 16 * 8  # frames of an update
EVERYBODY = {"main": 1, "main_exploiter": 1, "league_exploiter": 1}


def league(
    env="rps",
    agents=EVERYBODY,
    *,
    every=4 * TURN,
    changes=None,
    backbone="mlp",
    scripted=("rps/rock",),
    alike=False,
    **options,
) -> League:
    spec, network = env_spec(env), PolicySettings(backbone=backbone, hidden=(4,), memory=4)
    held = options.pop("damping", "baseline")
    begins = {
        id: (role, Policy.create(spec, network, seed=0 if alike else number, device="cpu"))
        for number, (id, role) in enumerate(agent_names(**agents).items())
    }
    settings = PPOSettings(steps=8, epochs=1, minibatches=2, learning_rate=1e-2, total_frames=100 * TURN)
    return League(
        lambda: make(env, 16), begins, settings, roles=league_roles(every=every, changes=changes),
        league=LeagueSettings(**options), scripted=scripted, damping=held, seed=3, device="cpu",
    )  # fmt: skip


def train(some: League, updates: int) -> None:
    while some.updates < updates:
        some.update()


def same_weights(one, other) -> bool:
    return all((one.arrays()[name] == weights).all() for name, weights in other.arrays().items())


def test_agents_take_turns_by_their_pace():
    some = league(agents={"main": 2, "main_exploiter": 1}, changes={"main": {"pace": 2.0}})
    assert list(some.agents) == ["main-1", "main-2", "main-exploiter"]
    train(some, 10)
    assert [agent.ppo.frames for agent in some.agents.values()] == [4 * TURN, 4 * TURN, 2 * TURN]
    assert some.frames == 10 * TURN
    # the planned frames are shared out by pace as well
    assert [agent.ppo.settings.total_frames for agent in some.agents.values()] == [40 * TURN, 40 * TURN, 20 * TURN]


def test_who_meets_whom():
    some = league(every=2 * TURN)
    train(some, 24)
    met = some.met()
    of = {agent: set(met[met["agent"] == agent]["opponent"]) for agent in some.agents}
    assert {"current", "main@0", "main@1", "main-exploiter@1", "rps/rock"} <= of["main"]
    assert all(opponent.startswith("main") and not opponent.startswith("main-") for opponent in of["main-exploiter"])
    assert "main" in of["main-exploiter"] and "main" not in of["league-exploiter"]
    assert {"main-exploiter@1", "rps/rock"} <= of["league-exploiter"]
    assert met.groupby("agent")["share"].sum().tolist() == pytest.approx([1.0] * 3)


def test_win_rates_are_those_of_the_games_that_were_played():
    some = league(every=10**6, memory=10**9)
    played = {id: Counter() for id in some.agents}
    points = {id: Counter() for id in some.agents}
    for _ in range(30):
        some.update()
        for id, agent in some.agents.items():
            if agent.ppo.updates > played[id]["updates"]:
                played[id]["updates"] += 1
                for game in agent.ppo.rollout.finished:
                    played[id][game.opponent] += 1
                    points[id][game.opponent] += game.score
    for id, agent in some.agents.items():
        for opponent in agent.opponents.members:
            record = agent.opponents.record_of(opponent)
            assert record.games == played[id][opponent]
            rate = (points[id][opponent] + 0.5) / (played[id][opponent] + 1)
            assert record.win_rate == pytest.approx(rate)
            assert agent.opponents.standing().rates[opponent] == record.win_rate
    # and what is drawn follows them: capped, 1 - x where the agent wins more than half
    exploiter = some.agents["league-exploiter"].opponents
    rates = np.array([exploiter.record_of(id).win_rate for id in exploiter.standing().league])
    weights = np.minimum(0.5, 1 - rates)
    assert len(set(weights.tolist())) > 2
    assert list(exploiter.probabilities().values()) == pytest.approx(weights / weights.sum())
    lines = some.met().set_index(["agent", "opponent"])
    assert lines.loc[("main", "rps/rock"), "wins"] == some.agents["main"].opponents.record_of("rps/rock").wins


def test_copies_join_by_time_and_never_change():
    some = league()
    train(some, 11)
    assert some.roster.copies == ["main@0", "main-exploiter@0", "league-exploiter@0", "main@1"]
    frozen = some.roster["main@1"].player.arrays()
    train(some, 24)
    assert same_weights(some.roster["main@1"].player, some.agents["main"].policy) is False
    assert all((some.roster["main@1"].player.arrays()[name] == weights).all() for name, weights in frozen.items())
    # main exploiters wait twice as long
    assert [(agent.copies, agent.resets) for agent in some.agents.values()][:2] == [(2, 0), (1, 1)]
    joined = {one["id"]: one["frames"] for one in some.roster.joined}
    assert joined["main@0"] == 0 and joined["main@1"] == 10 * TURN and joined["main@2"] == 22 * TURN
    next(some.roster["main@1"].player.parameters()).data.add_(1e-3)
    with pytest.raises(RuntimeError, match="main@1; something trains them"):
        some.state()


def test_a_copy_joins_early_when_its_targets_are_beaten_often_enough():
    some = league(every=100 * TURN, changes={"main_exploiter": {"earliest": 3 * TURN, "games": 10}})
    exploiter = some.agents["main-exploiter"]
    rates = exploiter.opponents.record_of("main")
    rates.recent_games, rates.recent_score = 200.0, 199.0
    train(some, 7)
    assert exploiter.ppo.updates == 2 and exploiter.copies == 0  # too early
    rates.recent_games, rates.recent_score = 200.0, 199.0
    train(some, 8)
    assert exploiter.copies == 1 and "main-exploiter@1" in some.roster.copies
    assert some.agents["league-exploiter"].copies == 0


def test_beating_needs_enough_games_against_every_target():
    some = league()
    opponents = some.agents["league-exploiter"].opponents
    for id in ("main@0", "rps/rock"):
        record = opponents.record_of(id)
        record.recent_games, record.recent_score = 10.0, 7.0
    assert opponents.beats(["main@0", "rps/rock"], 0.7, 10)
    assert not opponents.beats(["main@0", "rps/rock"], 0.71, 10)
    assert not opponents.beats(["main@0", "rps/rock"], 0.7, 11)
    assert not opponents.beats(["main@0", "main-exploiter@0"], 0.7, 10)
    assert not opponents.beats([], 0.7, 10)


def test_a_reset_begins_anew_with_the_weights_it_began_with():
    some = league(changes={"main_exploiter": {"every": 2 * TURN, "earliest": 0}})
    exploiter = some.agents["main-exploiter"]
    before, start = exploiter.ppo, exploiter.policy.arrays()
    while not exploiter.copies:
        some.update()
    assert all((exploiter.policy.arrays()[name] == weights).all() for name, weights in start.items())
    assert not same_weights(some.roster["main-exploiter@1"].player, exploiter.policy)
    assert exploiter.resets == 1 and exploiter.ppo is not before
    assert exploiter.ppo.optimizer.steps == 0 and exploiter.ppo.frames == 2 * TURN
    assert all(exploiter.opponents.record_of(id).games == 0 for id in exploiter.opponents.members)
    # as many games are open as there are slots, and they are owed to whom they were drawn against
    assert sum(exploiter.opponents.record_of(id).open_games for id in exploiter.opponents.members) == 16
    assert some.roster["main-exploiter"].rating == some.roster["main-exploiter@0"].rating
    train(some, some.updates + 6)
    assert exploiter.ppo.frames > 2 * TURN


def test_resets_by_chance():
    changes = {"league_exploiter": {"every": TURN, "earliest": 0, "reset": 0.25}}
    some = league(agents={"main": 1, "league_exploiter": 1}, every=10**6, changes=changes, keep=1)
    train(some, 200)
    agent = some.agents["league-exploiter"]
    assert agent.copies == 100 and 12 <= agent.resets <= 40  # 25 expected, three deviations are 13


@pytest.mark.parametrize("prune", ["oldest", "weakest"])
def test_pruned_to_a_bound(prune):
    some = league(every=TURN, keep=3, prune=prune)
    some._prune()
    train(some, 30)
    kept = [id for id in some.roster.copies if not id.endswith("@0")]
    assert len(kept) == 3 and set(some.roster.founders) == {
        "main@0",
        "main-exploiter@0",
        "league-exploiter@0",
        "rps/rock",
    }
    assert all(id in some.roster.entries for id in some.roster.founders)
    left = [one for one in some.roster.joined if one["left"] is not None]
    assert len(left) + len(kept) + 3 == sum(one["kind"] == "copy" for one in some.roster.joined)
    if prune == "oldest":
        assert kept == [one["id"] for one in some.roster.joined if one["kind"] == "copy"][-3:]
    # whoever has left is gone from memory but for open games
    for id in some.roster.entries.keys() - set(some.roster.copies) - set(some.roster.founders) - set(some.agents):
        assert any(
            agent.opponents.record_of(id).open_games for agent in some.agents.values() if agent.opponents.holds(id)
        )


def test_the_weakest_leaves():
    some = league(keep=2, prune="weakest")
    agent = some.agents["main"]
    for rating in (1500.0, 1300.0, 1400.0, 1200.0):
        some.roster["main"].rating = rating
        some._copy(agent)
        some._prune()
    # the newest stays though it is weaker than all
    assert [id for id in some.roster.copies if not id.endswith("@0")] == ["main@1", "main@4"]


def test_a_retired_copy_stays_until_its_games_end():
    some = league(agents={"main": 1, "league_exploiter": 1}, keep=1)
    agent, opponents = some.agents["main"], some.agents["league-exploiter"].opponents
    some._copy(agent)
    record = opponents.record_of("main@1")
    record.open_games = 2
    some._copy(agent)
    some._prune()
    assert "main@1" not in some.roster.copies and "main@1" not in opponents.probabilities()
    assert opponents.player("main@1") is some.roster["main@1"].player
    opponents.record("main@1", 1.0)
    some._prune()
    assert "main@1" in some.roster.entries
    opponents.record("main@1", 0.0)
    some._prune()
    assert "main@1" not in some.roster.entries
    assert opponents.met["main@1"][1:] == [1, 0, 1]


def test_ratings_are_on_one_scale():
    some = league(agents={"main": 2}, k=32.0)
    one, other = (agent.opponents for agent in some.agents.values())
    one.record("main-2", 1.0)
    assert (some.roster["main-1"].rating, some.roster["main-2"].rating) == (1516, 1484)
    other.record("rps/rock", 0.5)
    # 1484 against 1500: E = .476990; a draw gains 32 x .023010
    assert some.roster["main-2"].rating == pytest.approx(1484 + 32 * 0.0230096, abs=1e-5)
    assert other.metrics()["league/main-2/elo"] == some.roster["main-2"].rating
    assert one.table().set_index("id").loc["main-2", "elo"] == some.roster["main-2"].rating


def test_alike_starts_are_one():
    some = league(alike=True)
    assert some.roster.copies == ["main@0"]
    assert {agent.start for agent in some.agents.values()} == {"main@0"}


def test_metrics_and_table_name_everybody():
    some = league()
    metrics = {}
    for _ in range(12):
        metrics |= some.update()
    assert {"losses/policy_loss", "league/main-exploiter/losses/policy_loss", "league/main/win_rate", "league/size",
            "league/league-exploiter/elo", "league/main/win_rate/main@0", "league/main/games/main@0"} <= metrics.keys()  # fmt: skip
    assert metrics["league/size"] == len(some.roster.copies) and metrics["league/joined"] == len(some.roster.copies)
    html = some._repr_html_()
    assert all(id in html for id in [*some.agents, *some.roster.copies, "rps/rock"]) and "<style" not in html
    assert set(some.table()["id"]) == {*some.agents, *some.roster.copies, "rps/rock"}
    assert set(some.players()) == {*some.agents, *some.roster.copies}


def described(some: League) -> str:
    """All that must agree, but for weights."""
    state, _ = some.state()
    return json.dumps([state, some.met().to_json(), some.table().to_json()])


def test_gone_on_with_it_ends_bit_for_bit_the_same(tmp_path):
    def begin():
        changes = {
            "main_exploiter": {"every": 3 * TURN, "earliest": 0},
            "league_exploiter": {"reset": 0.5, "earliest": 0, "every": 2 * TURN},
        }
        return league(
            "kuhn",
            every=2 * TURN,
            changes=changes,
            backbone="gru",
            scripted=["kuhn/bet"],
            keep=4,
            prune="weakest",
            damping="damped",
        )

    whole = run_trial(begin(), 40 * TURN, tmp_path / "whole", save_every=7, measurements=1)

    class Stopped(Exception):
        pass

    def stop_at(frames):
        def stop(done, total):
            if done >= frames:
                raise Stopped

        return stop

    for frames in (10 * TURN, 23 * TURN):  # between checkpoints, before and after resets
        with pytest.raises(Stopped):
            run_trial(begin(), 40 * TURN, tmp_path / "cut", save_every=7, measurements=1, progress=stop_at(frames))
    rest = run_trial(begin(), 40 * TURN, tmp_path / "cut", save_every=7, measurements=1)
    assert len(rest) == 40 and without_times(rest) == without_times(whole)
    assert same_weights(load_policy(tmp_path / "whole/policy"), load_policy(tmp_path / "cut/policy"))
    one, other = begin(), begin()
    one.restore(tmp_path / "whole")
    other.restore(tmp_path / "cut")
    assert described(one) == described(other)
    assert one.agents["main-exploiter"].resets > 1 and one.roster.state()[0]["joined"][-1]["frames"] > 0
    arrays, others = one.state()[1], other.state()[1]
    assert arrays.keys() == others.keys() and all((arrays[name] == others[name]).all() for name in arrays)


def without_times(history: list[dict]) -> list[dict]:
    times = ("SPS", "seconds")
    return [{name: value for name, value in row.items() if not name.endswith(times)} for row in history]


def test_a_checkpoint_of_another_league_is_refused(tmp_path):
    some = league()
    train(some, 12)
    some.save(tmp_path)
    with pytest.raises(ValueError, match="saved with the agents"):
        league(agents={"main": 1}).restore(tmp_path)
    with pytest.raises(
        ValueError, match="began with others, or other weights, of league-exploiter@0, main-exploiter@0"
    ):
        league(alike=True).restore(tmp_path)
    with pytest.raises(ValueError, match="rps/rock"):
        league(scripted=()).restore(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agents": {"league_exploiter": 1}}, "a league needs a main agent"),
        ({"agents": {"main": 1, "boss": 1}}, "roles of agents \\['boss'\\]"),
        ({"changes": {"main": {"reset": 0.1}}}, "main agents with reset=0.1"),
        ({"memory": 100}, "games=100 with memory=100"),
        ({"prune": "newest"}, "prune='newest'; expected one of oldest, weakest"),
        ({"keep": 0}, "keep=0"),
        ({"scripted": ["main"]}, "no policy|no scripted"),
    ],
)
def test_bad_leagues_are_named(options, message):
    with pytest.raises((ValueError, KeyError), match=message):
        league(**options)


@pytest.fixture
def build():
    def built(name, seed=0):
        spec = env_spec("kuhn")
        return arm(
            name, lambda: make("kuhn", 16), lambda number: Policy.create(spec, PolicySettings(hidden=(4,)), seed=number),
            PPOSettings(steps=8, epochs=1, minibatches=1, total_frames=20 * TURN), roles=league_roles(every=3 * TURN),
            agents={"league_exploiter": 1, "main": 1}, population=PopulationSettings(keep=3), league=LeagueSettings(), seed=seed,
        )  # fmt: skip

    return built


def test_arms_begin_alike_and_play_as_many_frames(build, tmp_path):
    arms = {name: build(name) for name in ("simple_mix", "pfsp", "league")}
    assert len({some.policy.arrays()["value_layer.weight"].tobytes() for some in arms.values()}) == 1
    assert arms["pfsp"].population.settings.mode == "pfsp" and arms["league"].first.id == "main"
    for name, some in arms.items():
        run_trial(some, 20 * TURN, tmp_path / name)
        assert some.frames == 20 * TURN
        some.close()
    assert list(arms["simple_mix"].players()) == ["v12", "v15", "v18", arms["simple_mix"].policy.id]


def test_self_play_gone_on_with_meets_the_same_snapshots(build, tmp_path):
    whole, cut, again = build("simple_mix"), build("simple_mix"), build("simple_mix")
    run_trial(whole, 20 * TURN, tmp_path / "whole")
    for _ in range(9):
        cut.update()
    cut.save(tmp_path / "cut")
    again.restore(tmp_path / "cut")
    while again.frames < 20 * TURN:
        again.update()
    assert isinstance(again, SelfPlay) and again.population.table().equals(whole.population.table())
    assert same_weights(again.policy, whole.policy)


def test_players_of_no_arm_do_not_take_the_place_of_one(tmp_path):
    with make("rps") as env:
        policy = Policy.create(env.spec, PolicySettings(hidden=(4,)), seed=0)
    policy.id = "league-0"
    policy.save(tmp_path / "policy")
    place = str(tmp_path / "policy")
    assert outsiders(["rps/rock", place], ["pfsp-0"]) == {"rps/rock": "rps/rock", "league-0": place}
    assert outsiders([], ["pfsp-0"]) == {}
    with pytest.raises(ValueError, match=r"league-0 \(.*policy\): a policy of an arm has the same id"):
        outsiders(["rps/rock", place], ["pfsp-0", "league-0"])


def test_scores_by_hand(from_wins):
    # a1 beat b1 3:1 and b2 1:3; a2 beat b1 4:0, b2 2:2; against s: 4:0 of a1, 0:4 of a2, 1:3 of b1, 2:2 of b2
    names = ["a1", "a2", "b1", "b2", "s"]
    wins = [[0, 0, 3, 1, 4], [0, 0, 4, 2, 0], [1, 0, 0, 0, 1], [3, 2, 0, 0, 2], [0, 4, 3, 2, 0]]
    found = scores(from_wins(wins, names), {"a": ["a1", "a2"], "b": ["b1", "b2"]}, ["s"])
    rates = found.set_index(["arm", "seed", "against"])["win_rate"].to_dict()
    assert rates == {
        ("a", 0, "b"): 0.5, ("a", 0, "s"): 1.0, ("a", 1, "b"): 0.75, ("a", 1, "s"): 0.0,
        ("b", 0, "a"): 0.125, ("b", 0, "s"): 0.25, ("b", 1, "a"): 0.625, ("b", 1, "s"): 0.5,
    }  # fmt: skip
