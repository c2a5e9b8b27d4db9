"""Values in units of their own size, so that rewards of 1 and of 100 are learned alike."""

from __future__ import annotations

import numpy as np

from workbench.learning.optimizer import FlatAdam
from workbench.policies.core import Policy

MEMORY = 0.9  # share of the old estimate in the new one
RANGE = (1e-3, 1e6)


class ValueScale:
    """Keeps a running root mean square of value targets, and has the value's last layer learn in units of it.

    Equal to normalising targets by it and rescaling the layer whenever it moves, without touching what the policy
    computes.

    Args:
        policy: whose `value_layer` it is.
        optimizer: the policy's.
        enabled: if not, the scale stays 1.

    Source: van Hasselt et al. 2016, "Learning values across many orders of magnitude", arXiv 1602.07714, here without
    the shift.
    """

    def __init__(self, policy: Policy, optimizer: FlatAdam, enabled: bool = True):
        self.policy, self.optimizer, self.enabled = policy, optimizer, enabled
        self.square: float | None = None

    @property
    def scale(self) -> float:
        """The unit: 1 before the first `update`."""
        if self.square is None:
            return 1.0
        return float(np.clip(np.sqrt(self.square), *RANGE))

    def update(self, targets: np.ndarray) -> float:
        """Take in the targets of a batch; returns the scale to learn it with."""
        if self.enabled and len(targets):
            seen = float(np.mean(np.square(targets, dtype=np.float64)))
            self.square = seen if self.square is None else MEMORY * self.square + (1 - MEMORY) * seen
            self.optimizer.set_unit(self.policy.value_layer, self.scale)
        return self.scale

    def restore(self, square: float | None) -> None:
        """Go on with a `square` that was kept."""
        self.square = square
        if self.enabled and square is not None:
            self.optimizer.set_unit(self.policy.value_layer, self.scale)
