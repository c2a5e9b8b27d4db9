"""A floor under a policy's chances, so that options it has given up can be taken up again.

A softmax learns about an option as often as it takes it, and its gradient, that of an entropy bonus too, vanishes with the
option's chance: a policy that was sure for long turns slowly when the game around it has changed.
"""

from __future__ import annotations

import numpy as np
import torch

from workbench.learning.ppo import ExtraLoss, Minibatch
from workbench.policies.core import Evaluation


def towards_uniform(starts: np.ndarray, weight: float) -> ExtraLoss:
    """A loss for `PPO`: `weight` times the KL from uniform play over the legal options to the policy, summed over heads.

    Its derivative by a logit is `weight * (p - 1 / n)`, which does not vanish with p: an option that is worse by A keeps a
    chance of about `weight / (n A)`, much as with an epsilon-greedy player.

    Args:
        starts: int `[H + 1]`, where each head's options begin (`Layout.starts`).
        weight: at least 0.

    Raises:
        ValueError: a weight below 0.
    """
    if weight < 0:
        raise ValueError(f"weight={weight}: expected at least 0")

    def loss(minibatch: Minibatch, evaluation: Evaluation) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = torch.from_numpy(minibatch.chosen).to(evaluation.logits.device)
        logits, legal = evaluation.logits[chosen], minibatch.sequence.legal
        legal = torch.ones_like(logits, dtype=torch.bool) if legal is None else legal[chosen]
        total = logits.new_zeros(())
        for first, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            allowed = legal[:, first:end]
            options = allowed.sum(dim=1).clamp(min=1)
            log_prob = torch.log_softmax(logits[:, first:end].masked_fill(~allowed, -1e9), dim=1)
            uniform = -(log_prob * allowed).sum(dim=1) / options
            total = total + (uniform - options.log()).mean()
        return weight * total, {"losses/uniform_kl": total.item()}

    return loss
