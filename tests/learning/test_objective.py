"""PPO's objective worked by hand, and its derivatives against torch's."""

import math

import numpy as np
import pytest
import torch

from workbench.learning.objective import explained_variance, normalised, ppo_objective

PLAIN = {"clip": 0.2, "value_clip": None, "value_weight": 1.0, "entropy_weight": 0.0}


def row(*values):
    return np.array([values], np.float32)


def objective(ratio=(1.0,), advantage=(0.0,), value=(0.0,), old_value=(0.0,), target=(0.0,), entropy=None, **changes):
    count = max(map(len, (ratio, advantage, value)))
    fill = lambda values: row(*(values * count if len(values) == 1 else values))  # noqa: E731
    return ppo_objective(
        np.log(fill(ratio)), fill(entropy or (0.0,)), fill(value), fill((0.0,)), fill(old_value), fill(advantage),
        fill(target), np.ones((1, count), bool), **(PLAIN | changes),
    )  # fmt: skip


def test_clipped_objective_worked_by_hand():
    # gain kept at 1.2 x 2; loss of -1 x 1.5 counts in full; 1.1 x 1 is within the range; 0.5 x -1 is kept at .8 x -1
    found = objective(ratio=(1.5, 1.5, 1.1, 0.5), advantage=(2.0, -1.0, 1.0, -1.0))
    assert found.policy_loss == pytest.approx(-(2.4 - 1.5 + 1.1 - 0.8) / 4)
    assert found.by_log_prob[0] == pytest.approx([0, 1.5 / 4, -1.1 / 4, 0])
    assert found.clip_fraction == 3 / 4


def test_value_clipping_worked_by_hand():
    # moved from 0 to 1, may move .2: towards the target 1 its error 0 is replaced by .8, without slope; away from
    # the target -1 its own error 2 is the larger and keeps its slope; a move of .1 is free
    found = objective(value=(1.0, 1.0, 0.1), target=(1.0, -1.0, 1.0), value_clip=0.2)
    assert found.value_loss == pytest.approx(0.5 * (0.8**2 + 2**2 + 0.9**2) / 3)
    assert found.by_value[0] == pytest.approx([0, 2 / 3, -0.9 / 3])
    free = objective(value=(1.0, 1.0, 0.1), target=(1.0, -1.0, 1.0))
    assert free.value_loss == pytest.approx(0.5 * (0 + 4 + 0.81) / 3)


def test_kl_entropy_and_explained_variance_worked_by_hand():
    found = objective(ratio=(1.5, 0.5), advantage=(0.0, 0.0), entropy=(1.0, 3.0), entropy_weight=0.1)
    assert found.approx_kl == pytest.approx((0.5 - math.log(1.5) - 0.5 - math.log(0.5)) / 2, rel=1e-5)
    assert found.entropy == pytest.approx(2.0)
    assert found.by_entropy[0] == pytest.approx([-0.05, -0.05])
    assert explained_variance(np.array([1.0, 2, 3]), np.array([1.0, 2, 3])) == 1
    assert explained_variance(np.array([2.0, 2, 2]), np.array([1.0, 2, 3])) == 0
    assert explained_variance(np.array([3.0, 2, 1]), np.array([1.0, 2, 3])) == pytest.approx(-3)
    assert math.isnan(explained_variance(np.array([1.0, 2]), np.array([1.0, 1])))


def test_advantages_normalised_by_hand():
    # 1 and 5 are chosen: mean 3, deviation 2
    chosen = np.array([[True, False, True]])
    assert normalised(row(1.0, 100.0, 5.0), chosen)[chosen] == pytest.approx([-1, 1])
    assert normalised(row(7.0), np.array([[True]])) == pytest.approx(7)


@pytest.mark.parametrize("value_clip", [None, 0.2])
@pytest.mark.parametrize("normalise", [False, True])
def test_derivatives_equal_those_of_the_formula_in_torch(value_clip, normalise):
    generator = np.random.default_rng(0)
    shape = (6, 30)
    old_log_prob, old_value, advantage, target = generator.normal(size=(4, *shape)).astype(np.float32)
    log_prob = old_log_prob + 0.3 * generator.normal(size=shape).astype(np.float32)
    value = old_value + 0.3 * generator.normal(size=shape).astype(np.float32)
    entropy = generator.random(shape).astype(np.float32)
    chosen = generator.random(shape) < 0.7
    found = ppo_objective(
        log_prob, entropy, value, old_log_prob, old_value, normalised(advantage, chosen) if normalise else advantage,
        target, chosen, clip=0.2, value_clip=value_clip, value_weight=0.5, entropy_weight=0.01,
    )  # fmt: skip

    leaves = [torch.tensor(array, requires_grad=True) for array in (log_prob, entropy, value)]
    mine, spread, worth = (leaf[torch.from_numpy(chosen)] for leaf in leaves)
    old, before, gain, goal = (
        torch.from_numpy(array[chosen]) for array in (old_log_prob, old_value, advantage, target)
    )
    if normalise:
        gain = (gain - gain.mean()) / gain.std(correction=0)
    ratio = (mine - old).exp()
    policy_loss = -torch.minimum(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
    squared = (worth - goal) ** 2
    if value_clip is not None:
        squared = torch.maximum(squared, (before + (worth - before).clamp(-value_clip, value_clip) - goal) ** 2)
    value_loss = 0.5 * squared.mean()
    (policy_loss + 0.5 * value_loss - 0.01 * spread.mean()).backward()

    assert found.policy_loss == pytest.approx(policy_loss.item(), abs=1e-5)
    assert found.value_loss == pytest.approx(value_loss.item(), abs=1e-5)
    for derivative, leaf in zip(found[:3], leaves, strict=True):
        assert derivative == pytest.approx(leaf.grad.numpy(), abs=1e-6)
