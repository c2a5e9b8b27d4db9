"""Networks that play: encoders, backbones, heads, the `Policy` that acts, saves and loads, and the registry."""

from typing import TYPE_CHECKING

from workbench.lazy import offered

if TYPE_CHECKING:
    from workbench.policies.backbones import Backbone, backbone_names, register_backbone
    from workbench.policies.core import Evaluation, Policy, Sequence
    from workbench.policies.registry import find_policy, load_policy, policy_names, register_policy
    from workbench.policies.settings import PolicySettings
    from workbench.policies.storage import CorruptFileError

# Each name is imported when it is first used: who looks a policy up, or hashes its weights, needs no torch.
_HOMES = {
    "workbench.policies.backbones": ("Backbone", "backbone_names", "register_backbone"),
    "workbench.policies.core": ("Evaluation", "Policy", "Sequence"),
    "workbench.policies.registry": ("find_policy", "load_policy", "policy_names", "register_policy"),
    "workbench.policies.settings": ("PolicySettings",),
    "workbench.policies.storage": ("CorruptFileError",),
}

__all__ = [
    "Backbone",
    "CorruptFileError",
    "Evaluation",
    "Policy",
    "PolicySettings",
    "Sequence",
    "backbone_names",
    "find_policy",
    "load_policy",
    "policy_names",
    "register_backbone",
    "register_policy",
]
__getattr__ = offered(__name__, _HOMES)


def __dir__():
    return __all__
