"""What a seat is paid for."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the reward's terms; a step's reward is their sum, clipped to [-clip, clip].

    The first three are zero-sum between the seats, the others shape a seat's own behaviour.

    Args:
        stock: for each stock the opponent loses, against each of one's own.
        damage: for each percent dealt, against each taken.
        win: for the game won, against lost.
        distance: for each unit by which the fighters came closer.
        combo: for each hit on an opponent still in hitstun.
        edge_guard: for each hit on an opponent off the stage.
        recovery_risk: for being off the stage, in each frame, up to 2 at 50 units beside and 100
            below; usually negative.
        clip: bound of the sum's absolute value.
    """

    stock: float = 1.0
    damage: float = 0.01
    win: float = 1.0
    distance: float = 0.0
    combo: float = 0.0
    edge_guard: float = 0.0
    recovery_risk: float = 0.0
    clip: float = 10.0

    def as_array(self) -> np.ndarray:
        """float32, one entry a field, in order."""
        return np.array([getattr(self, field.name) for field in fields(self)], np.float32)


STOCK, DAMAGE, WIN, DISTANCE, COMBO, EDGE_GUARD, RECOVERY_RISK, CLIP = range(8)
SHAPED = RewardWeights(win=5.0, distance=0.001 / 3, combo=0.05, edge_guard=0.1, recovery_risk=-0.02)
