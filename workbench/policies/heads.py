"""From features to actions: independent and autoregressive heads over legal options."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from workbench.policies.categorical import log_prob_and_entropy, sample
from workbench.policies.encoders import Layout
from workbench.policies.settings import PolicySettings


def orthogonal(module: nn.Module, gain: float) -> nn.Module:
    """Initialise a dense layer as PPO implementations do: orthogonal weights, no bias.

    Source: Huang et al. 2022, "The 37 implementation details of proximal policy optimization", detail 2.
    """
    nn.init.orthogonal_(module.weight, gain)
    nn.init.zeros_(module.bias)
    return module


class IndependentHeads(nn.Module):
    """All heads' logits from one dense layer; given the features, heads are independent."""

    def __init__(self, inputs: int, layout: Layout, settings: PolicySettings):
        super().__init__()
        self.starts = layout.starts
        self.layer = orthogonal(nn.Linear(inputs, layout.option_width), 0.01)
        self._weights = (self.layer.weight, self.layer.bias)

    def evaluate(self, features, legal, action):
        """Judge actions taken.

        Args:
            features: `[M, W]`.
            legal: bool `[T, N, L]`, M rows, or None where all is legal.
            action: int64 `[T, N, H]`, negative where unknown.

        Returns:
            `[T, N]` log-probability, `[T, N]` entropy, `[M, L]` logits before masking.
        """
        logits = nn.functional.linear(features, *self._weights)
        return *log_prob_and_entropy(logits, legal, action, self.starts), logits

    def sample(self, features, legal, uniform, temperature):
        """Draw actions: numpy int64 `[N, H]` and float32 `[N]` log-probabilities.

        Args:
            features: torch `[N, W]`.
            legal: bool numpy `[N, L]` or None.
            uniform: float32 numpy `[N, H]`.
            temperature: divides the logits; 0 takes the best.
        """
        logits = nn.functional.linear(features, *self._weights)
        return sample(logits.numpy(force=True), legal, self.starts, uniform, temperature)


class AutoregressiveHeads(nn.Module):
    """Heads in sampling order, each seeing what those before it chose.

    A running summary of the features feeds every head; each choice adds its embedding, which starts at zero, so the
    heads begin independent. The entropy is the sum of each head's along the actions taken: an unbiased estimate.
    """

    def __init__(self, inputs: int, layout: Layout, settings: PolicySettings):
        super().__init__()
        self.starts = layout.starts
        self.sizes = layout.sizes
        self.summary = orthogonal(nn.Linear(inputs, settings.context), 2**0.5)
        self.layers = nn.ModuleList(orthogonal(nn.Linear(settings.context, size), 0.01) for size in self.sizes)
        self.choices = nn.ModuleList(nn.Embedding(size, settings.context) for size in self.sizes[:-1])
        for table in self.choices:
            nn.init.zeros_(table.weight)

    def evaluate(self, features, legal, action):
        """As `IndependentHeads.evaluate`; heads after an unknown choice see it as option 0."""
        summary = self.summary(features)
        logits = []
        for head, layer in enumerate(self.layers):
            logits.append(layer(torch.relu(summary)))
            if head < len(self.choices):
                summary = summary + self.choices[head](action[..., head].reshape(-1).clamp(min=0))
        logits = torch.cat(logits, dim=1)
        return *log_prob_and_entropy(logits, legal, action, self.starts), logits

    def sample(self, features, legal, uniform, temperature):
        """As `IndependentHeads.sample`."""
        summary = self.summary(features)
        actions = np.empty((len(features), len(self.sizes)), np.int64)
        log_prob = np.zeros(len(features), np.float32)
        for head, layer in enumerate(self.layers):
            span = slice(int(self.starts[head]), int(self.starts[head + 1]))
            chosen, gained = sample(
                layer(torch.relu(summary)).numpy(force=True),
                None if legal is None else legal[:, span],
                np.array([0, self.sizes[head]]),
                None if uniform is None else uniform[:, head : head + 1],
                temperature,
            )
            actions[:, head], log_prob = chosen[:, 0], log_prob + gained
            if head < len(self.choices):
                summary = summary + self.choices[head](torch.from_numpy(chosen[:, 0]).to(summary.device))
        return actions, log_prob


def build_heads(inputs: int, layout: Layout, settings: PolicySettings) -> nn.Module:
    """The heads that `settings.head` names."""
    kinds = {"independent": IndependentHeads, "autoregressive": AutoregressiveHeads}
    return kinds[settings.head](inputs, layout, settings)
