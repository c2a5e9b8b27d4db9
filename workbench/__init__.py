"""A workbench for training game-playing agents in Jupyter notebooks.

>>> import workbench as wb
>>> env = wb.make("gen1ou", batch_size=32)
>>> matches = wb.play(env, "gen1ou/boss", "gen1ou/max-power", games=200)
>>> wb.ratings(matches)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.arena import (
        Matches,
        Population,
        PopulationSettings,
        collect,
        local_executor,
        play,
        ratings,
        round_robin,
    )
    from workbench.data.datasets import Dataset
    from workbench.data.filters import filter_folder
    from workbench.envs import env_names, env_spec, make
    from workbench.learning import PPO, Imitation, ImitationSettings, PPOSettings
    from workbench.pipeline.loggers import read_metrics
    from workbench.pipeline.stage import stage
    from workbench.policies import Policy, PolicySettings, load_policy, policy_names, register_policy
    from workbench.ui import plots

# Each name is imported when it is first used: `workbench status` needs no torch, a Kuhn poker run no Melee.
_HOMES = {
    "workbench.arena": (
        "Matches",
        "Population",
        "PopulationSettings",
        "collect",
        "local_executor",
        "play",
        "ratings",
        "round_robin",
    ),
    "workbench.data.datasets": ("Dataset",),
    "workbench.data.filters": ("filter_folder",),
    "workbench.envs": ("env_names", "env_spec", "make"),
    "workbench.learning": ("PPO", "Imitation", "ImitationSettings", "PPOSettings"),
    "workbench.pipeline.loggers": ("read_metrics",),
    "workbench.pipeline.stage": ("stage",),
    "workbench.policies": ("Policy", "PolicySettings", "load_policy", "policy_names", "register_policy"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "plots"])


def __getattr__(name: str):
    if name == "plots":
        return import_module("workbench.ui.plots")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__():
    return __all__
