"""Networks that play: encoders, backbones, heads, the `Policy` that acts, saves and loads, and the registry."""

from workbench.policies.backbones import Backbone, backbone_names, register_backbone
from workbench.policies.core import Evaluation, Policy, Sequence
from workbench.policies.registry import load_policy, policy_names, register_policy
from workbench.policies.settings import PolicySettings
from workbench.policies.storage import CorruptFileError

__all__ = [
    "Backbone",
    "CorruptFileError",
    "Evaluation",
    "Policy",
    "PolicySettings",
    "Sequence",
    "backbone_names",
    "load_policy",
    "policy_names",
    "register_backbone",
    "register_policy",
]
