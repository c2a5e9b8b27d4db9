"""Trains a league and saves after every update; goes on from what was saved. Run as a process of its own.

python resumable_league.py FOLDER UPDATES
"""

import sys

import torch

from workbench.arena.league import League, LeagueSettings, agent_names
from workbench.arena.league_roles import league_roles
from workbench.envs import env_spec, make
from workbench.learning import PPOSettings, has_checkpoint
from workbench.policies import Policy, PolicySettings

TURN = 8 * 6


def begin() -> League:
    """Every role, memory, resets, copies that come and go: all of it within some thirty updates."""
    spec, network = env_spec("kuhn"), PolicySettings(backbone="gru", hidden=(4,), memory=4)
    names = agent_names(main=2, main_exploiter=1, league_exploiter=1)
    agents = {id: (role, Policy.create(spec, network, n, device="cpu")) for n, (id, role) in enumerate(names.items())}
    changes = {"main_exploiter": {"every": 2 * TURN, "earliest": 0}, "league_exploiter": {"reset": 0.5, "earliest": 0}}
    return League(
        lambda: make("kuhn", 8), agents, PPOSettings(steps=6, epochs=1, minibatches=2, total_frames=200 * TURN),
        roles=league_roles(every=2 * TURN, changes=changes), league=LeagueSettings(keep=4, prune="weakest"),
        scripted=["kuhn/bet"], damping="damped", seed=5, device="cpu",
    )  # fmt: skip


def train(folder, updates: int, keep: bool = False) -> League:
    league = begin()
    if has_checkpoint(folder):
        league.restore(folder)
    while league.updates < updates:
        league.update()
        if keep:
            league.save(folder)
            print(league.updates, flush=True)
    return league


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(sys.argv[1], int(sys.argv[2]), keep=True)
