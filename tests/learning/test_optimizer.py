"""Adam over one flat vector, against torch's."""

import pytest
import torch

from workbench.learning.optimizer import FlatAdam


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_equals_torchs_adamw_with_clipping(weight_decay):
    mine, theirs = network(), network()
    flat = FlatAdam(mine, eps=1e-8, weight_decay=weight_decay)
    adamw = torch.optim.AdamW(theirs.parameters(), lr=0.05, eps=1e-8, weight_decay=weight_decay)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        x = torch.randn(16, 3, generator=generator)
        norm = flat.step(flat.differentiate([(mine(x) - 5).square().mean()]), 0.05, 0.5)
        adamw.zero_grad()
        (theirs(x) - 5).square().mean().backward()
        expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        adamw.step()
        assert norm == pytest.approx(expected.item(), rel=1e-4)
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_parameter_in_units_moves_as_its_multiple_would():
    """With y = W x and W = 100 w, learning w with Adam and learning W in units of 100 is the same."""
    scaled, plain = torch.nn.Linear(3, 1, bias=False), torch.nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        scaled.weight.copy_(100 * plain.weight)
    mine, theirs = FlatAdam(scaled, eps=1e-12), FlatAdam(plain, eps=1e-12)
    mine.set_unit(scaled, 100.0)
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(10):
        mine.step(mine.differentiate([(scaled(x) - 30).square().mean()]), 0.01)
        theirs.step(theirs.differentiate([(100 * plain(x) - 30).square().mean()]), 0.01)
    assert torch.allclose(scaled.weight, 100 * plain.weight, rtol=1e-4)


def test_resumes(tmp_path):
    mine, other = network(), network()
    first, second = FlatAdam(mine), FlatAdam(other)
    x = torch.ones(2, 3)
    first.step(first.differentiate([mine(x).sum()]), 0.1)
    second.flat.copy_(first.flat)
    second.restore(*first.state())
    for network_, optimizer in ((mine, first), (other, second)):
        optimizer.step(optimizer.differentiate([network_(x).square().sum()]), 0.1)
    assert torch.equal(first.flat, second.flat)
    with pytest.raises(ValueError, match="expected 21"):
        second.restore({"steps": 0}, {"mean": torch.zeros(3).numpy(), "square": torch.zeros(3).numpy()})
