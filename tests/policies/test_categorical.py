"""Fused sampling and evaluation of several categorical heads."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.policies.categorical import _head_by_head, log_prob_and_entropy, sample

STARTS = np.array([0, 2, 5])


def test_log_prob_and_entropy_worked_by_hand():
    # head one: weights 1 and 3; head two: weights 1 and 1, the middle option illegal
    logits = torch.tensor([[0.0, math.log(3), 5.0, 9.0, 5.0]])
    legal = torch.tensor([[True, True, True, False, True]])
    log_prob, entropy = log_prob_and_entropy(logits, legal, torch.tensor([[1, 2]]), STARTS)
    assert log_prob.item() == pytest.approx(math.log(3 / 4) + math.log(1 / 2), abs=1e-6)
    by_hand = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) + math.log(2)
    assert entropy.item() == pytest.approx(by_hand, abs=1e-6)


def test_illegal_action_has_no_probability_and_unknown_one_counts_nothing():
    logits, legal = torch.zeros(1, 5), torch.tensor([[True, True, True, False, True]])
    assert log_prob_and_entropy(logits, legal, torch.tensor([[0, 1]]), STARTS)[0].item() == -math.inf
    known = log_prob_and_entropy(logits, legal, torch.tensor([[0, -1]]), STARTS)[0]
    assert known.item() == pytest.approx(math.log(1 / 2))


@pytest.mark.parametrize("masked", [False, True])
def test_compiled_pass_equals_plain_torch_and_so_does_its_gradient(masked):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 5, generator=generator) * 3
    legal = torch.rand(10, 5, 5, generator=generator) > 0.4
    legal[..., 0] = legal[..., 3] = True
    legal[3, 3, 2:] = False  # a head without any legal option
    action = torch.tensor([0, 1]).repeat(10, 5, 1)
    action[2, 2, 0] = -1
    weights = torch.randn(2, 10, 5, generator=generator)
    found = []
    for function in (log_prob_and_entropy, _head_by_head):
        leaf = logits.clone().requires_grad_()
        log_prob, entropy = function(leaf, legal if masked else None, action, STARTS)
        (weights * torch.stack((log_prob, entropy))).sum().backward()
        found.append((log_prob.detach(), entropy.detach(), leaf.grad))
    for mine, plain in zip(*found, strict=True):
        assert torch.allclose(mine, plain, atol=1e-5)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 5))
def test_never_draws_an_illegal_option(seed, temperature):
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=30, size=(64, 5)).astype(np.float32)
    legal = generator.random((64, 5)) > 0.6
    legal[:, 1] = legal[:, 4] = True
    action, log_prob = sample(logits, legal, STARTS, generator.random((64, 2), np.float32), temperature)
    rows = np.arange(64)
    assert legal[rows, action[:, 0]].all() and legal[rows, 2 + action[:, 1]].all()
    assert np.isfinite(log_prob).all()


def test_inverse_cumulative_distribution_by_hand():
    # weights 1, 3 | 1, 1, 2: a uniform of .2 falls into the first quarter, .3 beyond it
    logits = np.log(np.array([[1, 3, 1, 1, 2]] * 4, np.float32))
    uniform = np.array([[0.2, 0.24], [0.3, 0.26], [0.249, 0.49], [0.999999, 0.51]], np.float32)
    action, log_prob = sample(logits, None, STARTS, uniform, 1.0)
    assert action.tolist() == [[0, 0], [1, 1], [0, 1], [1, 2]]
    assert np.exp(log_prob) == pytest.approx([1 / 16, 3 / 16, 1 / 16, 3 / 8])


def test_frequencies_follow_temperature():
    logits = np.tile(np.log(np.array([1, 3, 1, 1, 2], np.float32)), (40_000, 1))
    uniform = np.random.default_rng(0).random((40_000, 2), np.float32)
    action, _ = sample(logits, None, STARTS, uniform, 2.0)
    assert action[:, 0].mean() == pytest.approx(math.sqrt(3) / (1 + math.sqrt(3)), abs=0.01)
    greedy, log_prob = sample(logits, None, STARTS, None, 0)
    assert (greedy == [1, 2]).all() and (log_prob == 0).all()
