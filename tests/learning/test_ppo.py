"""PPO learns, stops, resumes."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import workbench.envs as envs
from workbench.learning import CURRENT, PPO, FixedOpponents, PPOSettings, Schedule
from workbench.policies import CorruptFileError, Policy, PolicySettings, load_policy

RESUMABLE = Path(__file__).with_name("resumable.py")


def ppo(name, games, opponents=None, policy=None, seed=0, extra_loss=None, options=None, **settings):
    env = envs.make(name, games, **(options or {}))
    policy = Policy.create(env.spec, policy or PolicySettings(), seed, device="cpu")
    return PPO(env, policy, PPOSettings(**settings), opponents, seed, extra_loss)


def test_learns_to_beat_rock():
    learner = ppo("rps", 64, FixedOpponents([load_policy("rps/rock")]), steps=8, learning_rate=3e-3)
    for _ in range(15):
        metrics = learner.update()
    assert metrics["charts/win_rate/rps/rock"] > 0.97
    assert metrics["charts/episodic_return"] > 0.94
    assert learner.frames == 15 * 64 * 8 == learner.decisions


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_only_memory_solves_the_memory_task(backbone):
    policy = PolicySettings(backbone=backbone, hidden=(16,), memory=16)
    learner = ppo(
        "memory", 64, policy=policy, options={"delay": 4}, steps=10, learning_rate=1e-2, minibatches=2, discount=1.0
    )
    for _ in range(60):
        metrics = learner.update()
    if backbone == "gru":
        assert metrics["charts/episodic_return"] > 0.95
    else:
        assert abs(metrics["charts/episodic_return"]) < 0.25


def test_learns_in_turns_from_both_seats_of_kuhn_poker():
    # whoever holds the king and is bet at must call: first mover after pass, bet; second mover after bet
    learner = ppo("kuhn", 128, steps=16, learning_rate=5e-3)
    for _ in range(40):
        metrics = learner.update()
    assert metrics["losses/explained_variance"] > 0.3
    env, seen = learner.env, 0
    now = env.reset(5)
    generator = np.random.default_rng(0)
    for _ in range(20):
        game, seat = np.nonzero(now.acting)
        observation = {name: array[game, seat] for name, array in now.observation.items()}
        legal = tuple(allowed[game, seat] for allowed in now.legal)
        probability = learner.policy.probabilities(observation, legal)
        called = env.spec.action.heads[0].options.index("bet")
        king, facing_bet = (
            observation["private"][:, 2] == 1,
            observation["betting"].reshape(-1, 3, 2)[..., 1].any(axis=1),
        )
        seen += (king & facing_bet).sum()
        assert (probability[king & facing_bet, called] > 0.9).all()
        actions = np.zeros((env.batch_size, 2, 1), np.int64)
        actions[game, seat, 0] = generator.integers(2, size=len(game))
        now = env.step(actions)
    assert seen > 50


def test_same_seed_same_run_and_another_seed_another():
    weights = []
    for seed in (0, 0, 1):
        learner = ppo("kuhn", 8, seed=seed, steps=8)
        learner.update()
        weights.append(learner.policy.arrays()["heads.layer.weight"])
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_threads_change_nothing_but_rounding(backbone):
    weights = {}
    for threads in (1, 3, 3):
        policy = PolicySettings(backbone=backbone, separate_critic=True)
        learner = ppo("leduc", 8, policy=policy, steps=16, threads=threads, epochs=1, minibatches=2, scale_values=True)
        metrics = learner.update()
        if threads in weights:
            assert (weights[threads] == learner.optimizer.flat).all()  # the same, bit for bit, each time
        weights[threads] = learner.optimizer.flat.clone()
    assert weights[1].numpy() == pytest.approx(weights[3].numpy(), abs=2e-5)
    assert metrics["losses/entropy"] == pytest.approx(0.9, abs=0.25)


def test_frozen_members_never_change():
    env = envs.make("kuhn", 16)
    policy = Policy.create(env.spec, device="cpu")
    member = policy.frozen_copy("v0")
    before = member.arrays()
    learner = PPO(env, policy, PPOSettings(steps=8, learning_rate=1e-2), FixedOpponents([CURRENT, member]))
    for _ in range(3):
        learner.update()
    assert all((array == before[name]).all() for name, array in member.arrays().items())
    assert (policy.arrays()["heads.layer.weight"] != before["heads.layer.weight"]).any()


def test_kl_early_stop_ends_the_passes():
    eager = {"steps": 8, "learning_rate": 0.05, "epochs": 10}
    assert ppo("kuhn", 16, **eager).update()["losses/minibatches"] == 40
    stopped = ppo("kuhn", 16, **eager, target_kl=0.01).update()
    assert 1 <= stopped["losses/minibatches"] < 40


def test_the_size_of_rewards_does_not_matter(counting_env):
    found = {}
    for size in (1, 100):
        env = counting_env([6] * 8)
        play = env._play
        env._play = lambda actions, play=play, size=size: (r := play(actions))._replace(reward=r.reward * size)
        policy = Policy.create(env.spec, device="cpu")
        learner = PPO(env, policy, PPOSettings(steps=12, learning_rate=2e-3, discount=1.0, scale_values=True))
        for _ in range(60):
            metrics = learner.update()
        found[size] = metrics["losses/explained_variance"], metrics["losses/value_scale"]
    # seats share a network and only seat 0 is paid: knowing the step explains what can be explained
    assert found[100][0] == pytest.approx(found[1][0], abs=0.03) and found[1][0] > 0.1
    assert found[100][1] == pytest.approx(100 * found[1][1], rel=0.02)


def test_an_infinite_reward_stops_the_run_before_the_weights_are_lost(counting_env):
    env = counting_env([3] * 4)
    play = env._play
    env._play = lambda actions: (r := play(actions))._replace(reward=r.reward * np.inf)
    policy = Policy.create(env.spec, device="cpu")
    learner = PPO(env, policy, PPOSettings(steps=6))
    with np.errstate(invalid="ignore"), pytest.raises(FloatingPointError, match="nothing was changed"):
        learner.update()
    assert all(np.isfinite(array).all() for array in policy.arrays().values())


def test_schedules_move_with_the_frames_played():
    learner = ppo(
        "rps", 10, steps=10, total_frames=400, learning_rate=1.0, learning_rate_schedule="linear",
        clip_schedule=Schedule(kind="linear", floor=0.5),
    )  # fmt: skip
    rates = [learner.update() for _ in range(5)]
    assert [metrics["charts/learning_rate"] for metrics in rates] == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert [metrics["charts/clip"] for metrics in rates] == pytest.approx([0.2, 0.175, 0.15, 0.125, 0.1])


def test_extra_loss_is_learned_too():
    def towards_paper(minibatch, evaluation):
        loss = 10 * torch.nn.functional.cross_entropy(
            evaluation.logits[0], torch.full((evaluation.logits.shape[1],), 1)
        )
        return loss, {"losses/extra": loss.item()}

    learner = ppo("rps", 64, steps=8, learning_rate=3e-3, extra_loss=towards_paper)
    first = learner.update()["losses/extra"]
    for _ in range(8):
        last = learner.update()["losses/extra"]
    assert last < 0.2 * first


def test_a_policy_of_another_env_and_wrong_settings_are_refused(tmp_path):
    policy = Policy.create(envs.make("rps", 1).spec, device="cpu")
    with pytest.raises(ValueError, match="made for rps"):
        PPO(envs.make("kuhn", 1), policy)
    with pytest.raises(ValueError, match="normalise='always'"):
        PPOSettings(normalise="always")
    with pytest.raises(ValueError, match="epochs=0"):
        PPOSettings(epochs=0)
    ppo("kuhn", 4, steps=4).save(tmp_path)
    with pytest.raises(ValueError, match="batch_size 4, this trainer has 5"):
        ppo("kuhn", 5, steps=4).restore(tmp_path)
    with pytest.raises(ValueError, match="against SelfOnly, this trainer has FixedOpponents"):
        ppo("kuhn", 4, FixedOpponents([CURRENT]), steps=4).restore(tmp_path)
    data = (tmp_path / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(data[:-1])
    with pytest.raises(CorruptFileError, match=r"checkpoint\.safetensors"):
        ppo("kuhn", 4, steps=4).restore(tmp_path)
    with pytest.raises(FileNotFoundError):
        ppo("kuhn", 4, steps=4).restore(tmp_path / "nowhere")


@pytest.mark.parametrize("scenario", ["kuhn", "melee-mock"])
def test_killed_and_resumed_ends_where_an_uninterrupted_run_does(scenario, tmp_path):
    spec = importlib.util.spec_from_file_location("resumable", RESUMABLE)
    resumable = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(resumable)
    command = [sys.executable, str(RESUMABLE), scenario, str(tmp_path / "killed"), "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < 5:
            pass
        process.send_signal(signal.SIGKILL)
        printed = process.stdout.read().split()
    assert process.returncode == -signal.SIGKILL
    reached = int(printed[-1]) if printed else 5
    resumed = resumable.train(scenario, tmp_path / "killed", reached + 4)
    uninterrupted = resumable.train(scenario, tmp_path / "whole", reached + 4)
    mine, theirs = (resumable.summary(learner) for learner in (resumed, uninterrupted))
    assert mine.keys() == theirs.keys()
    different = [name for name in mine if not np.array_equal(mine[name], theirs[name], equal_nan=True)]
    assert different == []
    assert any("opponents" in name for name in mine) and len(mine) > 30


def test_fixed_opponents_are_drawn_by_their_weights():
    opponents = FixedOpponents([load_policy("rps/rock"), load_policy("rps/paper")], weights=[0.8, 0.2])
    drawn = opponents.draw(5000, np.random.default_rng(0))
    assert drawn.count("rps/rock") / 5000 == pytest.approx(0.8, abs=0.02)
    # against four rocks to one paper, paper earns .8 a game and nothing else earns more
    learner = ppo("rps", 64, opponents, steps=8, learning_rate=3e-3)
    for _ in range(20):
        metrics = learner.update()
    assert metrics["charts/win_rate/rps/rock"] > 0.95 and metrics["charts/win_rate/rps/paper"] < 0.6
    with pytest.raises(ValueError, match="one a player"):
        FixedOpponents([load_policy("rps/rock")], weights=[0.5, 0.5])
