"""A best response and its average learn beside each other, stop, and go on."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import workbench.envs as envs
from workbench.arena import SerialExecutor
from workbench.learning import CURRENT, ImitationSettings, PPOSettings
from workbench.metagame.exploitability import GameTree, nash_conv, policy_table
from workbench.metagame.held_out import held_out
from workbench.metagame.nfsp import AVERAGE, NFSP, Anticipated, NFSPSettings
from workbench.metagame.sequences import SequenceForm
from workbench.policies import Policy, PolicySettings, load_policy

RESUMABLE = Path(__file__).with_name("resumable_nfsp.py")


def fresh(name="kuhn", games=64, network=None, ppo=None, imitation=None, options=None, **settings) -> NFSP:
    env = envs.make(name, games, **(options or {}))
    policies = [Policy.create(env.spec, network or PolicySettings(hidden=(32,)), seed, device="cpu") for seed in (0, 1)]
    learned = {"batch_size": 128, "value_weight": 0.0} | (imitation or {})
    return NFSP(
        env, *policies, NFSPSettings(**settings), ppo=PPOSettings(**({"steps": 16} | (ppo or {}))),
        imitation=ImitationSettings(**learned),
    )  # fmt: skip


@pytest.mark.parametrize("anticipation", [0.1, 0.5])
def test_seats_are_drawn_as_if_each_drew_for_itself(anticipation):
    drawn = Anticipated(load_policy("kuhn/nash"), anticipation).draw(200_000, np.random.default_rng(0))
    both = drawn.count(CURRENT) / len(drawn)
    # two seats that draw, and draw again while the average would play alone
    seats = np.random.default_rng(1).random((400_000, 2)) < anticipation
    kept = seats[seats.any(axis=1)]
    assert both == pytest.approx(kept.all(axis=1).mean(), abs=0.005)
    # of the seats that the best response plays, eta face the best response
    assert 2 * both / (2 * both + (1 - both)) == pytest.approx(anticipation, abs=0.005)
    assert set(drawn) == {CURRENT, AVERAGE}


def test_at_the_ends_it_is_self_play_or_never_meets_itself():
    nash, generator = load_policy("kuhn/nash"), np.random.default_rng(0)
    assert Anticipated(nash, 1.0).draw(50, generator) == [CURRENT] * 50
    assert Anticipated(nash, 0.0).draw(50, generator) == [AVERAGE] * 50


def test_the_reservoir_gets_every_decision_of_the_best_response_and_no_other():
    nfsp = fresh(capacity=100_000)
    for _ in range(3):
        metrics = nfsp.update()
    assert nfsp.reservoir.seen == nfsp.ppo.decisions == metrics["reservoir/held"] == metrics["charts/decisions"]
    # of two seats with eta = .1, the average makes most of the moves
    assert nfsp.ppo.decisions < 0.65 * nfsp.frames


def test_games_of_a_policy_with_memory_are_kept_whole():
    nfsp = fresh(network=PolicySettings(backbone="gru", hidden=(8,), memory=8), capacity=4000, longest_game=2)
    for _ in range(2):
        metrics = nfsp.update()
    lengths = nfsp.reservoir.arrays()["lengths"]
    assert len(lengths) == metrics["reservoir/held"] and metrics["reservoir/left_out"] == 0
    waiting = int(nfsp.games._lengths.sum())
    assert lengths.sum() + waiting == nfsp.ppo.decisions and set(lengths.tolist()) == {1, 2}


def test_two_policies_learn_and_neither_moves_the_other():
    nfsp = fresh(average_updates=1)
    nfsp.update()
    response = nfsp.best_response.arrays()
    nfsp.imitation.update()
    assert all((array == response[name]).all() for name, array in nfsp.best_response.arrays().items())
    average = nfsp.average.arrays()
    nfsp.ppo.update()
    assert all((array == average[name]).all() for name, array in nfsp.average.arrays().items())
    assert any((array != response[name]).any() for name, array in nfsp.best_response.arrays().items())


def test_the_average_approaches_an_equilibrium_of_kuhn_poker():
    ppo = {"steps": 16, "minibatches": 1, "learning_rate": 3e-3, "discount": 1.0, "trace": 1.0, "entropy_weight": 0.05}
    nfsp = fresh(games=128, ppo=ppo, imitation={"learning_rate": 5e-3}, average_updates=2)
    tree = GameTree.of("kuhn")
    for _ in range(120):
        metrics = nfsp.update()
    # uniform play has 11/12
    assert nash_conv(tree, policy_table(nfsp.average, tree)) < 0.4
    assert metrics["average/loss"] < 0.5 < np.log(2) and "charts/win_rate/average" in metrics


@pytest.fixture(scope="module")
def resumable():
    spec = importlib.util.spec_from_file_location("resumable_nfsp", RESUMABLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(one: dict, other: dict) -> list[str]:
    assert one.keys() == other.keys() and len(one) > 40
    return [name for name in one if not np.array_equal(one[name], other[name], equal_nan=True)]


def test_killed_and_resumed_ends_where_an_uninterrupted_run_does(resumable, tmp_path):
    command = [sys.executable, str(RESUMABLE), "kuhn", str(tmp_path / "killed"), "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < 5:
            pass
        process.send_signal(signal.SIGKILL)
        printed = process.stdout.read().split()
    reached = int(printed[-1]) if printed else 5
    resumed = resumable.train("kuhn", tmp_path / "killed", reached + 4)
    whole = resumable.train("kuhn", tmp_path / "whole", reached + 4)
    assert differences(resumable.summary(resumed), resumable.summary(whole)) == []
    assert resumed.reservoir.seen > len(resumed.reservoir)  # it was full, and went on being drawn for


def test_put_away_and_taken_up_again_with_several_heads(resumable, tmp_path):
    resumable.train("melee-mock", tmp_path / "cut", 2)
    resumed = resumable.train("melee-mock", tmp_path / "cut", 4)
    whole = resumable.train("melee-mock", tmp_path / "whole", 4)
    assert differences(resumable.summary(resumed), resumable.summary(whole)) == []
    assert resumed.reservoir.seen > len(resumed.reservoir)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    fresh(games=4, ppo={"steps": 4}).save(tmp_path)
    with pytest.raises(ValueError, match=r"anticipation': 0\.1.*this trainer has .*0\.2"):
        fresh(games=4, ppo={"steps": 4}, anticipation=0.2).restore(tmp_path)
    with pytest.raises(ValueError, match="a checkpoint of 'nfsp', expected one of 'ppo'"):
        fresh(games=4, ppo={"steps": 4}).ppo.restore(tmp_path)


def test_refusals():
    with pytest.raises(ValueError, match=r"anticipation=1\.5"):
        NFSPSettings(anticipation=1.5)
    with pytest.raises(ValueError, match="not one game would fit"):
        fresh(network=PolicySettings(backbone="gru"), capacity=10, longest_game=11)
    with pytest.raises(ValueError, match="keeps no rewards"):
        fresh(imitation={"weighting": "won"})
    env = envs.make("kuhn", 2)
    policy = Policy.create(env.spec, device="cpu")
    with pytest.raises(ValueError, match="share no weights"):
        NFSP(env, policy, policy)
    with pytest.raises(ValueError, match="made for rps"):
        NFSP(env, policy, Policy.create(envs.make("rps", 1).spec, device="cpu"))


def test_held_out_games_come_with_intervals_that_hold_the_exact_payoffs():
    game = SequenceForm.of("kuhn")
    nash, *others = (
        game.plan(policy_table(load_policy(f"kuhn/{name}"), game.tree)) for name in ("nash", "pass", "bet")
    )
    opponents, players = ["kuhn/pass", "kuhn/bet"], {"games": 600, "seed": 5, "executor": SerialExecutor()}
    matches, table = held_out("kuhn", "kuhn/nash", opponents, **players)
    assert table["opponent"].tolist() == opponents and len(matches) == 1200 and table["games"].tolist() == [600, 600]
    for row, other in zip(table.itertuples(), others, strict=True):
        first, second = game.payoffs(nash[None], other[None])[0, 0], -game.payoffs(other[None], nash[None])[0, 0]
        assert row.payoff_low < (first + second) / 2 < row.payoff_high
        assert row.low < row.win_rate < row.high and row.win_rate == matches.score("kuhn/nash", row.opponent).rate
