"""Imitation of recorded games."""

import warnings

import numpy as np
import pytest
import torch

import workbench.envs as envs
from workbench.arena import play
from workbench.data import Dataset, Recorder
from workbench.data.trajectories import Game, Trajectory, pad
from workbench.learning import Imitation, ImitationSettings
from workbench.learning.validation import usable
from workbench.policies import Policy, PolicySettings, load_policy


def recorded(folder, name, first, second, games, **options):
    """A folder of games between two scripted players, and the env's spec."""
    with envs.make(name, 16, **options) as env:
        players = load_policy(first), load_policy(second)
        if first == second:
            players[1].id += " again"
        with Recorder(env, folder, (players[0].id, players[1].id)) as recorder:
            play(env, *players, games=games, seed=1, recorder=recorder)
        return env.spec


def trainer(folder, spec, policy=None, validation=True, length=None, **settings):
    split = {"split": "train", "validation_fraction": 0.25} if validation else {}
    held = [Dataset(folder, spec=spec, split="validation", validation_fraction=0.25).batch(64)] if validation else ()
    made = Policy.create(spec, policy or PolicySettings(hidden=(32,), memory=16), device="cpu")
    return Imitation(made, Dataset(folder, spec=spec, length=length, **split), ImitationSettings(**settings), held)


@pytest.fixture(scope="module")
def memory_games(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    return folder, recorded(folder, "memory", "memory/perfect", "memory/perfect", 64, delay=4)


@pytest.fixture(scope="module")
def rps_games(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rps")
    return folder, recorded(folder, "rps", "rps/rock", "rps/paper", 64)


def test_decisions_that_can_be_learned_from_by_hand():
    game = Game("one", "toy")
    legal = (np.array([[1, 1], [1, 0], [1, 0], [1, 1]], bool), np.ones((4, 3), bool))
    # known; illegal in the first head; first head unknown; all unknown
    action = np.array([[1, 2], [1, 2], [-1, 0], [-1, -1]], np.int16)
    rows = np.zeros(4, np.float32)
    long = Trajectory(game, {"x": np.zeros((5, 1), np.float32)}, legal, action, rows, rows)
    short = Trajectory(
        game,
        {"x": np.zeros((2, 1), np.float32)},
        tuple(allowed[:1] for allowed in legal),
        action[:1],
        rows[:1],
        rows[:1],
    )
    assert usable(pad([long, short])).T.tolist() == [[True, False, True, False], [True, False, False, False]]


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_loss_is_the_mean_negative_log_likelihood(memory_games, backbone):
    learner = trainer(*memory_games, PolicySettings(backbone=backbone), learning_rate=0.0, batch_size=8)
    before = learner.policy.arrays()
    batch = Dataset(memory_games[0], spec=memory_games[1], split="train", validation_fraction=0.25).batch(8)
    metrics = learner.update()
    # a fresh policy is nearly uniform over the legal options: one while it waits, two when asked, once in 5 decisions
    assert metrics["losses/policy_loss"] == pytest.approx(np.log(2) / 5, rel=0.02)
    assert learner.decisions == batch.acting.sum() == 8 * 5
    assert all((array == before[name]).all() for name, array in learner.policy.arrays().items())


def test_memory_is_imitated_by_a_recurrent_policy_only(memory_games):
    accuracy = {}
    for backbone in ("mlp", "gru"):
        policy = PolicySettings(backbone=backbone, hidden=(16,), memory=16)
        learner = trainer(*memory_games, policy, learning_rate=1e-2, batch_size=32)
        for _ in range(60):
            learner.update()
        metrics = learner.validate()
        accuracy[backbone] = metrics["validation/accuracy"]
        assert metrics["validation/answer/accuracy"] == accuracy[backbone]
        assert metrics["validation/answer/loss"] == pytest.approx(metrics["validation/loss"], abs=1e-5)
    assert accuracy["gru"] == 1.0 and accuracy["mlp"] < 0.97


def test_state_is_carried_over_a_cut_of_the_gradient(memory_games):
    policy = PolicySettings(backbone="gru", separate_critic=True)
    losses = []
    for unroll in (None, 2):
        learner = trainer(*memory_games, policy, learning_rate=0.0, batch_size=8, unroll=unroll)
        batch = learner.batches.batch(8)
        known = usable(batch)
        value = np.zeros_like(batch.reward)
        for sequence, cells in learner._sequences(batch, known, unroll):
            value[cells] = learner.policy.evaluate(sequence).value.detach().numpy()
        losses.append(value)
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def probability_of_paper(learner):
    env = envs.make("rps", 1)
    now = env.reset()
    observation = {name: array[:, 0] for name, array in now.observation.items()}
    return learner.policy.probabilities(observation, tuple(allowed[:, 0] for allowed in now.legal))[0, 1]


@pytest.mark.parametrize(("weighting", "low", "high"), [("all", 0.4, 0.6), ("won", 0.95, 1), ("advantage", 0.95, 1)])
def test_only_what_is_worth_imitating_is(rps_games, weighting, low, high):
    learner = trainer(*rps_games, weighting=weighting, validation=False, learning_rate=1e-2, batch_size=32)
    for _ in range(60):
        metrics = learner.update()
    # paper beats rock: half the decisions win
    assert low <= probability_of_paper(learner) <= high
    assert metrics["losses/weight"] == pytest.approx(1.0 if weighting == "all" else 0.5, abs=0.25)


@pytest.mark.parametrize("weighting", ["won", "advantage", "exponential"])
@pytest.mark.parametrize("validated_first", [True, False])
def test_the_best_weights_are_the_best_by_what_is_trained_for(rps_games, weighting, validated_first):
    folder, spec = rps_games
    own = trainer(folder, spec, learning_rate=1e-2, batch_size=32)
    for _ in range(60):
        own.update()
    start = own.validate()
    assert start["validation/objective"] == start["validation/loss"]
    assert probability_of_paper(own) == pytest.approx(0.5, abs=0.1)  # the games are now this policy's own
    learner = trainer(folder, spec, weighting=weighting, learning_rate=1e-2, batch_size=32)
    learner.policy.load_arrays(own.policy.arrays())
    found = [learner.validate()] if validated_first else []
    for update in range(1, 61):
        learner.update()
        if update % 10 == 0:
            found.append(learner.validate())
    assert all(one["validation/loss"] > start["validation/loss"] for one in found[1:])  # the start played these games
    assert found[-1]["validation/objective"] < found[0]["validation/objective"]
    learner.take_best()
    odds = 0.95 if weighting != "exponential" else np.e**2 / (1 + np.e**2) - 0.07
    assert probability_of_paper(learner) >= odds
    again = learner.validate()
    assert again["validation/objective"] == pytest.approx(again["validation/best_objective"], abs=1e-6)
    if weighting == "won":  # by hand: a decision of a lost game, rock, counts nothing
        assert again["validation/objective"] == pytest.approx(-np.log(probability_of_paper(learner)), abs=1e-4)


def test_advantages_are_judged_by_one_critic_frozen_once_it_was_trained(rps_games):
    learner = trainer(*rps_games, weighting="advantage", learning_rate=1e-2, batch_size=32)
    learner.validate()
    fresh = learner.critic
    learner.validate()
    assert learner.critic is fresh  # nothing was trained in between
    for _ in range(20):
        learner.update()
    assert learner.validate()["validation/best_objective"] == learner.best_loss
    trained, weights = learner.critic, learner.critic.arrays()
    assert trained is not fresh and learner.critic_updates == 20
    learner.update()
    learner.validate()
    assert learner.critic is trained and all((array == weights[name]).all() for name, array in trained.arrays().items())


def test_the_start_is_kept_where_training_makes_the_objective_worse(rps_games):
    learner = trainer(*rps_games, weighting="advantage", learning_rate=1e-2, batch_size=32)
    for _ in range(60):
        learner.update()
    fine = trainer(*rps_games, weighting="advantage", learning_rate=1e-2, batch_size=32)
    fine.policy.load_arrays(learner.policy.arrays())
    fine.validate()
    start = fine.optimizer.flat.clone()
    fine.update()
    with torch.no_grad():
        fine.policy.heads.layer.bias -= torch.tensor([0.0, 9.0, 0.0])  # an accident: paper is unlearned
    spoilt = fine.validate()  # the critic changes here, and the start is measured by the new one
    assert spoilt["validation/best_objective"] < spoilt["validation/objective"]
    fine.take_best()
    assert torch.equal(fine.optimizer.flat, start)
    assert fine.validate()["validation/objective"] == pytest.approx(spoilt["validation/best_objective"], abs=1e-6)


def test_validation_may_be_read_anew_each_time_but_not_only_once(rps_games):
    folder, spec = rps_games
    held = Dataset(folder, spec=spec, split="validation", validation_fraction=0.25)
    policy = Policy.create(spec, device="cpu")
    batches = Dataset(folder, spec=spec)
    small, large = (Imitation(policy, batches, None, held.in_batches(count)).validate() for count in (3, 64))
    assert large == pytest.approx(small)
    with pytest.raises(ValueError, match="used up by the first validate"):
        Imitation(policy, batches, None, held.batches(3))


def test_games_that_teach_nothing_are_noticed_once(tmp_path):
    spec = recorded(tmp_path, "rps", "rps/rock", "rps/rock", 8)  # all drawn: 16 views
    learner = trainer(tmp_path, spec, validation=False, weighting="won", batch_size=6)
    before = learner.policy.arrays()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            learner.update()
    with pytest.warns(UserWarning, match=r"last 18 games had any weight.*weighting='won'"):
        learner.update()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner.update()
    assert all((array == before[name]).all() for name, array in learner.policy.arrays().items())
    learner.validation = [learner.batches.batch(4)]
    with pytest.raises(ValueError, match="no held-out decision has weight"):
        learner.validate()


def test_exponential_weights_lean_towards_what_won(rps_games):
    learner = trainer(*rps_games, weighting="exponential", validation=False, learning_rate=1e-2, batch_size=32)
    for _ in range(60):
        learner.update()
    # advantages +1 and -1: odds of e^2
    assert probability_of_paper(learner) == pytest.approx(np.e**2 / (1 + np.e**2), abs=0.07)


def test_values_approach_the_return(rps_games):
    learner = trainer(*rps_games, validation=False, learning_rate=1e-2, batch_size=32, weighting="won")
    for _ in range(60):
        metrics = learner.update()
    # seats do not tell who wins: the best guess is 0, with a squared error of 1
    assert metrics["losses/value_loss"] == pytest.approx(0.5, abs=0.1)


def test_stops_early_and_takes_the_best(memory_games):
    learner = trainer(*memory_games, learning_rate=1e-2, batch_size=16, patience=2, min_delta=0.001)
    losses = []
    while not learner.should_stop and len(losses) < 30:
        for _ in range(5):
            learner.update()
        losses.append(learner.validate()["validation/loss"])
        if len(losses) == 6:  # an accident
            learner.optimizer.flat.mul_(3.0)
    assert learner.should_stop and losses[-1] > learner.best_loss == min(losses)
    learner.take_best()
    assert learner.validate()["validation/loss"] == pytest.approx(min(losses), abs=1e-6)


def test_average_is_validated_but_not_trained(memory_games):
    learner = trainer(*memory_games, learning_rate=1e-2, batch_size=16, average=0.9)
    first = learner.optimizer.flat.clone()
    learner.update()
    assert learner.average.numpy() == pytest.approx((0.9 * first + 0.1 * learner.optimizer.flat).numpy(), abs=1e-6)
    mine = learner.optimizer.flat.clone()
    learner.validate()
    assert (learner.optimizer.flat == mine).all()
    learner.take_best()
    assert (learner.optimizer.flat == learner.average).all()


@pytest.mark.parametrize(("backbone", "weighting"), [("mlp", "exponential"), ("gru", "all"), ("gru", "advantage")])
def test_resumed_ends_where_an_uninterrupted_run_does(memory_games, tmp_path, backbone, weighting):
    def fresh():
        return trainer(
            *memory_games, PolicySettings(backbone=backbone), learning_rate=1e-2, batch_size=8, length=3, average=0.9,
            unroll=2, learning_rate_schedule="cosine", total_updates=10, weighting=weighting,
        )  # fmt: skip

    whole, first = fresh(), fresh()
    for learner in (whole, first):
        for _ in range(3):
            learner.update()
        learner.validate()
    first.save(tmp_path)
    second = fresh()
    second.restore(tmp_path)
    for learner in (whole, second):
        for _ in range(3):
            metrics = learner.update()
    assert metrics["charts/updates"] == 6
    assert (whole.optimizer.flat == second.optimizer.flat).all() and (whole.average == second.average).all()
    assert (whole.best_loss, whole.hurdle, whole.decisions) == (second.best_loss, second.hurdle, second.decisions)
    assert whole.validate() == second.validate()
    for learner in (whole, second):
        learner.take_best()
    assert (whole.optimizer.flat == second.optimizer.flat).all()


def test_refusals(memory_games, tmp_path):
    with pytest.raises(ValueError, match="value_weight must be above 0"):
        ImitationSettings(weighting="advantage", value_weight=0.0)
    with pytest.raises(ValueError, match="weighting='best'"):
        ImitationSettings(weighting="best")
    trainer(*memory_games).save(tmp_path)
    with pytest.raises(ValueError, match="average"):
        trainer(*memory_games, average=0.5).restore(tmp_path)
    with pytest.raises(ValueError, match="policy_settings"):
        trainer(*memory_games, PolicySettings(hidden=(7,))).restore(tmp_path)
    with pytest.raises(ValueError, match="validation batches"):
        trainer(*memory_games, validation=False).validate()
