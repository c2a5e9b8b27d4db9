"""Several responses at once: what each begins from, one checkpoint of all, and what their games say of them."""

import numpy as np
import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench import metagame
from workbench.arena import SerialExecutor
from workbench.envs import env_spec, make
from workbench.learning.ppo import PPO, PPOSettings
from workbench.metagame.iteration import chosen_mixture
from workbench.metagame.pipelined import Pipeline, plan_levels
from workbench.metagame.responses import (
    Responses,
    hold_out,
    judge,
    judged_table,
    plan_responses,
    training_opponents,
)
from workbench.policies import Policy, PolicySettings, load_policy

NETWORK = PolicySettings(hidden=(8,))


def mixture():
    return chosen_mixture(None, metagame.population(["kuhn/bet", "kuhn/pass"]), env_spec("kuhn"))


def saved(folder, seed=9) -> str:
    policy = Policy.create(env_spec("kuhn"), NETWORK, seed, device="cpu")
    policy.id = "earlier"
    return str(policy.save(folder))


def test_plans_begin_and_meet_in_turn(tmp_path):
    start, place = saved(tmp_path / "start"), mixture().save(tmp_path / "mixture")
    plans = plan_responses(
        "r", mixture(), spec=env_spec("kuhn"), number=3, starts=[start, "fresh"], places=[str(place)]
    )
    assert [(plan.id, plan.start) for plan in plans] == [("r-a", start), ("r-b", None), ("r-c", start)]
    assert len({plan.seed for plan in plans}) == 3
    (alone,) = plan_responses("r", mixture(), spec=env_spec("kuhn"))
    (later,) = plan_responses("r", mixture(), spec=env_spec("kuhn"), generation=1)
    assert alone.id == "r" and alone.start is None and alone.seed != later.seed
    learner = plans[0].learner(NETWORK, env_spec("kuhn"), "cpu")
    theirs = load_policy(start).arrays()
    assert learner.id == "r-a" and all((theirs[name] == array).all() for name, array in learner.arrays().items())
    with pytest.raises(ValueError, match="at least 1 response"):
        plan_responses("r", mixture(), spec=env_spec("kuhn"), number=0)


def team(count: int = 2) -> Responses:
    plans = plan_responses("r", mixture(), spec=env_spec("kuhn"), number=count)
    return Responses([trainer(plan) for plan in plans])


def trainer(plan, self_play: float = 0.0) -> PPO:
    learner, met = (
        plan.learner(NETWORK, env_spec("kuhn"), "cpu"),
        training_opponents(plan.opponents, self_play=self_play),
    )
    return PPO(make("kuhn", 8), learner, PPOSettings(steps=8), opponents=met, seed=plan.seed)


def same(one: Responses, other: Responses) -> bool:
    return all(
        np.array_equal(array, other.trainers[id].policy.arrays()[name])
        for id, trainer in one.trainers.items()
        for name, array in trainer.policy.arrays().items()
    )


def test_several_go_on_from_one_checkpoint_as_if_they_had_not_stopped(tmp_path):
    whole = team()
    metrics = [whole.update() for _ in range(3)][-1]
    assert {"r-a/losses/entropy", "r-b/losses/entropy"} <= metrics.keys() and whole.frames == 3 * 64
    whole.save(tmp_path)
    for _ in range(2):
        whole.update()
    rest = team()
    rest.restore(tmp_path)
    assert rest.updates == 3 and not same(whole, rest)
    for _ in range(2):
        rest.update()
    assert same(whole, rest)
    assert "losses/entropy" in team(1).update()  # one alone needs no name
    with pytest.raises(ValueError, match=r"saved of \['r-a', 'r-b'\], here are \['r'\]"):
        team(1).restore(tmp_path)
    with pytest.raises(ValueError, match="each of its own id"):
        Responses([*team(1).trainers.values()] * 2)


def test_who_was_stopped_between_two_of_them_goes_on_with_the_second():
    whole, cut = team(), team()
    whole.update()
    second = cut.trainers["r-b"]
    second.update, update = None, second.update  # as if the stop button had been pressed
    with pytest.raises(TypeError):
        cut.update()
    second.update = update
    cut.update()
    assert cut.updates == cut.trainers["r-a"].updates == 1 and same(whole, cut)


def test_a_response_may_play_itself_for_a_share_of_its_games():
    met = training_opponents(mixture(), self_play=0.4)
    drawn = met.draw(20_000, np.random.default_rng(0))
    shares = {name: drawn.count(name) / len(drawn) for name in met.members}
    assert shares == pytest.approx({"kuhn/bet": 0.3, "kuhn/pass": 0.3, "current": 0.4}, abs=0.015)
    assert training_opponents(mixture()).members.keys() == {"kuhn/bet", "kuhn/pass"}
    (plan,) = plan_responses("r", mixture(), spec=env_spec("kuhn"))
    ppo = trainer(plan, self_play=0.4)
    ppo.update()
    assert {game.opponent for game in ppo.rollout.finished} == {"kuhn/bet", "kuhn/pass", "current"}
    for refused in ({"self_play": 1.0}, {"self_play": -0.1}, {"self_play": 0.4, "anytime": True}):
        with pytest.raises(ValueError, match=r"expected a share in \[0, 1\)"):
            training_opponents(mixture(), **refused)


def test_judging_by_hand():
    games = [
        *won("a", "m", 80, 20), *won("a, before", "m", 50, 50),  # learned, and wins
        *won("b", "m", 50, 50), *won("b, before", "m", 48, 52),  # learned nothing
        *won("c", "m", 10, 90), *won("c, before", "m", 60, 40),  # forgot
    ]  # fmt: skip
    judged = judge(played(*games), ["a", "b", "c"], "m")
    assert [one.why for one in judged] == [
        "it beats the mixture",
        "no better than even play; what it learned does not show: it began no worse; let in nevertheless",
        "it loses to the mixture, and worse than it began; let in nevertheless",
    ]
    assert [one.let_in for one in judge(played(*games), ["a", "b", "c"], "m", "not worse")] == [True, True, False]
    better = judge(played(*games), ["a", "b", "c"], "m", "better")
    assert [one.let_in for one in better] == [True, False, False]
    assert better[2].why.endswith("not let in (admit='better')")
    table = judged_table(better)
    assert table["after"].tolist() == pytest.approx([0.6, 0.0, -0.8]) and table["before"][0] == 0
    with pytest.raises(ValueError, match="admit='some'"):
        judge(played(*games), ["a"], "m", "some")


def test_held_out_games_are_of_responses_and_of_what_they_began_as():
    matches = hold_out(
        "rps", {"r": "rps/paper"}, {"r": "rps/rock"}, chosen_mixture("rps/rock", {}, env_spec("rps")),
        games=20, batch_size=4, executor=SerialExecutor(),
    )  # fmt: skip
    (one,) = judge(matches, ["r"], "always-rps/rock")
    assert (one.before.mean, one.after.mean) == (0.0, 1.0)


def pipeline(folder) -> Pipeline:
    plans = plan_levels("r", mixture(), 3)
    return Pipeline(
        [trainer(plan) for plan in plans], metagame.population(["kuhn/bet", "kuhn/pass"]), "kuhn",
        meet_every=2, folder=folder, games_per_pair=4, batch_size=4, executor=SerialExecutor(),
    )  # fmt: skip


def faced(levels: Pipeline) -> list[set[str]]:
    return [set(trainer.collector.opponents.members) for trainer in levels.trainers.values()]


def test_levels_train_against_those_below_and_go_on_after_a_stop(tmp_path):
    whole = pipeline(tmp_path / "a")
    for number in range(6):
        whole.update()
        below = faced(whole)
        assert below[0] == {"kuhn/bet", "kuhn/pass"}
        assert below[1] <= {"kuhn/bet", "kuhn/pass", "r"} and below[2] <= {"kuhn/bet", "kuhn/pass", "r", "r+1"}
        if number == 4:
            whole.save(tmp_path / "checkpoint")
    assert sorted(place.name for place in (tmp_path / "a").iterdir()) == ["000", "001", "002"]
    rest = pipeline(tmp_path / "a")
    rest.restore(tmp_path / "checkpoint")
    rest.update()
    assert same(whole, rest)


def test_unfinished_levels_go_on_one_level_lower(tmp_path):
    start = saved(tmp_path)
    plans = plan_levels("response-2", mixture(), 2, [start], generation=2)
    assert [(plan.id, plan.start) for plan in plans] == [("response-2", start), ("response-2+1", None)]
    with pytest.raises(ValueError, match="expected at least 2 levels"):
        plan_levels("r", mixture(), 1)
    with pytest.raises(ValueError, match="a fresh one at the top"):
        plan_levels("r", mixture(), 2, [start, start])
