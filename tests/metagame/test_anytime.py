"""Shares that answer a response as it learns: towards who beats it, without regret on average."""

import numpy as np
import pytest

from workbench.envs import make
from workbench.learning.ppo import PPO, PPOSettings
from workbench.learning.rollout import Finished
from workbench.metagame.anytime import EXPLORATION, AnytimeOpponents
from workbench.metagame.responses import Responses
from workbench.policies import Policy, PolicySettings, load_policy
from workbench.policies.mixture import Mixture

BIASED = np.array([[0, -1, 3], [1, 0, -3], [-3, 3, 0]])  # Nash (3/7, 3/7, 1/7)


def third() -> Mixture:
    return Mixture("all", [load_policy(f"rps/{name}") for name in ("rock", "paper", "scissors")], [1 / 3] * 3)


def games(opponents: AnytimeOpponents, earned) -> list[Finished]:
    """A thousand games, in each of which a member is met by its share; `earned` is what the learner gets against each."""
    counts = np.round(1000 * opponents.weights).astype(int)
    return [
        Finished(name, 0.5, 1, float(reward))
        for name, count, reward in zip(opponents.members, counts, earned, strict=True)
        for _ in range(count)
    ]


def test_one_step_by_hand():
    opponents = AnytimeOpponents(third(), updates=1)
    assert opponents.weights == pytest.approx([1 / 3] * 3, abs=1e-9)
    # rock earns 1 against the learner: in units of twice the largest payoff one half, at a rate of sqrt(8 ln 3)
    opponents.answer(
        [Finished("rps/rock", 0.0, 1, -1.0), Finished("rps/paper", 0.5, 1, 0.0), Finished("rps/scissors", 0.5, 1, 0.0)]
    )
    grown = np.exp(np.sqrt(8 * np.log(3)) / 2)
    assert opponents.weights[0] == pytest.approx((1 - EXPLORATION) * grown / (grown + 2) + EXPLORATION / 3)
    assert opponents.average == pytest.approx([1 / 3] * 3)  # of what was drawn from so far


def test_against_best_replies_the_average_is_the_equilibrium():
    updates = 1000
    opponents = AnytimeOpponents(third(), updates)
    for _ in range(updates):
        reply = (BIASED @ opponents.weights).argmax()
        opponents.answer(games(opponents, BIASED[reply]))
    worst = (BIASED @ opponents.average).max()
    # Hedge's regret, of payoffs within +-3, and what exploration costs at most
    assert worst < 6 * np.sqrt(np.log(3) / 2 / updates) + 3 * EXPLORATION
    assert opponents.average == pytest.approx([3 / 7, 3 / 7, 1 / 7], abs=0.08)


def trainer() -> PPO:
    env = make("rps", 16)
    policy = Policy.create(env.spec, PolicySettings(hidden=(8,)), device="cpu")
    return PPO(env, policy, PPOSettings(steps=8), opponents=AnytimeOpponents(third(), 20), seed=3)


def test_shares_go_on_after_a_stop_as_if_there_had_been_none(tmp_path):
    whole = Responses([trainer()])
    for number in range(8):
        whole.update()
        if number == 4:
            whole.save(tmp_path)
    rest = Responses([trainer()])
    rest.restore(tmp_path)
    for _ in range(3):
        rest.update()
    one, other = (next(iter(team.trainers.values())).collector.opponents for team in (whole, rest))
    assert (one.weights == other.weights).all() and (one.average == other.average).all()
    assert len(set(one.weights.round(6))) > 1  # they have moved
