"""How policies learn: returns, PPO, self-play, imitation, schedules, checkpoints."""

from workbench.learning.checkpoint import has_checkpoint
from workbench.learning.damping import Damping, DampingSettings
from workbench.learning.imitation import Imitation, ImitationSettings
from workbench.learning.ppo import PPO, PPOSettings
from workbench.learning.rollout import CURRENT, FixedOpponents, Opponents
from workbench.learning.schedules import Schedule

__all__ = [
    "CURRENT",
    "PPO",
    "Damping",
    "DampingSettings",
    "FixedOpponents",
    "Imitation",
    "ImitationSettings",
    "Opponents",
    "PPOSettings",
    "Schedule",
    "has_checkpoint",
]
