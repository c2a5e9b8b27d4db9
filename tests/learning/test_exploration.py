"""Given-up options stay within reach."""

import numpy as np
import pytest
import torch

import workbench.envs as envs
from workbench.learning import PPO, FixedOpponents, PPOSettings
from workbench.learning.exploration import towards_uniform
from workbench.learning.ppo import Minibatch
from workbench.policies import Policy, PolicySettings, load_policy
from workbench.policies.core import Evaluation, Sequence


def judged(logits, legal, chosen, starts, weight=0.5):
    """Loss, metrics, and the loss's derivative by the logits."""
    logits = torch.tensor(logits, requires_grad=True)
    sequence = Sequence(None, None if legal is None else torch.tensor(legal), None, None)
    nothing = np.zeros(1)
    minibatch = Minibatch(sequence, nothing, nothing, nothing, nothing, np.array(chosen))
    evaluation = Evaluation(None, None, None, logits, None)
    loss, metrics = towards_uniform(np.array(starts), weight)(minibatch, evaluation)
    loss.backward()
    return loss.item(), metrics["losses/uniform_kl"], logits.grad


def test_one_head_by_hand():
    # p = (1/4, 3/4) of two legal options: KL(uniform || p) = log(1/2) - (log(1/4) + log(3/4)) / 2 = .1438
    loss, kl, gradient = judged([[[0.0, np.log(3.0), 50.0]]], [[[True, True, False]]], [[True]], [0, 3])
    assert kl == pytest.approx(np.log(2 / np.sqrt(3)), abs=1e-6) and loss == pytest.approx(0.5 * kl)
    assert gradient[0, 0].tolist() == pytest.approx([0.5 * (1 / 4 - 1 / 2), 0.5 * (3 / 4 - 1 / 2), 0.0])


def test_heads_add_up_and_only_chosen_decisions_count():
    logits = [[[0.0, 0.0, 0.0, np.log(3.0)]], [[9.0, -9.0, 9.0, -9.0]]]
    _, kl, gradient = judged(logits, None, [[True], [False]], [0, 2, 4])
    assert kl == pytest.approx(np.log(2 / np.sqrt(3)), abs=1e-6)
    assert not gradient[1].any() and gradient[0, 0, :2].tolist() == [0, 0]


def test_an_option_that_is_out_of_the_question_keeps_being_tried():
    """Against rock, scissors loses: without the floor it is forgotten, with it it is played as often as it costs."""
    taken = {}
    for weight in (0.0, 0.1):
        env = envs.make("rps", 128)
        policy = Policy.create(env.spec, PolicySettings(hidden=(16,)), device="cpu")
        settings = PPOSettings(steps=4, learning_rate=1e-2, entropy_weight=0.0, normalise="none", minibatches=1)
        opponents = FixedOpponents([load_policy("rps/rock")])
        learner = PPO(env, policy, settings, opponents, extra_loss=towards_uniform(policy.layout.starts, weight))
        for _ in range(60):
            learner.update()
        now = env.reset(0)
        seen = {name: array[:1, 0] for name, array in now.observation.items()}
        taken[weight] = policy.probabilities(seen, (now.legal[0][:1, 0],))[0]
    paper = envs.make("rps", 1).spec.action.heads[0].options.index("paper")
    assert taken[0.0].argmax() == taken[0.1].argmax() == paper
    # scissors is 2 worse than paper: p (2 - ...) = .1 / 3 or so
    assert taken[0.0].min() < 0.004 < 0.012 < taken[0.1].min() < 0.03


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="weight=-1"):
        towards_uniform(np.array([0, 2]), -1)
