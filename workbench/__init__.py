"""A workbench for training game-playing agents in Jupyter notebooks.

>>> import workbench as wb
>>> env = wb.make("gen1ou", batch_size=32)
>>> matches = wb.play(env, "gen1ou/boss", "gen1ou/max-power", games=200)
>>> wb.ratings(matches)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from workbench.lazy import offered

if TYPE_CHECKING:
    from workbench.arena import (
        Matches,
        Population,
        PopulationSettings,
        collect,
        executor_at,
        local_executor,
        play,
        ratings,
        round_robin,
    )
    from workbench.data.datasets import Dataset
    from workbench.data.filters import filter_folder
    from workbench.envs import env_names, env_spec, make
    from workbench.learning import (
        PPO,
        Damping,
        DampingSettings,
        FixedOpponents,
        Imitation,
        ImitationSettings,
        PPOSettings,
    )
    from workbench.pipeline.loggers import read_metrics
    from workbench.pipeline.stage import stage
    from workbench.policies import Policy, PolicySettings, load_policy, policy_names, register_policy
    from workbench.policies.mixture import Mixture
    from workbench.ui import plots
    from workbench.ui.dashboard import Dashboard
    from workbench.ui.runs import runs

# Torch's threads would wait for work in a loop: beside other work on the same cores that is tens of times slower. Read
# when torch is imported, so it is said before anything here imports it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Each name is imported when it is first used: `workbench status` needs no torch, a Kuhn poker run no Melee.
_HOMES = {
    "workbench.arena": (
        "Matches",
        "Population",
        "PopulationSettings",
        "collect",
        "executor_at",
        "local_executor",
        "play",
        "ratings",
        "round_robin",
    ),
    "workbench.data.datasets": ("Dataset",),
    "workbench.data.filters": ("filter_folder",),
    "workbench.envs": ("env_names", "env_spec", "make"),
    "workbench.learning": (
        "PPO",
        "Damping",
        "DampingSettings",
        "FixedOpponents",
        "Imitation",
        "ImitationSettings",
        "PPOSettings",
    ),
    "workbench.pipeline.loggers": ("read_metrics",),
    "workbench.pipeline.stage": ("stage",),
    "workbench.ui.dashboard": ("Dashboard",),
    "workbench.ui.runs": ("runs",),
    "workbench.policies": ("Policy", "PolicySettings", "load_policy", "policy_names", "register_policy"),
    "workbench.policies.mixture": ("Mixture",),
}

__all__ = sorted(["plots", *(name for names in _HOMES.values() for name in names)])
_look_up = offered(__name__, _HOMES)


def __getattr__(name: str):
    return import_module("workbench.ui.plots") if name == "plots" else _look_up(name)


def __dir__():
    return __all__
